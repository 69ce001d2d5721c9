"""The stage `schema`: what arrives equals what was there, judged by pg_dump where it knows the version, and
by the server's own descriptions elsewhere."""

import difflib
import glob
import os
import re
import subprocess

import pytest

from pgtest import REPOSITORY, servers
from pgtest.cluster import PASSWORD
from pgtest.sluice import PASSWORD_VARIABLE, SANITIZERS, Sluice

HERE = os.path.dirname(__file__)
SCHEMAS = ["app", 'We"ird. Näme', "a.b", "a"]


class SchemaCopy:
    """Drives tests/tools/schema_tool with a spec."""

    def __init__(self, directory, source, destination, schemas=SCHEMAS, **spec):
        spec.setdefault("objects", [{"schema": name} for name in schemas])
        self.spec = Sluice(directory, source, destination, **spec)
        self.environment = {**os.environ, **SANITIZERS, PASSWORD_VARIABLE: PASSWORD}

    def write_as(self, user):
        """The destination's objects are made by this user."""
        self.spec.spec["destination"]["user"] = user
        self.spec.write()

    def arguments(self, *options):
        tool = os.path.join(os.path.dirname(os.environ.get("PGSLUICE", REPOSITORY + "/build/x")),
                            "tests/tools/schema_tool")
        return [tool, self.spec.path, *options]

    def run(self, *options, fails=False):
        done = subprocess.run(self.arguments(*options), env=self.environment, text=True,
                              capture_output=True, check=False, timeout=300)
        assert (done.returncode != 0) == fails, f"{done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start(self):
        return subprocess.Popen(self.arguments(), env=self.environment, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)


def make_owner(database):
    """A user with no other right than to create in the database."""
    owner = "owner_" + database.name
    database.sql(f"CREATE ROLE {owner} LOGIN PASSWORD 'x'; GRANT CREATE ON DATABASE {database.name} TO {owner}")
    return owner


def load_old(database):
    """The same for 9.4 to 9.6: what of 10's objects they know, and what only they have."""
    with open(f"{HERE}/schema/since_10.sql", encoding="utf-8") as handle:
        text = handle.read()
    for old, new in ((r"GENERATED (ALWAYS|BY DEFAULT) AS IDENTITY( \(.*?\))?", ""),
                     (r"provider = libc, ", ""), (r" AS RESTRICTIVE", ""), (r" AS smallint INCREMENT", " INCREMENT")):
        text = re.sub(old, new, text)
    with open(f"{HERE}/schema/before_10.sql", encoding="utf-8") as handle:
        text += handle.read()
    subprocess.run([servers.client("psql"), "-Xq", "-d", database.conninfo(socket=True)], input=text, text=True,
                   check=True, capture_output=True)
    assert database.value("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = "
                          "(SELECT oid FROM pg_namespace WHERE nspname = 'app')") > 25


def load(database, *, upto=None):
    """Every kind of object that this version has."""
    if database.version in servers.OLD_VERSIONS:
        load_old(database)
        return
    for path in sorted(glob.glob(f"{HERE}/schema/since_*.sql")):
        since = int(re.search(r"since_(\d+)", path)[1])
        if since <= min(database.version, upto or 99):
            with open(path, encoding="utf-8") as handle:
                database.script("SET client_min_messages = warning;" + handle.read())


def dump(database, *options):
    """pg_dump -s as a sorted list of its entries, without what differs by nature."""
    text = subprocess.run(
        [servers.client("pg_dump"), "-s", "--no-owner", "--no-privileges", "--exclude-schema=pgsluice",
         *options, "-d", database.conninfo(socket=True)],
        text=True, capture_output=True, check=True).stdout
    text = re.sub(r"^\\(un)?restrict .*$|^-- Dumped .*$|^SET .*$|^SELECT pg_catalog.set_config.*$", "",
                  text, flags=re.M)
    return sorted(entry.strip() for entry in text.split("\n--\n-- Name: ") if entry.strip())


def assert_same(left, right, allowed=()):
    differences = [
        line for line in difflib.unified_diff(left, right, "source", "destination", lineterm="", n=0)
        if line[:1] in "+-" and not line.startswith(("+++", "---"))
        and not any(re.search(pattern, line) for pattern in allowed)]
    assert not differences, "\n".join(differences)


