-- Values that an UPDATE did not touch and that the WAL does not hold.
SET client_min_messages = warning;
CREATE TABLE big (id int PRIMARY KEY, small text, large text, larger bytea);
ALTER TABLE big ALTER large SET STORAGE EXTERNAL, ALTER larger SET STORAGE EXTERNAL;
INSERT INTO big VALUES (1, 's', repeat('x', 5000), decode(repeat('00', 5000), 'hex'));
SELECT length(c), md5(c) FROM changes() c WHERE c LIKE 'INSERT%';
UPDATE big SET small = 't';
UPDATE big SET id = 2;
UPDATE big SET large = 'short', small = NULL;
UPDATE big SET larger = NULL;
DELETE FROM big;
SELECT changes();

-- the whole old row has all values
ALTER TABLE big REPLICA IDENTITY FULL;
INSERT INTO big VALUES (3, 's', repeat('y', 3000), NULL);
UPDATE big SET small = 't';
DELETE FROM big;
SELECT replace(c, repeat('y', 3000), '<large>') FROM changes() c;

-- a key that is stored outside
CREATE TABLE big_key (id text PRIMARY KEY, v text, w text);
ALTER TABLE big_key ALTER id SET STORAGE EXTERNAL;
INSERT INTO big_key VALUES (repeat('k', 2100), 'v', repeat('w', 10));
DELETE FROM big_key;
SELECT replace(c, repeat('k', 2100), '<key>') FROM changes() c;
