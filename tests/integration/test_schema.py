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


def load(database, *, upto=None):
    """Every kind of object that this version has."""
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
  CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END)
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
  obj_description(t.oid, 'pg_type')) FROM pg_type t WHERE typnamespace::regnamespace::text = ANY(%(s)s) AND typcategory <> 'A'
 AND coalesce((SELECT relkind FROM pg_class WHERE oid = typrelid), 'c') <> 'S'
UNION ALL
SELECT 'schema', nspname, obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE oid::regnamespace::text = ANY(%(s)s)
UNION ALL
SELECT 'extension', extname, extnamespace::regnamespace::text FROM pg_extension
"""


def describe(database, version=None, schemas=SCHEMAS):
    version = version or database.version
    columns = ", a.attgenerated" if version >= 12 else ""
    columns += ", a.attcompression" if version >= 14 else ""
    constraints = "" if version >= 18 else "AND contype <> 'n'"
    if database.version >= 11:  # the names of foreign keys' copies for partitions are the server's
        constraints += " AND (contype <> 'f' OR conparentid = 0)"
    query = DESCRIPTIONS.replace("{columns}", columns).replace("{constraints}", constraints)
    if version < 14:
        query = query.replace("UNION ALL\nSELECT 'schema'", "AND t.typtype <> 'm' AND NOT EXISTS (SELECT FROM"
                              " pg_type e WHERE e.oid = t.typelem AND e.typtype = 'm') UNION ALL\nSELECT 'schema'")
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
    both = min(source, destination)
    assert_same(describe(pair.source, both), describe(pair.destination, both), allowed)
