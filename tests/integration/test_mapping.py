"""Names: renames one by one, bulk rules, case policies; what refers to a renamed object follows it.

The rows of a view, or what a trigger, rule or policy does, are compared with the source's: a definition that
follows wrongly gives other rows or none at all."""

import json

import pytest

from pgtest.sluice import FAILED, PRECHECK, USAGE

# A reference of every kind to tables and columns that are renamed.
SHOP = """
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('glad', 'sad');
CREATE DOMAIN shop.positive AS integer CHECK (VALUE > 0);
CREATE FUNCTION shop.twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN $1 * 2;
CREATE TABLE shop.customer (id serial PRIMARY KEY, "Full Name" text NOT NULL, year integer,
    mood shop.mood DEFAULT 'glad'::shop.mood, CONSTRAINT customer_year_check CHECK (year > 1900 AND "Full Name" <> ''));
CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, cust integer NOT NULL
    REFERENCES shop.customer ON DELETE CASCADE, amount numeric(10,2) CHECK (amount > 0 AND cust > 0), note text,
    double integer GENERATED ALWAYS AS (shop.twice(cust)) STORED, placed date DEFAULT '2024-01-01',
    at shop.positive DEFAULT 1, UNIQUE (cust, note), EXCLUDE USING btree (cust WITH =, placed WITH =));
CREATE INDEX orders_lower ON shop.orders (lower(note), cust DESC) WHERE cust > 3 AND note IS NOT NULL;
CREATE INDEX by_placed ON shop.orders (EXTRACT(year FROM placed)) INCLUDE (cust);
CREATE STATISTICS shop.orders_stat (dependencies) ON cust, placed FROM shop.orders;
CREATE TABLE shop.log (id serial PRIMARY KEY, cust integer, what text);
COMMENT ON COLUMN shop.orders.cust IS 'who';
COMMENT ON TABLE shop.orders IS 'shop.orders is a name in a text';
CREATE SEQUENCE shop.free START 5;
CREATE TABLE shop.with_sequence (id integer DEFAULT nextval('shop.free'::regclass) PRIMARY KEY, owner regclass
    DEFAULT 'shop.orders'::regclass);

CREATE VIEW shop.v_plain AS SELECT id, cust, amount FROM shop.orders WHERE cust > 1;
CREATE VIEW shop.v_join AS SELECT o.cust, c."Full Name", orders.id AS other FROM shop.orders o
    JOIN shop.customer c ON c.id = o.cust LEFT JOIN shop.orders ON orders.cust = o.id;
CREATE VIEW shop.v_using AS SELECT * FROM shop.orders JOIN (SELECT id AS cust, year FROM shop.customer) x USING (cust);
CREATE VIEW shop.v_natural AS SELECT * FROM shop.orders a JOIN shop.log b USING (id, cust);
CREATE VIEW shop.v_cte AS WITH orders AS (SELECT cust, sum(amount) AS amount FROM shop.orders GROUP BY cust)
    SELECT orders.cust, orders.amount, (SELECT max(o.id) FROM shop.orders o WHERE o.cust = orders.cust) AS last FROM orders;
CREATE VIEW shop.v_union AS SELECT cust AS a FROM shop.orders UNION SELECT id FROM shop.customer ORDER BY 1;
CREATE VIEW shop.v_whole AS SELECT o AS whole, (o).cust FROM shop.orders o;
CREATE VIEW shop.v_view AS SELECT v.cust, v."Full Name" FROM shop.v_join v WHERE EXISTS
    (SELECT FROM shop.v_plain WHERE v_plain.cust = v.cust);
CREATE VIEW shop.v_lateral AS SELECT c.id, l.cust FROM shop.customer c, LATERAL (SELECT cust FROM shop.orders
    WHERE cust = c.id) l, ONLY shop.log TABLESAMPLE system (100);
CREATE MATERIALIZED VIEW shop.m AS SELECT cust, count(*) AS n FROM shop.orders GROUP BY cust;
CREATE UNIQUE INDEX m_cust ON shop.m (cust);
COMMENT ON COLUMN shop.v_plain.cust IS 'of the view';

CREATE FUNCTION shop.total(cust integer) RETURNS numeric LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT sum(amount) FROM shop.orders o WHERE o.cust = total.cust; END;
CREATE PROCEDURE shop.move(a integer, b integer) LANGUAGE sql BEGIN ATOMIC
    UPDATE shop.log SET cust = b, what = what || 'moved' WHERE cust = a;
    INSERT INTO shop.log (cust, what) VALUES (b, 'move');
    DELETE FROM shop.log USING shop.customer WHERE log.cust = customer.id AND customer."Full Name" = 'nobody';
END;
CREATE FUNCTION shop.in_text() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM shop.orders $$;
CREATE FUNCTION shop.with_path() RETURNS bigint LANGUAGE sql SET search_path TO shop, pg_temp AS $$ SELECT count(*) FROM with_sequence $$;
CREATE FUNCTION shop.logged() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER logs BEFORE UPDATE OF cust, note ON shop.orders FOR EACH ROW
    WHEN (old.cust IS DISTINCT FROM new.cust) EXECUTE FUNCTION shop.logged();
CREATE RULE a_log AS ON UPDATE TO shop.v_plain WHERE old.cust <> new.cust DO ALSO
    INSERT INTO shop.log (cust, what) VALUES (new.cust, 'by rule');
CREATE RULE do_it AS ON UPDATE TO shop.v_plain DO INSTEAD
    UPDATE shop.orders SET cust = new.cust, amount = new.amount WHERE orders.id = old.id;
CREATE RULE watch AS ON DELETE TO shop.orders WHERE old.cust = 99 DO ALSO
    INSERT INTO shop.log (cust, what) SELECT o.cust, 'left' FROM shop.orders o WHERE o.cust = old.cust;
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.orders USING (cust > 0 AND EXISTS (SELECT FROM shop.customer c WHERE c.id = orders.cust))
    WITH CHECK (cust > 0);

CREATE TABLE shop.part (cust integer, day date, PRIMARY KEY (cust, day)) PARTITION BY RANGE (cust);
CREATE TABLE shop.part_1 PARTITION OF shop.part FOR VALUES FROM (0) TO (10);
CREATE TABLE shop.part_2 PARTITION OF shop.part DEFAULT;
CREATE INDEX ON shop.part (day, cust);
CREATE TABLE shop.hashed (cust integer, t text) PARTITION BY RANGE (cust, lower(t));
CREATE TABLE shop.base (id integer PRIMARY KEY, cust integer CHECK (cust > 0));
CREATE TABLE shop.child (extra text, PRIMARY KEY (id)) INHERITS (shop.base);
"""
ROWS = """
INSERT INTO shop.customer ("Full Name", year) SELECT 'n' || i, 1950 + i FROM generate_series(1, 9) i;
INSERT INTO shop.orders (cust, amount, note, placed) SELECT i % 9 + 1, i, 'note ' || i, '2024-01-01'::date + i FROM generate_series(1, 90) i;
INSERT INTO shop.log (cust, what) SELECT i % 5, 'w' FROM generate_series(1, 20) i;
INSERT INTO shop.part SELECT i, '2024-01-01' FROM generate_series(1, 20) i;
INSERT INTO shop.base VALUES (1, 1); INSERT INTO shop.child VALUES (2, 2, 'x');
INSERT INTO shop.with_sequence (owner) VALUES (NULL);
REFRESH MATERIALIZED VIEW shop.m;
"""
CHANGES = """
UPDATE shop.orders SET cust = 2 WHERE id % 7 = 0; DELETE FROM shop.orders WHERE id % 11 = 0;
INSERT INTO shop.orders (cust, amount, note, placed) VALUES (3, 1, 'new', '2030-01-01');
UPDATE shop.customer SET "Full Name" = 'x' || id WHERE id = 9;
UPDATE shop.part SET cust = cust + 100 WHERE cust IN (1, 2); UPDATE shop.base SET cust = 7;
TRUNCATE shop.log; INSERT INTO shop.log (cust, what) VALUES (1, 'again');
"""
VIEWS = ["v_plain", "v_join", "v_using", "v_natural", "v_cte", "v_union", "v_view", "v_lateral", "m"]
RENAMES = [{"schema": "shop", "rename": "Handel", "tables": [
    {"table": "*"},
    {"table": "orders", "rename": "orders eu", "columns": {"rename": {"cust": "Customer.Id", "note": "order", "id": "cust"}}},
    {"table": "customer", "columns": {"rename": {"Full Name": "name", "year": "since"}}},
    {"table": "log", "rename": "journal", "columns": {"rename": {"cust": "who"}}},
    {"table": "part", "rename": "parted", "columns": {"rename": {"cust": "who"}}},
    {"table": "base", "columns": {"rename": {"cust": "customer"}}},
]}]


