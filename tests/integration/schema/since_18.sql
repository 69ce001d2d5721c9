CREATE TABLE app.virt (a integer, b integer GENERATED ALWAYS AS (a + 1) VIRTUAL, c integer GENERATED ALWAYS AS (a + 2) STORED);
CREATE TABLE app.nn (a integer CONSTRAINT "my.name" NOT NULL, b integer NOT NULL NO INHERIT, c integer);
ALTER TABLE app.nn ADD CONSTRAINT later NOT NULL c NOT VALID;
CREATE TABLE app.nn_child (d integer) INHERITS (app.nn);
ALTER TABLE app.nn_child ALTER b SET NOT NULL;
CREATE TABLE app.unenforced (a integer, b integer, CONSTRAINT ne CHECK (a > 0) NOT ENFORCED,
    FOREIGN KEY (a, b) REFERENCES app.fk_parent NOT ENFORCED);
CREATE TABLE app.temporal (id int4range, at daterange, PRIMARY KEY (id, at WITHOUT OVERLAPS));
CREATE TABLE app.temporal_ref (id int4range, at daterange, FOREIGN KEY (id, PERIOD at) REFERENCES app.temporal (id, PERIOD at));
CREATE TABLE app.pid (id integer GENERATED ALWAYS AS IDENTITY, k integer) PARTITION BY LIST (k);
CREATE TABLE app.pid_1 PARTITION OF app.pid FOR VALUES IN (1);
