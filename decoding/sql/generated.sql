-- Generated columns are not sent (12 and newer).
SET client_min_messages = warning;
CREATE TABLE computed (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, v text);
INSERT INTO computed VALUES (1, DEFAULT, 'v');
UPDATE computed SET id = 2;
SELECT changes();