def rows(database, query):
    return sorted(map(repr, database.sql(query)))


def failures(destination):
    return destination.sql("SELECT kind, identity, result, detail FROM pgsluice.object WHERE result <> 'created'")


def same_views(pair, schema="Handel", views=VIEWS):
    for view in views:
        found = rows(pair.destination, f'SELECT * FROM "{schema}"."{view}"')
        assert found == rows(pair.source, f"SELECT * FROM shop.{view}"), view


def names_of(database, schema):
    return {name: kind for name, kind in database.sql(
        "SELECT relname, relkind::text FROM pg_class WHERE relnamespace = %s::regnamespace", [f'"{schema}"'])}


def test_references_follow_renames(pair, sluice):
    pair.source.script(SHOP + ROWS)
    task = sluice(pair, objects=RENAMES)
    task.sync()
    assert failures(pair.destination) == []
    same_views(pair)
    pair.source.script(CHANGES)
    task.sync()
    same_views(pair, views=[view for view in VIEWS if view != "m"])
    columns = '"cust", "Customer.Id", amount, "order", double, placed'
    assert rows(pair.destination, f'SELECT {columns} FROM "Handel"."orders eu"') == rows(
        pair.source, "SELECT id, cust, amount, note, double, placed FROM shop.orders")
    assert rows(pair.destination, 'SELECT * FROM "Handel".parted') == rows(pair.source, "SELECT * FROM shop.part")
    assert rows(pair.destination, 'SELECT who, what FROM "Handel".journal') == rows(
        pair.source, "SELECT cust, what FROM shop.log")
    assert rows(pair.destination, 'SELECT id, customer FROM "Handel".child') == rows(
        pair.source, "SELECT id, cust FROM shop.child")


