-- Logical messages, by prefix (9.6 and newer).
SET client_min_messages = warning;
CREATE TABLE told (id int PRIMARY KEY);
CREATE FUNCTION tell(n int) RETURNS boolean LANGUAGE sql AS $$
    INSERT INTO told VALUES (n);
    SELECT pg_logical_emit_message(true, 'pgsluice', 'inside');
    SELECT pg_logical_emit_message(true, 'other.app', 'it''s');
    SELECT pg_logical_emit_message(false, 'pgsluice', 'outside') IS NOT NULL;
$$;
SELECT tell(1);
SELECT changes('binary', 'off');
SELECT tell(2);
SELECT changes('binary', 'off', 'messages', 'pgsluice');
SELECT tell(3);
SELECT changes('binary', 'off', 'messages', '"other.app"');
SELECT tell(4);
SELECT changes('binary', 'off', 'messages', 'x*, other.*');

-- a message makes a transaction that has nothing else
SELECT pg_logical_emit_message(true, 'pgsluice', '') IS NOT NULL AS sent;
SELECT changes('messages', '*');