def sequences(database, schemas=SCHEMAS):
    rows = database.sql("SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n"
                        " ON n.oid = c.relnamespace WHERE relkind = 'S' AND n.nspname = ANY(%s)"
                        " ORDER BY 1", [schemas])
    return [(name, *database.sql(f"SELECT last_value, is_called FROM {name}")[0]) for (name,) in rows]


# What the server says of every object, in one text per object, without OIDs.
DESCRIPTIONS = """
SELECT 'relation', c.oid::regclass::text, concat_ws(' ', c.relkind, c.relpersistence, c.relreplident,
  c.reloptions::text, c.relispartition, pg_get_expr(c.relpartbound, c.oid),
  CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
  CASE WHEN c.reloftype <> 0 THEN c.reloftype::regtype END, c.relrowsecurity, c.relforcerowsecurity,
  obj_description(c.oid, 'pg_class'),
  (SELECT string_agg(inhparent::regclass::text, ',' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = c.oid),
  CASE WHEN c.relkind IN ('v', 'm') AND {views} THEN pg_get_viewdef(c.oid) END,
  CASE WHEN c.relkind = 'm' THEN c.relispopulated END)
 FROM pg_class c WHERE relnamespace::regnamespace::text = ANY(%(s)s) AND relkind IN ('r', 'p', 'v', 'm', 'S', 'i', 'I')
UNION ALL
SELECT 'column', a.attrelid::regclass::text || '.' || a.attname, concat_ws(' ', row_number() OVER
  (PARTITION BY a.attrelid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
  a.attislocal, a.attinhcount, CASE WHEN c.relkind IN ('r', 'p') THEN a.attstorage END, coalesce(nullif(a.attstattarget, -1)::text, ''),
  (SELECT string_agg(o, ',') FROM unnest(a.attoptions) o WHERE o LIKE 'n_dist%%'),
  (SELECT collname FROM pg_collation WHERE oid = a.attcollation), pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum) {columns})
 FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE relnamespace::regnamespace::text = ANY(%(s)s) AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'c', 'i', 'I')
UNION ALL
SELECT 'constraint', concat_ws(' ', conrelid::regclass, contypid::regtype, conname), concat_ws(' ', pg_get_constraintdef(oid),
  convalidated,
  CASE WHEN contype <> 'n' THEN conislocal END, coninhcount, obj_description(oid, 'pg_constraint')) FROM pg_constraint
 WHERE connamespace::regnamespace::text = ANY(%(s)s) AND contype <> 't' {constraints}
UNION ALL
SELECT 'index', indexrelid::regclass::text, concat_ws(' ', pg_get_indexdef(indexrelid), indisprimary, indisclustered,
  indisreplident, indisvalid) FROM pg_index i JOIN pg_class c ON c.oid = indrelid WHERE relnamespace::regnamespace::text = ANY(%(s)s)
UNION ALL
SELECT 'sequence', seqrelid::regclass::text, concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin,
  seqcache, seqcycle, (SELECT concat_ws('.', refobjid::regclass, (SELECT attname FROM pg_attribute WHERE attrelid = refobjid
   AND attnum = refobjsubid), deptype) FROM pg_depend WHERE objid = seqrelid AND classid = 'pg_class'::regclass AND deptype IN ('a', 'i')))
 FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid WHERE relnamespace::regnamespace::text = ANY(%(s)s)
UNION ALL
SELECT 'type', t.oid::regtype::text, concat_ws(' ', typtype, typnotnull, typdefault, format_type(typbasetype, typtypmod),
  (SELECT collname FROM pg_collation WHERE oid = typcollation), (SELECT string_agg(quote_literal(enumlabel), ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid),
  (SELECT concat_ws(' ', rngsubtype::regtype, (SELECT collname FROM pg_collation WHERE oid = rngcollation), rngsubdiff) FROM pg_range WHERE rngtypid = t.oid),
  obj_description(t.oid, 'pg_type')) FROM pg_type t WHERE typnamespace::regnamespace::text = ANY(%(s)s) AND typcategory <> 'A' {types}
 AND coalesce((SELECT relkind FROM pg_class WHERE oid = typrelid), 'c') <> 'S'
UNION ALL
SELECT 'routine', p.oid::regprocedure::text, concat_ws(' ', CASE WHEN {routine} THEN pg_get_functiondef(p.oid) END, prosecdef,
  (SELECT concat_ws(' ', aggtransfn, aggfinalfn, aggcombinefn, aggtranstype::regtype, agginitval, aggmtransfn, aggminvtransfn,
   aggminitval, aggsortop::regoperator) FROM pg_aggregate WHERE aggfnoid = p.oid), proparallel, obj_description(p.oid, 'pg_proc'))
 FROM pg_proc p WHERE pronamespace::regnamespace::text = ANY(%(s)s) AND p.oid::regprocedure::text NOT LIKE '%%multirange%%' {own p}
UNION ALL
SELECT 'operator', o.oid::regoperator::text, concat_ws(' ', oprcode, oprnegate::regoperator, oprrest, oprjoin) FROM pg_operator o
 WHERE oprnamespace::regnamespace::text = ANY(%(s)s) {own o}
UNION ALL
SELECT 'operator class', opcname, concat_ws(' ', opcintype::regtype, opcdefault, (SELECT opfname FROM pg_opfamily f WHERE f.oid = opcfamily), (SELECT string_agg(
  amopopr::regoperator::text, ',' ORDER BY amopstrategy) FROM pg_amop WHERE amopfamily = opcfamily), (SELECT string_agg(
  amproc::regproc::text, ',' ORDER BY amprocnum) FROM pg_amproc WHERE amprocfamily = opcfamily)) FROM pg_opclass o
 WHERE oid >= 16384 {own o}
UNION ALL
SELECT 'trigger', tgrelid::regclass::text || '.' || tgname, concat_ws(' ', replace(pg_get_triggerdef(oid), 'EXECUTE PROCEDURE',
  'EXECUTE FUNCTION'), tgenabled, obj_description(oid, 'pg_trigger')) FROM pg_trigger WHERE NOT tgisinternal {clones}
UNION ALL
SELECT 'rule', ev_class::regclass::text || '.' || rulename, concat_ws(' ', pg_get_ruledef(oid), ev_enabled) FROM pg_rewrite
 WHERE rulename <> '_RETURN' AND oid >= 16384
UNION ALL
SELECT 'policy', polrelid::regclass::text || '.' || polname, concat_ws(' ', polcmd, polpermissive, pg_get_expr(polqual, polrelid),
  pg_get_expr(polwithcheck, polrelid)) FROM pg_policy
UNION ALL
SELECT 'statistics', stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext
UNION ALL
SELECT 'cast', castfunc::regprocedure::text, castcontext::text FROM pg_cast c WHERE oid >= 16384 AND castfunc::regprocedure::text NOT LIKE '%%multirange%%' {own c}
UNION ALL
SELECT 'search', c.cfgname, string_agg(concat_ws(' ', m.maptokentype, m.mapseqno, m.mapdict::regdictionary), ',' ORDER BY
  m.maptokentype, m.mapseqno) FROM pg_ts_config c JOIN pg_ts_config_map m ON m.mapcfg = c.oid WHERE c.oid >= 16384 GROUP BY 2
UNION ALL
SELECT 'schema', nspname, obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE oid::regnamespace::text = ANY(%(s)s)
UNION ALL
SELECT 'extension', extname, extnamespace::regnamespace::text FROM pg_extension
"""