def test_what_follows_works(pair, sluice):
    """Definitions that nobody reads in a view: they are called."""
    pair.source.script(SHOP + ROWS)
    sluice(pair, objects=RENAMES, stages=["schema", "full"]).run()
    destination = pair.destination
    assert destination.value('SELECT "Handel".total(3)') == pair.source.value("SELECT shop.total(3)")
    assert destination.value('SELECT "Handel".with_path()') == 1
    destination.sql('CALL "Handel".move(1, 77)')
    assert destination.value('SELECT count(*) FROM "Handel".journal WHERE who = 77') == 5
    destination.sql('UPDATE "Handel".v_plain SET cust = 9 WHERE cust = 2')
    assert destination.value("""SELECT count(*) FROM "Handel".journal WHERE what = 'by rule' AND who = 9""") == 10
    assert destination.value('SELECT count(*) FROM "Handel"."orders eu" WHERE "Customer.Id" = 2') == 0
    definition = destination.value("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'logs'")
    assert 'UPDATE OF "Customer.Id", "order" ON "Handel"."orders eu"' in definition
    assert 'old."Customer.Id" IS DISTINCT FROM new."Customer.Id"' in definition
    assert destination.value("SELECT pg_get_expr(polqual, polrelid) FROM pg_policy").count('"Customer.Id"') == 2
    assert destination.value("""SELECT col_description('"Handel"."orders eu"'::regclass, 2)""") == "who"
    assert "shop.orders is" in destination.value("""SELECT obj_description('"Handel"."orders eu"'::regclass)""")
    assert destination.value("""INSERT INTO "Handel".with_sequence DEFAULT VALUES RETURNING owner::text""") == '"Handel"."orders eu"'
    # one object's text is flagged, and only that
    flagged = destination.sql("SELECT identity, detail FROM pgsluice.object WHERE detail IS NOT NULL")
    assert flagged == [("shop.in_text()", "its body is text and mentions shop, which has another name here")]


