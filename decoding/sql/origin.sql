-- Where a change comes from (9.5 and newer).
SET client_min_messages = warning;
CREATE TABLE travelled (id int PRIMARY KEY);
SELECT pg_replication_origin_create('somewhere') IS NOT NULL AS made;
INSERT INTO travelled VALUES (1);
SELECT pg_replication_origin_session_setup('somewhere');
INSERT INTO travelled VALUES (2);
SELECT pg_replication_origin_session_reset();
CREATE FUNCTION peek(origin text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT data FROM pg_logical_slot_peek_changes('pgsluice_regress', NULL, NULL,
        'min_proto_version', '1', 'max_proto_version', '1', 'form', 'text', 'binary', 'off', 'origin', origin)
$$;
SELECT peek('any');
SELECT peek('none');
SELECT pg_replication_origin_drop('somewhere');
SELECT changes();