def describe(database, version=None, newest=None, schemas=SCHEMAS):
    """version and newest: the older and the newer of the two sides."""
    version = version or database.version
    columns = ", a.attgenerated" if version >= 12 else ""
    columns += ", a.attcompression" if version >= 14 else ""
    constraints = "" if version >= 18 else "AND contype <> 'n'"
    if database.version >= 11:  # the names of foreign keys' copies for partitions are the server's
        constraints += " AND (contype <> 'f' OR conparentid = 0)"
    query = DESCRIPTIONS.replace("{columns}", columns).replace("{constraints}", constraints)
    # 16 and later write a view's columns without its table where they can
    query = query.replace("{views}", "false" if version < 16 <= (newest or version) else "true")
    # how a partition's copy of a trigger is switched is kept from 13 on
    query = query.replace("{clones}", "" if version >= 13 or database.version < 13 else "AND tgparentid = 0")
    query = query.replace("{routine}", "prokind <> 'a'" if database.version >= 11 else "NOT proisagg")
    query = query.replace("{types}", "" if version >= 14 else "AND t.typtype <> 'm'")
    query = re.sub(r"\{own (\w+)\}",
                   r"AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = \1.oid AND e.deptype = 'e')", query)
    names = [name for (name,) in database.sql("SELECT oid::regnamespace::text FROM pg_namespace"
                                              " WHERE nspname = ANY(%s)", [schemas])]
    return sorted(" | ".join(str(cell) for cell in row) for row in database.sql(query, {"s": names}))


