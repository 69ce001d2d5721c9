CREATE TABLE app.nnd (a integer, b integer, CONSTRAINT nnd_u UNIQUE NULLS NOT DISTINCT (a), tenant integer,
    FOREIGN KEY (tenant, b) REFERENCES app.fk_parent (a, b) ON DELETE SET NULL (b));
CREATE UNIQUE INDEX nnd_i ON app.nnd (b) NULLS NOT DISTINCT;
CREATE UNLOGGED SEQUENCE app.unlogged_seq;
CREATE VIEW app.invoker WITH (security_invoker = true) AS SELECT 1 AS x;
CREATE UNLOGGED TABLE app.logged_identity (a integer GENERATED ALWAYS AS IDENTITY, b serial);
ALTER SEQUENCE app.logged_identity_a_seq SET LOGGED;