def test_what_belongs_to_a_table_follows_its_name(pair, sluice):
    pair.source.script(SHOP + ROWS)
    task = sluice(pair, objects=RENAMES)
    task.sync()
    names = names_of(pair.destination, "Handel")
    assert {"orders eu_pkey", "orders eu_lower", "orders eu_id_seq", "by_placed", "journal_id_seq", "customer_id_seq",
            "parted_pkey", "part_1", "free"} <= set(names)
    assert not {"orders_pkey", "log_id_seq", "orders_id_seq"} & set(names)
    constraints = {name for (name,) in pair.destination.sql(
        """SELECT conname FROM pg_constraint WHERE conrelid = '"Handel"."orders eu"'::regclass""")}
    assert {"orders eu_pkey", "orders eu_cust_fkey", "orders eu_cust_note_key"} <= constraints
    assert pair.destination.value("""SELECT last_value FROM "Handel"."orders eu_id_seq" """) == 90
    pair.source.script(CHANGES)
    task.sync()
    assert pair.destination.value("""SELECT last_value FROM "Handel"."orders eu_id_seq" """) == 91


def test_resync_of_a_renamed_table(pair, sluice):
    pair.source.script(SHOP + ROWS)
    task = sluice(pair, objects=RENAMES)
    task.sync()
    pair.destination.sql('DELETE FROM "Handel"."orders eu" WHERE cust % 3 = 0')
    running = task.background()
    task.call("resync", "shop.orders")
    running.wait_until(lambda: pair.destination.value('SELECT count(*) FROM "Handel"."orders eu"') == 90)
    running.interrupt()
    assert rows(pair.destination, 'SELECT cust, "Customer.Id" FROM "Handel"."orders eu"') == rows(
        pair.source, "SELECT id, cust FROM shop.orders")


@pytest.mark.parametrize("case, schema, table, column", [
    ("lower", "mixed", "order", "id"), ("upper", "MIXED", "ORDER", "ID"), ("dts", "mixed", "order", "Id")])
def test_case_policies(case, schema, table, column, pair, sluice):
    pair.source.script("""
        CREATE SCHEMA "Mixed";
        CREATE TABLE "Mixed"."Order" ("Id" int PRIMARY KEY, "Text" text CHECK ("Text" <> 'x'), plain serial);
        CREATE VIEW "Mixed"."View" AS SELECT "Id" AS "Key", count(*) AS "N" FROM "Mixed"."Order" GROUP BY "Id";
        CREATE VIEW "Mixed"."Over" AS SELECT v."Key" + 1 AS "Next" FROM "Mixed"."View" v JOIN "Mixed"."Order" o ON o."Id" = v."Key";
        COMMENT ON COLUMN "Mixed"."View"."Key" IS 'k';
        CREATE TABLE "Mixed"."Child" (id int PRIMARY KEY, "Order" int REFERENCES "Mixed"."Order");
        INSERT INTO "Mixed"."Order" SELECT i, 't' || i FROM generate_series(1, 100) i;
        INSERT INTO "Mixed"."Child" SELECT i, i FROM generate_series(1, 100) i;""")
    task = sluice(pair, objects=[{"schema": "Mixed"}], names={"case": case})
    task.sync()
    pair.source.script("""UPDATE "Mixed"."Order" SET "Text" = 'changed' WHERE "Id" < 10; DELETE FROM "Mixed"."Child" WHERE id > 50;""")
    task.sync()
    assert failures(pair.destination) == []
    name = f'"{schema}"."{table}"'
    assert rows(pair.destination, f'SELECT "{column}" FROM {name}') == rows(pair.source, 'SELECT "Id" FROM "Mixed"."Order"')
    fold = {"lower": str.lower, "upper": str.upper, "dts": str.lower}[case]
    columns = str if case == "dts" else fold
    view = f'"{schema}"."{fold("Over")}"'
    assert rows(pair.destination, f'SELECT "{columns("Next")}" FROM {view}') == rows(pair.source, 'SELECT "Next" FROM "Mixed"."Over"')
    assert set(names_of(pair.destination, schema)) == {fold(name) for name in names_of(pair.source, "Mixed")}


