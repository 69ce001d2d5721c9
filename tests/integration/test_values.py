"""Values and keys of every type: the copy and the stream bring each as it is, and find each row again."""

import itertools
import os
import random
import sys

import pytest

from pgtest import compare
from pgtest.sluice import DONE, FAILED, PRECHECK

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from torture import values  # noqa: E402
from torture.values import literal  # noqa: E402

# not proven in binary: a stream with one of them is text
TEXT_ONLY = {"money", "tsvector", "tsquery", "xml", "txid_snapshot", "pg_snapshot", "xid8", "tid", "jsonpath",
             "int4multirange", "nummultirange"}


def run_all(database, *statements):
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement)


def started(pair, sluice, ddl, **spec):
    pair.source.script(ddl)
    task = sluice(pair, **spec)
    task.sync()
    return task


def caught_up(pair, task):
    finished = task.sync()
    compare.assert_equal(pair.source, pair.destination)
    return finished


# -- values ---------------------------------------------------------------------------------------


def tables_of(types):
    """[(DDL, statements)] for a table per type: a key, the type, an array of it; and one without a key, FULL."""
    rng = random.Random(1)
    for number, type_ in enumerate(types):
        array = values.array_of(type_) if type_.arrays else type_
        texts = type_.extremes + [type_.random(rng) for _ in range(5)] + [None]
        arrays = [array.random(rng) for _ in texts[:-2]] + ["{}" if type_.arrays else None, None]
        ddl = (f"CREATE TABLE v{number} (id int PRIMARY KEY, v {type_.sql}, a {array.sql});"
               f"CREATE TABLE w{number} (v {type_.sql}, n int); ALTER TABLE w{number} REPLICA IDENTITY FULL;")
        rows = ", ".join(f"({i}, {literal(v)}, {literal(a)})" for i, (v, a) in enumerate(zip(texts, arrays)))
        twice = ", ".join(f"({literal(v)}, {n})" for v in texts for n in (1, 1, 2))
        statements = [f"INSERT INTO v{number} VALUES {rows}", f"INSERT INTO w{number} VALUES {twice}"]
        for i, (v, a) in enumerate(zip(texts[1:] + texts[:1], arrays[1:] + arrays[:1])):
            statements += [f"UPDATE v{number} SET v = {literal(v)}, a = {literal(a)} WHERE id = {i}",
                           f"UPDATE v{number} SET id = id + 1000, a = NULL WHERE id = {i} AND id % 3 = 0"]
        statements += [f"DELETE FROM v{number} WHERE id % 5 = 4",
                       f"DELETE FROM w{number} WHERE ctid IN (SELECT min(ctid) FROM w{number} WHERE n = 1 GROUP BY v::text)",
                       f"UPDATE w{number} SET n = n + 10 WHERE ctid IN (SELECT max(ctid) FROM w{number} GROUP BY v::text)"]
        yield ddl, statements


def all_values(pair, sluice, types, prepare="", **spec):
    made = list(tables_of(types))
    # the copy has them too: those of the second half are there before it
    pair.source.script(prepare + "".join(ddl for ddl, _ in made))
    half = len(made) // 2
    run_all(pair.source, *itertools.chain.from_iterable(statements[:2] for _, statements in made[half:]))
    task = sluice(pair, **spec)
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
    for number, (_, statements) in enumerate(made):
        run_all(pair.source, *(statements if number < half else statements[2:]))
    return caught_up(pair, task)


@pytest.mark.parametrize("source, destination", [(15, 15), (10, 18), (18, 18), (18, 13)])
def test_every_type(source, destination, make_pair, sluice):
    """With the extremes of each, arrays of other shapes and bounds, NULLs; as text."""
    types = values.scalars((source, destination), floats=(source >= 12) == (destination >= 12))
    finished = all_values(make_pair(source, destination), sluice, types)
    assert [e for e in finished.events() if e["event"] == "stream.started"][0]["binary"] is False


@pytest.mark.parametrize("source, destination", [(15, 15), (18, 18), (14, 18)])
def test_every_proven_type_in_binary(source, destination, make_pair, sluice):
    types = [t for t in values.scalars((source, destination)) if t.sql not in TEXT_ONLY]
    finished = all_values(make_pair(source, destination), sluice, types)
    assert [e for e in finished.events() if e["event"] == "stream.started"][0]["binary"] is True


