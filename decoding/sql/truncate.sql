-- TRUNCATE (11 and newer).
SET client_min_messages = warning;
CREATE TABLE emptied (id int PRIMARY KEY);
CREATE TABLE emptied_too (id int PRIMARY KEY REFERENCES emptied);
CREATE TABLE not_wanted (id int PRIMARY KEY);
TRUNCATE emptied, emptied_too, not_wanted;
TRUNCATE emptied CASCADE;
TRUNCATE not_wanted RESTART IDENTITY;
TRUNCATE not_wanted;
SELECT changes('exclude_tables', '*.not_wanted');
TRUNCATE not_wanted RESTART IDENTITY;
SELECT changes();

-- the leaves of a partitioned table, which is truncated with them
CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 (v text, id int NOT NULL);
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (10) TO (20);
INSERT INTO parted VALUES (1, 'one'), (11, 'eleven');
UPDATE parted SET id = 12 WHERE id = 1;
SELECT changes();
TRUNCATE parted;
SELECT changes();

-- the partitions of a table that is selected by its OID, also a new one
CREATE TABLE parted_3 (id int NOT NULL, v text) PARTITION BY RANGE (id);
CREATE TABLE parted_3_a PARTITION OF parted_3 FOR VALUES FROM (20) TO (25);
ALTER TABLE parted ATTACH PARTITION parted_3 FOR VALUES FROM (20) TO (30);
INSERT INTO parted VALUES (2, 'one'), (20, 'a');
INSERT INTO not_wanted VALUES (1);
SELECT * FROM changes(VARIADIC ARRAY['binary', 'off', 'oids', 'parted'::regclass::oid::text]);