def test_bulk_rules(pair, sluice):
    pair.source.script(SHOP + ROWS)
    task = sluice(pair, objects=[{"schema": "shop"}], names={"rules": [
        {"prefix": "eu_"}, {"objects": "shop.*", "regex": {"^eu_(c.*)$": "\\1_eu"}},
        {"of": "columns", "objects": "shop.*.cust", "replace": {"cust": "customer"}},
        {"of": "schemas", "suffix": "_copy"}]})
    task.sync()
    assert failures(pair.destination) == []
    pair.source.script(CHANGES)
    task.sync()
    names = names_of(pair.destination, "shop_copy")
    assert {"eu_orders", "customer_eu", "child_eu", "eu_v_plain", "eu_orders_pkey", "customer_eu_pkey", "eu_free",
            "eu_by_placed"} <= set(names)
    assert rows(pair.destination, "SELECT customer, id FROM shop_copy.eu_v_plain") == rows(
        pair.source, "SELECT cust, id FROM shop.v_plain")


def test_names_given_twice_are_marked(pair, sluice):
    """`plan --names` shows a mapping as a whole, also one that a run would refuse."""
    pair.source.script("CREATE TABLE a_x (id int PRIMARY KEY, b int, c int); CREATE TABLE b_x (id int PRIMARY KEY);"
                       "CREATE TABLE other (id int PRIMARY KEY)")
    spec = {"names": {"rules": [{"regex": {"^[ab]_": ""}}, {"of": "columns", "objects": "public.a_x.*",
                                                           "replace": {"c": "b"}}]}}
    task = sluice(pair, **spec)
    found = json.loads(task.call("plan", "--names", "--json").stdout)
    marked = {one["source"]: (one["destination"], one["collision"]) for one in found["items"]}
    assert marked == {"public": ("public", False), "public.a_x": ("public.x", True), "public.b_x": ("public.x", True),
                      "public.other": ("public.other", False), "public.a_x.b": ("public.x.b", True),
                      "public.a_x.c": ("public.x.b", True)}
    assert found["collisions"] == 4
    assert "table public.a_x → public.x   (name given twice)\n" in task.call("plan", "--names").stdout
    task.call("plan", code=USAGE)


def test_plan_shows_names_before_and_after(pair, sluice):
    pair.source.script(SHOP)
    task = sluice(pair, objects=RENAMES)
    text = task.call("plan").stdout
    assert "-- shop.orders → Handel.orders eu" in text
    assert "id → cust, cust → Customer.Id, amount, note → order" in text
    assert "-- view shop.v_plain → Handel.v_plain\n" in text and "-- schema shop → Handel\n" in text
    assert "-- index shop.orders_pkey → Handel.orders eu_pkey\n" in text
    assert "-- constraint shop.orders.orders_cust_fkey → Handel.orders eu.orders eu_cust_fkey\n" in text
    assert "-- function shop.in_text(): its body is text and mentions shop, which has another name here\n" in text
    plan = json.loads(task.call("plan", "--json").stdout)
    names = {(o["kind"], o["object"]): o for o in plan["objects"]}
    assert names["sequence", "shop.free"]["destination"] == "Handel.free"
    assert names["function", "shop.twice(integer)"]["destination"] == "Handel.twice(integer)"
    assert "mentions shop" in names["function", "shop.in_text()"]["note"]
    assert pair.destination.schemas() == ["public"]


TWO = """CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t (id int PRIMARY KEY, "ID" int);
    CREATE TABLE a."T" (id int PRIMARY KEY); CREATE TABLE b.t (id int PRIMARY KEY, x int); CREATE INDEX by_x ON b.t (x);
    CREATE TABLE a.u (id int PRIMARY KEY, x int); CREATE INDEX by_x ON a.u (x); CREATE VIEW a.v AS SELECT 1 AS one;"""