USER_TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'quo"te', 'a,b', '');
CREATE TYPE pair AS (a mood, b numeric, c text[]);
CREATE TYPE nest AS (p pair, q pair[]);
CREATE TYPE span AS RANGE (subtype = numeric);
CREATE DOMAIN dint AS int CHECK (VALUE > -5000000);
CREATE DOMAIN ddint AS dint CHECK (VALUE < 5000000);
CREATE DOMAIN dtext AS varchar(40) NOT NULL CHECK (VALUE <> 'never');
CREATE DOMAIN denum AS mood;
CREATE DOMAIN darray AS text[];
CREATE DOMAIN dspan AS span;
CREATE DOMAIN dpair AS pair;
CREATE DOMAIN dmoney AS money;
"""


def user_types():
    mood = values.Type("mood", ["sad", "it's ok", 'quo"te', "a,b", ""])
    words = values.array_of(values.by_name("text"))
    pair = values.composite("pair", [mood, values.by_name("numeric"), words])
    span = values.Type("span", ["empty", "(,)", "[1.0,1.00]"], values.by_name("numrange").make)
    number = values.by_name("integer")
    small = lambda r: str(r.randint(-10**6, 10**6))  # noqa: E731
    return [mood, pair, values.composite("nest", [pair, values.array_of(pair)]), span,
            values.Type("dint", ["0"], small), values.Type("ddint", ["0"], small),
            values.Type("denum", mood.extremes), values.Type("darray", words.extremes, words.make, arrays=False),
            values.Type("dspan", span.extremes, span.make), values.Type("dpair", [], pair.make),
            values.Type("dmoney", ["0", "-1.05"]), number]


@pytest.mark.parametrize("source, destination", [(15, 15), (18, 18), (12, 14)])
def test_user_types(source, destination, make_pair, sluice):
    """Enums, composites, ranges, domains over each and over domains, nested, and arrays of all of them."""
    all_values(make_pair(source, destination), sluice, user_types(), USER_TYPES)


def test_domains_that_take_no_null(pair, sluice):
    """A domain's NOT NULL holds for every value that is written, and only for these."""
    task = started(pair, sluice, USER_TYPES + "CREATE TABLE d (id int PRIMARY KEY, v dtext, n int)")
    run_all(pair.source, "INSERT INTO d VALUES (1, '', 1), (2, 'x', 2)", "UPDATE d SET n = n + 1",
            "UPDATE d SET v = repeat('y', 40) WHERE id = 1", "DELETE FROM d WHERE id = 2")
    caught_up(pair, task)


EXTENSIONS = [
    values.CITEXT, values.HSTORE,
    values.Type("ltree", ["", "Top", "Top.Science.Astronomy"], lambda r: f"a.b{r.randint(0, 99)}"),
    values.Type("lquery", ["*", "Top.*{1,2}.a|b"]),
    values.Type("cube", ["(0)", "(1,2,3)", "(1,2),(3,4)", "(1e-300)"], lambda r: f"({r.randint(0, 99)},1)"),
]


def test_types_of_extensions(pair, sluice):
    """Their OIDs differ between the servers; they travel as text."""
    pair.destination.script("CREATE TABLE some_oids (i int); CREATE TYPE taken AS ENUM ('x');")
    pair.destination.sql("DROP TABLE some_oids")
    pair.destination.sql("DROP TYPE taken")
    all_values(pair, sluice, EXTENSIONS, "".join(f"CREATE EXTENSION {name};" for name in ("citext", "hstore", "ltree", "cube")))


# -- keys -----------------------------------------------------------------------------------------