def rows(database, result):
    return database.sql("SELECT kind, identity, sqlstate, detail FROM pgsluice.object WHERE result = %s"
                        " ORDER BY 1, 2", [result])


def test_everything_arrives(make_pair, tmp_path):
    """pg_dump of both sides is the same, and a second run changes nothing."""
    pair = make_pair(15)
    load(pair.source)
    task = SchemaCopy(tmp_path, pair.source, pair.destination)
    task.run()
    assert rows(pair.destination, "failed") == []
    assert rows(pair.destination, "unsupported") == []
    assert_same(dump(pair.source, "--exclude-schema=elsewhere"),
                dump(pair.destination, "--exclude-schema=elsewhere"))
    assert sequences(pair.source) == sequences(pair.destination)
    assert sequences(pair.destination, ["elsewhere"]) == [("elsewhere.used", 99, False)]
    assert pair.destination.sql("SELECT typname FROM pg_type WHERE typnamespace = 'elsewhere'::regnamespace"
                                " AND typtype = 'e'") == [("level",)]
    before = dump(pair.destination)
    again = task.run()
    assert "object.failed" not in again.stdout
    assert dump(pair.destination) == before


@pytest.mark.parametrize("source,destination", [(10, 10), (18, 18), (10, 18), (15, 18), (13, 14)])
def test_versions(make_pair, tmp_path, source, destination):
    """The servers describe every object alike, up to what the newer one describes otherwise."""
    pair = make_pair(source, destination)
    load(pair.source)
    SchemaCopy(tmp_path, pair.source, pair.destination).run()
    assert rows(pair.destination, "failed") == []
    assert sequences(pair.source) == sequences(pair.destination)
    allowed = []
    if source < 17 <= destination:  # partitions share the identity of their table
        allowed += [r"^[-+]column \| app\.pi_(1|default|h0|h1)\.id \|"]
    versions = sorted((source, destination))
    assert_same(describe(pair.source, *versions), describe(pair.destination, *versions), allowed)


def test_what_fails_costs_only_itself(make_pair, tmp_path):
    """What a plain owner may not create, and what needs it, is reported by name; all else is there."""
    pair = make_pair(15)
    pair.source.script("""
        CREATE FUNCTION public.elsewhere() RETURNS integer LANGUAGE sql AS 'SELECT 1';
        CREATE SCHEMA app; CREATE SCHEMA other;
        CREATE FUNCTION other.broken() RETURNS integer LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
        CREATE TABLE app.t (id integer PRIMARY KEY, a integer DEFAULT other.broken(), b integer DEFAULT 2);
        CREATE TABLE other.parent (id integer PRIMARY KEY);
        CREATE TABLE app.child (id integer REFERENCES other.parent);
        CREATE OPERATOR CLASS app.oc FOR TYPE integer USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(integer, integer);
        CREATE INDEX oc_index ON app.t (b app.oc);
        CREATE VIEW app.v AS SELECT * FROM other.parent;
        CREATE CONVERSION app.conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
    """)
    task = SchemaCopy(tmp_path, pair.source, pair.destination, ["app"])
    task.write_as(make_owner(pair.destination))
    task.run()
    failed = {(kind, name): (state, detail) for kind, name, state, detail in rows(pair.destination, "failed")}
    assert set(failed) == {("function", "other.broken()"), ("default", "app.t.a"), ("index", "app.oc_index"),
                           ("view", "app.v"), ("operator class", "app.oc using btree"),
                           ("operator family", "app.oc using btree")}
    assert failed["function", "other.broken()"][0] == "42501"
    assert failed["default", "app.t.a"][0] == "42883" and "other.broken()" in failed["default", "app.t.a"][1]
    unsupported = {(kind, name): detail for kind, name, _, detail in rows(pair.destination, "unsupported")}
    assert set(unsupported) == {("conversion", "app.conv"), ("constraint", "app.child.child_id_fkey")}
    assert "other.parent" in unsupported["constraint", "app.child.child_id_fkey"]
    assert pair.destination.sql("SELECT count(*) FROM pg_attrdef WHERE adrelid = 'app.t'::regclass") == [(1,)]
    assert pair.destination.value("SELECT count(*) FROM pg_constraint WHERE contype = 'p'"
                                  " AND conrelid = 'app.t'::regclass") == 1


