-- Inserts, updates, deletes; one transaction one BEGIN and COMMIT; each table described once.
SET client_min_messages = warning;
CREATE TABLE plain (id int PRIMARY KEY, name text, amount numeric(10, 2));
CREATE TABLE "Odd ""table" ("a b" int PRIMARY KEY, "C" text DEFAULT 'it''s');
CREATE TABLE wide (c1 int PRIMARY KEY, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int, c9 int, c10 text);
CREATE TABLE no_columns ();
SELECT changes();

INSERT INTO plain VALUES (1, 'one', 1.50), (2, NULL, NULL);
INSERT INTO "Odd ""table" VALUES (1);
UPDATE plain SET name = 'it''s one' WHERE id = 1;
DELETE FROM plain WHERE id = 2;
SELECT changes();

-- NULL bitmaps of more than one byte
INSERT INTO wide VALUES (1);
INSERT INTO wide VALUES (2, 2, 3, 4, 5, 6, 7, 8, 9, 'ten');
INSERT INTO wide (c1, c9, c10) VALUES (3, 9, '');
SELECT changes();

INSERT INTO no_columns DEFAULT VALUES;
SELECT changes();

-- subtransactions
BEGIN;
INSERT INTO plain VALUES (10, 'kept');
SAVEPOINT a;
INSERT INTO plain VALUES (11, 'lost');
ROLLBACK TO a;
SAVEPOINT b;
INSERT INTO plain VALUES (12, 'kept too');
RELEASE b;
COMMIT;
BEGIN;
INSERT INTO plain VALUES (13, 'lost');
ROLLBACK;
SELECT changes();

-- a transaction that is larger than a message
INSERT INTO plain SELECT i, repeat('x', 100), i FROM generate_series(1000, 1999) i;
CREATE TEMP TABLE got AS SELECT row_number() OVER () AS n, c FROM changes('message_bytes', '1000') c;
SELECT split_part(c, ' ', 1) AS what, count(*), min(n), max(n) FROM got GROUP BY 1 ORDER BY 3;
SELECT c FROM got ORDER BY n DESC LIMIT 1;
DROP TABLE got;

-- COPY, and a temporary table, which has nothing to send
COPY plain FROM stdin;
20	twenty	20
21	\N	\N
\.
CREATE TEMP TABLE passing AS SELECT 1 AS a;
UPDATE passing SET a = 2;
SELECT changes('message_bytes', '0', 'binary', 'off');
DELETE FROM plain;
SELECT count(*) FROM changes();