# a type and keys: those at 2k and 2k + 1 are equal to the key's index, or near it, without being the same
KEYS = [
    ("numeric", "1.0 1.00 0 -0.000 1e5 100000.0 NaN Infinity"),
    ("double precision", "0 -0 NaN Infinity 1 1.0000000000000002 -Infinity 1e-320"),
    ("real", "0 -0 NaN Infinity 1 1.0000001 -Infinity 1e-40"),
    ("character(5)", "a b ab abc A B '' x"),
    ("citext", "key KEY other OTHER ß SS a b"),
    ("interval", "1mon 30days 24:00:00 1day 12mons 1year 0 -00:00:00.000001"),
    ("jsonb", '{"a":1.0} {"a":1.00} [1] [1.0] 0 0.0 null {}'),
    ("numeric[]", "{1.0} {1.00} {} {NULL} {1} {1,1} {NaN} {0}"),
    ("numrange", "[1.0,2) [1.00,2) empty (,) [1,1] [1.0,1.0] (,1) (1,)"),
    ("timestamptz", "2020-01-01T00:00:00+00 2020-01-01T02:00:00+02 infinity -infinity 0044-03-15BC 2000-01-01 2001-01-01 2002-01-01"),
    ("time", "24:00:00 00:00:00 23:59:59.999999 00:00:00.000001 01:00 02:00 03:00 04:00"),
    ("timetz", "00:00:00+00 02:00:00+02 24:00:00-15:59 00:00:00+15:59 01:00+00 02:00+00 03:00+00 04:00+00"),
    ("inet", "10.0.0.1/32 10.0.0.1/8 ::1 ::ffff:10.0.0.1 0.0.0.0/0 1.1.1.1 2.2.2.2 3.3.3.3"),
    ("bytea", "\\x \\x00 \\x0000 \\xff \\x01 \\x02 \\x03 \\x04"),
    ("bit varying", "'' 0 00 1 01 10 11 111"),
    ("boolean", "t f"),
    ('"char"', "a b c d e f g h"),
    ("name", "a A b B c C d D"),
    ("uuid", "00000000-0000-0000-0000-000000000000 ffffffff-ffff-ffff-ffff-ffffffffffff"),
    ("money", "1 2 -1 0 5 6 7 8"),
    ("oid", "0 4294967295 1 2 3 4 5 6"),
    ("mood", "sad a,b"),
    ("dint", "1 2 3 4 5 6 7 8"),
    ("pair", "(sad,1.0,{a}) (sad,1.00,{b}) (sad,2,) (,,) (,1,) (,2,) (,3,) (,4,)"),
    ("tsvector", "a b 'a':1 'a':2 c d e f"),
]


def quoted(texts):
    return [literal("" if text == "''" else text) for text in texts.split(" ")]


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_keys_of_every_type(identity, pair, sluice):
    """Rows are found by the key's own equality; a key becomes another spelling of itself; keys change places."""
    ddl, statements = USER_TYPES + "CREATE EXTENSION citext;", []
    for number, (type_, texts) in enumerate(KEYS):
        ddl += (f"CREATE TABLE k{number} (k {type_} PRIMARY KEY, n int, other text DEFAULT repeat('o', 3000));"
                f"ALTER TABLE k{number} ALTER other SET STORAGE EXTERNAL;"
                f"ALTER TABLE k{number} REPLICA IDENTITY {identity};")
        keys = quoted(texts)
        some = keys[::2] + keys[1::2]
        for i, key in enumerate(some):
            statements += [f"INSERT INTO k{number} VALUES ({key}, {i}) ON CONFLICT (k) DO UPDATE SET n = EXCLUDED.n",
                           f"UPDATE k{number} SET n = n + 100 WHERE k = {key}::{type_}"]
        for one, other in zip(keys[::2], keys[1::2]):
            statements += [
                f"UPDATE k{number} SET k = {other} WHERE k = {one}::{type_} AND NOT EXISTS "
                f"(SELECT FROM k{number} WHERE k = {other}::{type_} AND k <> {one}::{type_})",
                f"BEGIN; DELETE FROM k{number} WHERE k = {other}::{type_}; INSERT INTO k{number} VALUES ({one}, -1);"
                f"UPDATE k{number} SET n = -2 WHERE k = {one}::{type_}; UPDATE k{number} SET k = {other} WHERE n = -2 AND NOT "
                f"EXISTS (SELECT FROM k{number} WHERE k = {other}::{type_} AND n <> -2); COMMIT"]
        statements += [f"DELETE FROM k{number} WHERE k = {keys[-1]}::{type_}",
                       f"INSERT INTO k{number} VALUES ({keys[-1]}, -3) ON CONFLICT DO NOTHING"]
    task = started(pair, sluice, ddl)
    with pair.source.connect() as connection:
        for statement in statements:
            try:
                connection.execute(statement)
            except Exception as error:  # a key that is there by another spelling
                assert getattr(error, "sqlstate", "") == "23505", statement
                connection.execute("ROLLBACK")
    caught_up(pair, task)


