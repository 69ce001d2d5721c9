-- How the old row is told: by key, by an index, by the whole row, not at all.
SET client_min_messages = warning;
CREATE TABLE by_key (dropped int, b text, id int, other int, PRIMARY KEY (id, other));
ALTER TABLE by_key DROP COLUMN dropped;
INSERT INTO by_key VALUES ('b', 1, 2);
UPDATE by_key SET b = 'c';
UPDATE by_key SET other = 3;
DELETE FROM by_key;
SELECT changes();

CREATE TABLE by_index (a int, b text NOT NULL, c int NOT NULL, PRIMARY KEY (c));
CREATE UNIQUE INDEX by_index_b ON by_index (b);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_b;
INSERT INTO by_index VALUES (1, 'x', 5);
UPDATE by_index SET a = 2, c = 6;
UPDATE by_index SET b = 'y';
DELETE FROM by_index;
SELECT changes();

CREATE TABLE by_row (a int, b text, c int);
ALTER TABLE by_row REPLICA IDENTITY FULL;
INSERT INTO by_row VALUES (1, 'x', NULL), (NULL, NULL, NULL);
UPDATE by_row SET b = 'y';
DELETE FROM by_row;
SELECT changes();

-- the row of an UPDATE is sent without an old one, a DELETE cannot be
CREATE TABLE by_nothing (a int PRIMARY KEY, b text);
ALTER TABLE by_nothing REPLICA IDENTITY NOTHING;
INSERT INTO by_nothing VALUES (1, 'x');
UPDATE by_nothing SET a = 2;
DELETE FROM by_nothing;
CREATE TABLE keyless (a int);
INSERT INTO keyless VALUES (1);
UPDATE keyless SET a = 2;
DELETE FROM keyless;
SELECT changes();

-- a change of the identity
INSERT INTO by_key VALUES ('b', 1, 2);
ALTER TABLE by_key REPLICA IDENTITY FULL;
UPDATE by_key SET b = 'c';
ALTER TABLE by_key REPLICA IDENTITY DEFAULT;
UPDATE by_key SET id = 5;
SELECT changes();
