-- A table is described again exactly when its description has changed, in the order of the changes.
SET client_min_messages = warning;
CREATE TABLE moving (id int PRIMARY KEY, v text);
INSERT INTO moving VALUES (1, 'a');
ANALYZE moving;
CREATE INDEX ON moving (v);
INSERT INTO moving VALUES (2, 'b');
ALTER TABLE moving ADD COLUMN extra int DEFAULT 7;
INSERT INTO moving VALUES (3, 'c');
UPDATE moving SET v = 'aa' WHERE id = 1;
ALTER TABLE moving DROP COLUMN v;
INSERT INTO moving VALUES (4, 8);
BEGIN;
INSERT INTO moving VALUES (5, 9);
ALTER TABLE moving RENAME COLUMN extra TO more;
INSERT INTO moving VALUES (6, 10);
COMMIT;
ALTER TABLE moving RENAME TO moved;
INSERT INTO moved VALUES (7, 11);
CREATE SCHEMA elsewhere;
ALTER TABLE moved SET SCHEMA elsewhere;
INSERT INTO elsewhere.moved VALUES (8, 12);
ALTER SCHEMA elsewhere RENAME TO nowhere;
INSERT INTO nowhere.moved VALUES (9, 13);
SELECT changes();

-- a heap that is rewritten is not sent
ALTER TABLE nowhere.moved ALTER COLUMN more TYPE bigint;
UPDATE nowhere.moved SET more = 14 WHERE id = 9;
VACUUM FULL nowhere.moved;
SELECT changes();

-- nor are a materialized view and catalogs
CREATE MATERIALIZED VIEW seen AS SELECT * FROM nowhere.moved;
CREATE UNIQUE INDEX ON seen (id);
REFRESH MATERIALIZED VIEW seen;
INSERT INTO nowhere.moved VALUES (10, 15);
REFRESH MATERIALIZED VIEW CONCURRENTLY seen;
SELECT changes();

-- a user-defined type
CREATE TYPE color AS ENUM ('red');
CREATE TABLE painted (id int PRIMARY KEY, c color);
INSERT INTO painted VALUES (1, 'red');
ALTER TYPE color RENAME TO colour;
INSERT INTO painted VALUES (2, 'red');
SELECT changes();

-- dropped before it was read
CREATE TABLE gone (id int PRIMARY KEY, v colour);
INSERT INTO gone VALUES (1, 'red');
DROP TABLE gone, painted;
DROP TYPE colour;
SELECT changes();
DROP SCHEMA nowhere CASCADE;