def test_whole_rows_that_are_nearly_the_same(pair, sluice):
    """Identity FULL: types without equality, or whose equality says less than their bytes; one row each time."""
    cases = [("json", '{"a":1}', '{"a": 1}'), ("point", "(0,0)", "(-0,0)"), ("box", "(1,1),(0,0)", "(2,0.5),(0,0)"),
             ("circle", "<(0,0),1>", "<(5,5),1>"), ("numeric", "1.0", "1.00"), ("float8", "0", "-0"), ("float4", "0", "-0"),
             ("xml", "<a/>", "<a></a>"), ("path", "[(0,0),(1,1)]", "[(9,9),(8,8)]"), ("interval", "1 mon", "30 days"),
             ("polygon", "((0,0),(1,1))", "((1,1),(0,0))"), ("bpchar", "a", "a "), ("jsonb", "1.0", "1.00"),
             ("numeric[]", "{1.0}", "{1.00}"), ("text", "", "\u00e9")]
    ddl, statements = "", []
    for number, (type_, one, other) in enumerate(cases):
        ddl += f"CREATE TABLE f{number} (v {type_}, n int); ALTER TABLE f{number} REPLICA IDENTITY FULL;"
        one, other, table = literal(one), literal(other), f"f{number}"
        second = f"(SELECT ctid FROM {table} WHERE v::text = {other}::{type_}::text ORDER BY ctid LIMIT 1)"
        statements += [f"INSERT INTO {table} VALUES ({one}, 1), ({other}, 1), ({one}, 1), ({other}, 1), (NULL, 1), (NULL, 1), (NULL, NULL)",
                       f"UPDATE {table} SET n = 2 WHERE ctid = {second}", f"DELETE FROM {table} WHERE ctid = {second}",
                       f"UPDATE {table} SET v = {other} WHERE ctid = (SELECT min(ctid) FROM {table} WHERE v::text = {one}::{type_}::text)",
                       f"DELETE FROM {table} WHERE ctid = (SELECT min(ctid) FROM {table} WHERE v IS NULL)",
                       f"UPDATE {table} SET n = 5 WHERE n IS NULL"]
    task = started(pair, sluice, ddl)
    run_all(pair.source, *statements)
    caught_up(pair, task)


# -- encodings ------------------------------------------------------------------------------------


@pytest.fixture
def encoded(pool):
    """encoded(source's encoding, destination's): two databases."""
    made = []

    def make(source, destination):
        for role, encoding in (("source", source), ("destination", destination)):
            made.append(pool.cluster(15, role).create_database(
                f"enc_{len(made)}", f"TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"))
        return made[-2:]

    yield make
    for database in made:
        database.drop()


ACCENTS = "chr(233) || 'x' || chr(223)"  # é, ß: in LATIN1 and in UTF8
TEXTS = "CREATE TABLE t (k text PRIMARY KEY, v text, j jsonb); CREATE TABLE whole (v varchar(9)); ALTER TABLE whole REPLICA IDENTITY FULL;"


