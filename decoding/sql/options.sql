-- The slot and the function that all tests use, the options, and what is said when they are wrong.
SET client_min_messages = warning;
SELECT slot_name FROM pg_create_logical_replication_slot('pgsluice_regress', 'pgsluice_decoding');
CREATE FUNCTION changes(VARIADIC options text[]) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT data FROM pg_logical_slot_get_changes('pgsluice_regress', NULL, NULL, VARIADIC
        ARRAY['min_proto_version', '1', 'max_proto_version', '1', 'form', 'text'] || options)
$$;
CREATE FUNCTION changes() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT changes(VARIADIC ARRAY['binary', 'off'])
$$;
CREATE FUNCTION tried(VARIADIC options text[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM pg_logical_slot_peek_changes('pgsluice_regress', NULL, NULL, VARIADIC options)
$$;
\set VERBOSITY terse

-- versions
SELECT tried('form', 'text');
SELECT tried('form', 'text', 'min_proto_version', '1');
SELECT tried('form', 'text', 'min_proto_version', '2', 'max_proto_version', '3');
SELECT tried('form', 'text', 'min_proto_version', '2', 'max_proto_version', '1');
SELECT tried('form', 'text', 'min_proto_version', '0', 'max_proto_version', '1');
SELECT tried('form', 'text', 'min_proto_version', '1x', 'max_proto_version', '1');
SELECT tried('form', 'text', 'min_proto_version', '1', 'max_proto_version', '99');

-- values
SELECT changes('wrong', 'x');
SELECT changes('binary', 'maybe');
SELECT changes('origin', 'some');
SELECT changes('form', 'json');
SELECT changes('message_bytes', '-1');
SELECT changes('message_bytes', '99999999');

-- lists
SELECT changes('tables', 'one');
SELECT changes('tables', 'one.two.three');
SELECT changes('tables', 'one."two');
SELECT changes('tables', 'one.two,');
SELECT changes('tables', '.');
SELECT changes('columns', 'one.two');
SELECT changes('columns', 'one.two()');
SELECT changes('exclude_columns', 'one.two(a, b');
SELECT changes('messages', '"a" b');
SELECT changes('oids', '');
SELECT changes('oids', '12,x');
SELECT changes('oids', '4294967296');
SELECT changes('oids', '1 2');
SELECT changes('tables', '', 'exclude_tables', ' a.b , "C ""c".d ', 'columns', 'a.*(b,"c d")', 'messages', 'a.b, *');

-- the form for programs is binary
SELECT count(*) FROM pg_logical_slot_peek_binary_changes('pgsluice_regress', NULL, NULL,
    'min_proto_version', '1', 'max_proto_version', '1');