def test_extension_that_only_an_administrator_may_create(make_pair, tmp_path):
    """The stage stops at once, with the SQL to run; then goes on."""
    pair = make_pair(15)
    pair.source.script("CREATE SCHEMA app; CREATE EXTENSION pageinspect; CREATE EXTENSION bloom;"
                       "CREATE TABLE app.t (a integer, b integer); CREATE INDEX i ON app.t USING bloom (a, b);")
    task = SchemaCopy(tmp_path, pair.source, pair.destination, ["app"])
    task.write_as(make_owner(pair.destination))
    done = task.run(fails=True)
    assert 'CREATE EXTENSION IF NOT EXISTS "bloom" WITH SCHEMA "public"' in done.stderr
    pair.destination.sql("CREATE EXTENSION bloom")
    task.run()
    assert rows(pair.destination, "failed") == []
    assert pair.destination.value("SELECT count(*) FROM pg_class WHERE relname = 'i'") == 1


def test_conflicts(make_pair, tmp_path):
    """report: an existing table stops the stage by name. proceed: it stays as it is, with all that is on it."""
    pair = make_pair(15)
    pair.source.script("CREATE TABLE a (id serial PRIMARY KEY, b integer DEFAULT 7, CHECK (b > 0));"
                       "CREATE INDEX a_b ON a (b); CREATE TABLE z (id integer PRIMARY KEY, a integer REFERENCES a);"
                       "INSERT INTO a VALUES (5, 5)")
    pair.destination.script("CREATE TABLE a (id integer, b text); INSERT INTO a VALUES (1, 'mine')")
    task = SchemaCopy(tmp_path, pair.source, pair.destination, ["public"])
    done = task.run(fails=True)
    assert "creating table public.a" in done.stderr and "42P07" in done.stderr
    before = dump(pair.destination, "-t", "public.a")
    task.spec.spec["conflict"] = "proceed"
    task.spec.write()
    task.run()
    assert dump(pair.destination, "-t", "public.a") == before
    assert pair.destination.sql("SELECT * FROM a") == [(1, "mine")]
    skipped = {(kind, name) for kind, name, _, _ in rows(pair.destination, "skipped")}
    assert {("table", "public.a"), ("index", "public.a_b"), ("index", "public.a_pkey"),
            ("constraint", "public.a.a_pkey")} <= skipped
    assert pair.destination.value("SELECT count(*) FROM pg_constraint WHERE conrelid = 'z'::regclass") == 1
    assert [kind for kind, *_ in rows(pair.destination, "failed")] == ["constraint"]  # to a table without a key


def test_triggers_wait_without_the_replica_role(make_pair, tmp_path):
    """Where our writes would fire them, triggers are created disabled; they keep their state otherwise."""
    pair = make_pair(15)
    pair.source.script("CREATE SCHEMA app; CREATE TABLE app.t (id integer PRIMARY KEY);"
                       "CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
                       "CREATE TRIGGER one BEFORE INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.f()")
    owner = make_owner(pair.destination)
    for user, stages, state in ((owner, ["schema", "full", "incremental"], "D"), (owner, ["schema", "full"], "O"),
                                ("postgres", ["schema", "full", "incremental"], "O")):
        task = SchemaCopy(tmp_path, pair.source, pair.destination, ["app"], stages=stages)
        task.write_as(user)
        task.run()
        assert pair.destination.value("SELECT tgenabled FROM pg_trigger WHERE tgname = 'one'") == state
        pair.destination.sql("DROP SCHEMA app CASCADE; DROP SCHEMA pgsluice CASCADE")


def test_killed_again_and_again(make_pair, tmp_path):
    """kill -9 at any point: the next run goes on, and the end is the same."""
    pair = make_pair(15)
    load(pair.source)
    task = SchemaCopy(tmp_path, pair.source, pair.destination)
    for step in range(12):
        process = task.start()
        try:
            process.wait(0.15 + 0.08 * step)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    task.run()
    assert rows(pair.destination, "failed") == []
    assert_same(dump(pair.source, "--exclude-schema=elsewhere"),
                dump(pair.destination, "--exclude-schema=elsewhere"))