@pytest.mark.parametrize("source, destination", [("LATIN1", "UTF8"), ("UTF8", "LATIN1"), ("LATIN1", "LATIN1"), ("WIN1252", "LATIN1")])
def test_other_encodings(source, destination, encoded, sluice):
    """What both can write arrives, in keys and in whole rows too, by copy and by stream."""
    left, right = encoded(source, destination)
    left.script(TEXTS + f"INSERT INTO t VALUES ({ACCENTS}, {ACCENTS}, to_jsonb({ACCENTS})); INSERT INTO whole VALUES ({ACCENTS})")
    spec = {} if destination in ("UTF8", source) else {"precheck": {"ignore": ["destination.encoding@enc_1"]}}
    task = sluice(source=left, destination=right)
    if spec:
        refused = task.call("run", "--until-caught-up", code=PRECHECK)
        assert "encoding" in refused.text
        task.spec["precheck"] = {"ignore": ["destination.encoding"]}
        task.write()
    task.sync()
    run_all(left, f"INSERT INTO t SELECT {ACCENTS} || g, {ACCENTS} || g, NULL FROM generate_series(1, 50) g",
            "UPDATE t SET v = v || '!' WHERE j IS NULL", "UPDATE t SET k = k || k", "DELETE FROM t WHERE v LIKE '%7!'",
            f"INSERT INTO whole VALUES ({ACCENTS}), ({ACCENTS}), ('a')", "DELETE FROM whole WHERE ctid = (SELECT min(ctid) FROM whole)")
    task.sync()
    compare.assert_equal(left, right)


def test_a_character_that_the_destination_lacks(encoded, sluice):
    """The change stops the stream, named with its row; with another text there it goes on."""
    left, right = encoded("UTF8", "LATIN1")
    left.script(TEXTS)
    task = sluice(source=left, destination=right, precheck={"ignore": ["destination.encoding"]})
    task.sync()
    left.sql("INSERT INTO t VALUES ('before', 'x')")
    left.sql("INSERT INTO t VALUES ('key', '日本')")
    failed = task.call("run", "--until-caught-up", code=FAILED)
    assert "LATIN1" in failed.text and "public.t" in failed.text and "key" in failed.text
    assert right.sql("SELECT k FROM t") == [("before",)]
    number = right.value("SELECT id FROM pgsluice.error")
    task.call("errors", "skip", str(number))
    left.sql("UPDATE t SET v = 'y' WHERE k = 'before'")
    assert task.sync().code == DONE
    assert right.sql("SELECT k, v FROM t") == [("before", "y")]


BYTES = "E'caf\\351 \\200\\377'"  # no text in any encoding


def test_sql_ascii_on_both_sides(encoded, sluice):
    """Bytes that are no characters anywhere pass as they are, as keys too."""
    left, right = encoded("SQL_ASCII", "SQL_ASCII")
    left.script(TEXTS)
    left.sql(f"INSERT INTO t VALUES ({BYTES}, {BYTES}); INSERT INTO whole VALUES ({BYTES})")
    task = sluice(source=left, destination=right)
    task.sync()
    run_all(left, f"INSERT INTO t SELECT {BYTES} || g, {BYTES} FROM generate_series(1, 20) g", "UPDATE t SET v = v || v",
            f"UPDATE t SET k = k || {BYTES}", f"INSERT INTO whole VALUES ({BYTES}), ({BYTES})",
            "DELETE FROM whole WHERE ctid = (SELECT min(ctid) FROM whole)")
    task.sync()
    query = "SELECT md5(string_agg(k || '/' || v, ',' ORDER BY k)), count(*) FROM t"
    assert left.sql(query) == right.sql(query)
    assert right.value("SELECT count(*) FROM whole WHERE v = " + BYTES) == 2


def test_sql_ascii_to_an_encoding(encoded, sluice):
    """The precheck says what is at stake; what is valid arrives, what is not stops the stream with its row."""
    left, right = encoded("SQL_ASCII", "UTF8")
    left.script(TEXTS)
    task = sluice(source=left, destination=right)
    refused = task.call("run", "--until-caught-up", code=PRECHECK)
    assert "SQL_ASCII" in refused.text
    task.spec["precheck"] = {"ignore": ["destination.encoding"]}
    task.write()
    task.sync()
    left.sql("INSERT INTO t VALUES (E'\\303\\251', 'valid UTF-8')")
    task.sync()
    assert right.sql("SELECT k, v FROM t") == [("\u00e9", "valid UTF-8")]
    left.sql(f"INSERT INTO t VALUES ('key', {BYTES})")
    failed = task.call("run", "--until-caught-up", code=FAILED)
    assert "UTF8" in failed.text and "public.t" in failed.text
    assert right.value("SELECT count(*) FROM t") == 1