LONG = "n" * 40


@pytest.mark.parametrize("spec, text", [
    ({"objects": [{"schema": "a", "rename": "c"}, {"schema": "b", "rename": "c"}]}, "tables a.t and b.t would both be c.t"),
    ({"objects": [{"schema": "a", "tables": [{"table": "t"}, {"table": "T"}]}], "names": {"case": "lower"}},
     "tables a.T and a.t would both be a.t"),
    ({"objects": [{"schema": "a", "tables": [{"table": "t"}]}], "names": {"case": "lower"}},
     "columns id and ID of table a.t would both be called id"),
    ({"objects": [{"schema": "a", "tables": [{"table": "t"}]}], "names": {"rules": [{"prefix": LONG, "suffix": LONG}]}},
     f"table a.t would be called {LONG}t{LONG}, which is longer than PostgreSQL's names (81 bytes of 63)"),
    ({"objects": [{"schema": "a", "tables": [{"table": "t", "columns": {"rename": {"id": "xmin"}}}]}]},
     "column id of table a.t would be called xmin: the server has a column of that name in every table"),
    ({"objects": [{"schema": "a", "rename": "pg_x"}]}, "schema a would be called pg_x: such names are the server's"),
    ({"objects": [{"schema": "a", "rename": "pgsluice"}]}, "schema a would be called pgsluice, which holds the state of tasks"),
    ({"objects": [{"schema": "a", "tables": [{"table": "t", "columns": {"rename": {"nosuch": "x"}}}]}]},
     "columns.rename: table a.t has no selected column nosuch"),
    ({"objects": [{"schema": "a", "tables": [{"table": "u"}]}, {"schema": "b", "rename": "a"}]},
     "index a.by_x and index b.by_x would both be a.by_x"),
    ({"objects": [{"schema": "a", "tables": [{"table": "*"}, {"table": "T", "rename": "v"}]}]},
     "table a.T and view a.v would both be a.v"),
])
def test_names_that_cannot_be(spec, text, pair, sluice):
    """Refused with both names before anything is touched."""
    pair.source.script(TWO)
    task = sluice(pair, **spec)
    of_objects = "index" in text or "view" in text
    for command in ("run", "plan", "check"):
        code = PRECHECK if of_objects and command != "plan" else USAGE
        assert text in task.call(command, code=code).text
    assert pair.destination.schemas() == ["public"] and not pair.source.slots() and not pair.source.publications()


def test_reserved_words(pair, sluice):
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, x int CHECK (x > 0)); INSERT INTO t VALUES (1, 2)")
    task = sluice(pair, objects=[{"schema": "public", "rename": "select", "tables": [
        {"table": "t", "rename": "user", "columns": {"rename": {"id": "order", "x": "table"}}}]}])
    task.sync()
    pair.source.sql("UPDATE t SET x = 3")
    task.sync()
    assert pair.destination.sql('SELECT "order", "table" FROM "select"."user"') == [(1, 3)]


def test_names_stay(pair, sluice):
    pair.source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    task = sluice(pair, id="staysame1")
    task.sync()
    task.spec["names"] = {"rules": [{"prefix": "x_"}]}
    task.write()
    text = task.run(code=None)
    assert text.code == FAILED and "table public.t is synchronized into public.t, and the specification now says public.x_t" in text.text


def test_a_table_in_the_way(pair, sluice):
    """A conflict is one of the new name, not of the old."""
    pair.source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    pair.destination.sql("CREATE TABLE t (other text)")
    renamed = [{"schema": "public", "tables": [{"table": "t", "rename": "u"}]}]
    sluice(pair, objects=renamed).sync()
    pair.destination.sql("CREATE TABLE w (other text)")
    renamed[0]["tables"][0]["rename"] = "w"
    task = sluice(pair, name="second", objects=renamed)
    assert "already has a table public.w" in task.run(code=PRECHECK).text
