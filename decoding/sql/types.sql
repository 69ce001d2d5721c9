-- Values of many types in text, and the same in binary where that is the same on every server.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET extra_float_digits = 0;
SET bytea_output = 'hex';
CREATE TYPE mood AS ENUM ('sad', 'so so');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE DOMAIN more_positive AS positive CHECK (value > 1);
CREATE DOMAIN moody AS mood;

CREATE TABLE fixed (id int PRIMARY KEY, a int2, b int8, c bool, d float4, e float8, f date, g time, h timestamp,
    i timestamptz, j uuid, k oid, l "char");
INSERT INTO fixed VALUES (-1, -2, -3, true, 1.5, -2.25, '1999-12-31', '00:00:01', '2000-01-01 00:00:01',
    '2000-01-02 00:00:00+00', '00112233-4455-6677-8899-aabbccddeeff', 4000000000, 'x');
INSERT INTO fixed VALUES (2147483647, 32767, 9223372036854775807, false, 'Infinity', 'NaN', 'infinity', '24:00',
    '-infinity', 'infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 0, '');
SELECT changes();
UPDATE fixed SET a = a;
SELECT changes('binary', 'on');

CREATE TABLE varying (id int PRIMARY KEY, a text, b varchar(10), c char(4), d bytea, e numeric, f json, g jsonb,
    h interval, i timetz, j inet, k bit varying, l name);
INSERT INTO varying VALUES (1, 'text', 'varchar', 'c', '\x00ff', 12345.678, '{"a" : 1}', '{"b": [1, null]}',
    '1 year 2 days 03:00', '04:05:06+02', '10.0.0.0/8', '101', 'n');
INSERT INTO varying VALUES (2, '', '', '', '', 'NaN', '""', '{}', '0', '00:00+00', '::1', '', '');
SELECT changes();
UPDATE varying SET a = a;
SELECT changes('binary', 'on');

CREATE TABLE made (id positive PRIMARY KEY, a mood, b moody, c pair, d more_positive, e int[], f mood[], g text[][],
    h int4range, i pair[], j tsvector, k money, l point);
INSERT INTO made VALUES (1, 'sad', 'so so', '(1,"x, y")', 7, '{1,NULL,3}', '{sad,"so so"}', '{{a,"b c"},{NULL,"\""}}',
    '[1,5)', '{"(1,x)"}', '''a'':1', NULL, '(1,2)');
SELECT changes();
UPDATE made SET d = 8;
SELECT changes('binary', 'on');

-- a long text, compressed and not
CREATE TABLE long_text (id int PRIMARY KEY, a text);
INSERT INTO long_text SELECT 1, repeat('0123456789', 30);
INSERT INTO long_text SELECT 2, repeat('0123456789', 500);
SELECT substr(c, 1, 60), length(c), c LIKE '%0123456789''' FROM changes() c;
