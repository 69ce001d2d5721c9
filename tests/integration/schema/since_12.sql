CREATE TABLE app.gen (a integer, b integer GENERATED ALWAYS AS (a * 2) STORED, c text GENERATED ALWAYS AS (upper('x' || a)) STORED) ;
ALTER TABLE app.gen DROP COLUMN c;
ALTER TABLE app.gen ADD c text GENERATED ALWAYS AS (repeat('x', a)) STORED NOT NULL;
CREATE INDEX ON app.gen (b);
CREATE TABLE app.pi_ref (k integer, id integer, FOREIGN KEY (id, k) REFERENCES app.pi (id, k));
CREATE TABLE app.gen_part (a integer, b integer GENERATED ALWAYS AS (a + 1) STORED) PARTITION BY RANGE (a);
CREATE TABLE app.gen_part_1 PARTITION OF app.gen_part FOR VALUES FROM (1) TO (10);
CREATE TABLE app.vac (a text) WITH (vacuum_index_cleanup = off, vacuum_truncate = false, toast.vacuum_truncate = true);
