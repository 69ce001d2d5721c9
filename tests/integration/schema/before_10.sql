-- What only servers before 12 have, and what a source of 9.4 to 9.6 has in another form.
CREATE TABLE app.with_oids (id serial PRIMARY KEY, t text) WITH OIDS;
CREATE TABLE app.keyed_by_oid (t text) WITH OIDS;
CREATE UNIQUE INDEX keyed_by_oid_oid ON app.keyed_by_oid (oid);
CREATE TABLE app.parted (id integer NOT NULL, at date NOT NULL);
CREATE TABLE app.parted_2015 (CHECK (at >= '2015-01-01' AND at < '2016-01-01'), PRIMARY KEY (id)) INHERITS (app.parted);
CREATE FUNCTION app.route() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO app.parted_2015 VALUES (NEW.*); RETURN NULL; END';
CREATE TRIGGER route BEFORE INSERT ON app.parted FOR EACH ROW EXECUTE PROCEDURE app.route();
INSERT INTO app.with_oids (t) SELECT 'row ' || g FROM generate_series(1, 100) g;
INSERT INTO app.parted SELECT g, date '2015-01-01' + g FROM generate_series(1, 100) g;
CREATE SEQUENCE app.before START 7 INCREMENT -2 MINVALUE -500 MAXVALUE 50 CACHE 4 CYCLE;
SELECT nextval('app.before');
