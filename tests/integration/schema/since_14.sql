CREATE TABLE app.comp (a text COMPRESSION pglz, m int4multirange);
CREATE TYPE app.mrange AS RANGE (subtype = integer, multirange_type_name = app.my_multi);
CREATE TABLE app.multi (r app.mrange, m app.my_multi, ms app.my_multi[]);
CREATE FUNCTION app.standard(a integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN app.add_one(a) + 1;
CREATE PROCEDURE app.standard_proc() LANGUAGE sql BEGIN ATOMIC INSERT INTO app.zz_last VALUES (1); END;
CREATE STATISTICS app.stats_expr ON (lower(t)), n FROM app.everything;