def test_privileges(make_pair, tmp_path):
    """On request: pg_dump with privileges is the same; a role that is missing costs only its own grants."""
    pair = make_pair(15)
    some = "some_" + pair.source.name
    for side in (pair.source, pair.destination):
        side.sql(f'CREATE ROLE "{some}"')
    pair.source.sql("CREATE ROLE only_here")
    pair.source.script(f"""
        CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO {some}; CREATE TABLE app.t (id serial, "B" integer);
        GRANT SELECT, INSERT ON app.t TO {some} WITH GRANT OPTION; GRANT UPDATE ("B"), SELECT (id) ON app.t TO PUBLIC;
        GRANT SELECT ON app.t TO only_here; GRANT USAGE ON SEQUENCE app.t_id_seq TO {some};
        CREATE FUNCTION app.f(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';
        REVOKE EXECUTE ON FUNCTION app.f FROM PUBLIC; GRANT EXECUTE ON FUNCTION app.f TO {some};
        CREATE VIEW app.v AS SELECT 1 AS x; GRANT SELECT ON app.v TO {some}; CREATE TYPE app.e AS ENUM ('a');
        GRANT USAGE ON TYPE app.e TO {some}; CREATE PROCEDURE app.p() LANGUAGE sql AS 'SELECT 1';
        GRANT EXECUTE ON PROCEDURE app.p TO {some};
        ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO {some};
    """)
    try:
        task = SchemaCopy(tmp_path, pair.source, pair.destination, ["app"], include_privileges=True)
        task.run()
        assert [row[:3] for row in rows(pair.destination, "failed")] == [
            ("privileges", "app.t to only_here", "42704")]
        both = [subprocess.run([servers.client("pg_dump"), "-s", "--no-owner", "-n", "app", "-d",
                                side.conninfo(socket=True)], text=True, capture_output=True, check=True).stdout
                for side in (pair.source, pair.destination)]
        source, destination = (sorted(re.findall(r"^(?:GRANT|REVOKE|ALTER DEFAULT) .*$", text, flags=re.M))
                               for text in both)
        assert source != [] and [line for line in source if "only_here" not in line] == destination
    finally:
        pair.source.sql("DROP OWNED BY only_here; DROP ROLE only_here")


def test_older_destination(make_pair, tmp_path):
    """What 10 does not have is left out of its objects, or refused, by name."""
    pair = make_pair(15, 10)
    load(pair.source, upto=11)
    pair.source.script("CREATE TABLE app.comp (a text COMPRESSION pglz) WITH (autovacuum_vacuum_insert_threshold = 7);")
    task = SchemaCopy(tmp_path, pair.source, pair.destination)
    refused = task.run(fails=True).stderr
    assert "app.pi_default cannot be created in the destination: hash partitions need PostgreSQL 11" in refused
    pair.source.sql("DROP TABLE app.pi_default")
    task.run()
    assert [row[:2] for row in rows(pair.destination, "failed")] == [
        ("procedure", "app.proc(INOUT a integer)"), ("trigger", "app.pi.of_parts")]  # 10 has neither
    assert {name: detail.split(" need")[0] for _, name, _, detail in rows(pair.destination, "unsupported")} == {
        "app.inc_inc": "INCLUDE", "app.pi.pi_fk": "foreign keys of partitioned tables",
        "app.pi.pi_pkey": "indexes of partitioned tables", "app.pi.pi_u": "indexes of partitioned tables",
        "app.pi_v": "indexes of partitioned tables"}
    details = {name: detail for _, name, _, detail in rows(pair.destination, "created") if detail}
    assert details["app.comp"] == ("compression of a needs PostgreSQL 14; left out, as the destination does not"
                                   " know it: autovacuum_vacuum_insert_threshold")
    assert "INCLUDE" in details["app.inc_pk"]
    assert pair.destination.value("SELECT pg_get_constraintdef(oid) FROM pg_constraint"
                                  " WHERE conname = 'inc_pk'") == "PRIMARY KEY (a)"
    for kept in ("a_view.instead", "everything.plain"):
        assert pair.destination.value("SELECT count(*) FROM pgsluice.object WHERE result = 'created' AND"
                                      f" kind = 'trigger' AND identity = 'app.{kept}'") == 1
