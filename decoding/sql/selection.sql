-- Tables and columns that are not wanted never leave the server.
SET client_min_messages = warning;
CREATE SCHEMA sales;
CREATE SCHEMA "Odd.schema";
CREATE TABLE sales.orders (id int PRIMARY KEY, customer int, note text, total numeric);
CREATE TABLE sales.order_lines (order_id int, line int, what text, PRIMARY KEY (order_id, line));
CREATE TABLE sales.log_2024 (id int PRIMARY KEY, what text);
CREATE TABLE "Odd.schema"."a,b" (id int PRIMARY KEY, "x(y" text, "*" text);
CREATE TABLE outside (id int PRIMARY KEY, v text);
CREATE FUNCTION fill(n int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO sales.orders VALUES (n, 2, 'note', 4);
    INSERT INTO sales.order_lines VALUES (n, 1, 'what');
    INSERT INTO sales.log_2024 VALUES (n, 'log');
    INSERT INTO "Odd.schema"."a,b" VALUES (n, 'x', 'star');
    INSERT INTO outside VALUES (n, 'v');
$$;

SELECT fill(1);
SELECT changes('binary', 'off', 'tables', 'sales.*');
SELECT fill(2);
SELECT changes('binary', 'off', 'tables', 'sales.order?, "Odd.schema"."a,b"');
SELECT fill(3);
SELECT changes('binary', 'off', 'tables', 'sales."*"', 'tables', 'sales.order_*es');
SELECT fill(4);
SELECT changes('binary', 'off', 'exclude_tables', 'sales.log_*, *.outside', 'exclude_tables', 'Odd*.*');
-- nothing wanted: no transaction either
SELECT fill(5);
SELECT changes('tables', '');
SELECT fill(6);
SELECT changes('tables', 'SALES.orders');

-- columns; those of the replica identity are always sent
SELECT fill(7);
SELECT changes('binary', 'off', 'tables', 'sales.*', 'columns', 'sales.orders(total), sales.order_lines(line)');
SELECT fill(8);
SELECT changes('binary', 'off', 'tables', 'sales.o*, Odd*.*', 'exclude_columns', 'sales.orders(id, note),
    "Odd.schema"."a,b"("*")');
SELECT fill(9);
SELECT changes('binary', 'off', 'tables', 'sales.orders', 'columns', 'sales.*(c*, note)',
    'exclude_columns', '*.*(note)');

-- by OID, under any name
SELECT fill(10);
SELECT * FROM changes(VARIADIC ARRAY['binary', 'off', 'tables', 'Odd*.*', 'oids',
    ' 1 , ' || 'sales.log_2024'::regclass::oid]);
ALTER TABLE sales.log_2024 RENAME TO log_2025;
INSERT INTO sales.log_2025 VALUES (11, 'log');
INSERT INTO outside VALUES (11, 'v');
SELECT * FROM changes(VARIADIC ARRAY['binary', 'off', 'oids', 'sales.log_2025'::regclass::oid::text]);

-- an old row has the same columns
ALTER TABLE sales.orders REPLICA IDENTITY FULL;
UPDATE sales.orders SET total = 5 WHERE id = 1;
DELETE FROM sales.orders WHERE id = 1;
SELECT changes('binary', 'off', 'columns', 'sales.orders(total)');
DROP SCHEMA sales, "Odd.schema" CASCADE;
