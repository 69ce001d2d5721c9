"""Are two databases the same? Row by row, whatever the order of the rows.

Every table is read from both sides as COPY text with its columns by name, both streams are sorted
bytewise, and merged: the multiset of rows on one side that the other has not, both ways (EXCEPT ALL),
in memory that does not depend on the size. Sessions are set alike, so that equal values have equal
text whatever the servers' versions and settings.

As a program: python3 -m pgtest.compare SOURCE-CONNINFO DESTINATION-CONNINFO [--sequences]
exits 0 when equal, 1 when not, and prints what differs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

import psycopg
from psycopg import sql

from pgtest import servers

OPTIONS = ("-c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=3 -c bytea_output=hex "
           "-c timezone=UTC -c lc_monetary=C -c row_security=off -c statement_timeout=0 "
           "-c lock_timeout=0 -c client_encoding=UTF8 -c search_path= -c synchronize_seqscans=off")
IGNORED_SCHEMAS = ("pg_catalog", "information_schema", "pgsluice")
SHOWN = 5
SEPARATOR = "\x01"

TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = ANY(%s) AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
  AND NOT n.nspname = ANY(%s) AND (%s OR NOT {partition})
ORDER BY 1, 2
"""
COLUMNS = """
SELECT a.attname, a.atttypid::regtype::text FROM pg_attribute a WHERE a.attrelid = %s::regclass
AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname
"""
BYTES_OF = {"real": "float4send", "double precision": "float8send"}


class Result:
    """What a comparison found. Falsy when something differs; str() tells all of it."""

    def __init__(self):
        self.rows = 0
        self.tables = 0
        self.seconds = 0.0
        self.differences = []

    def __bool__(self):
        return not self.differences

    def __str__(self):
        if not self.differences:
            return f"equal: {self.tables} tables, {self.rows} rows ({self.seconds:.1f} s)"
        return "\n".join(self.differences)


def _conninfo(side):
    text = side if isinstance(side, str) else side.conninfo(socket=True)
    options = OPTIONS
    if getattr(side, "version", None) == "9.4":
        options = options.replace("-c row_security=off ", "")
    return psycopg.conninfo.make_conninfo(text, options=options, application_name="compare")


def list_tables(conninfo, schemas=None, roots=False):
    """[(schema, table)]: every table that holds rows itself; with roots, partitioned tables whole."""
    with psycopg.connect(conninfo) as connection:
        kinds = ["r", "p"] if roots else ["r"]
        rows = connection.execute(
            TABLES.format(partition="c.relispartition" if connection.info.server_version >= 100000
                          else "false"),
            [kinds, list(IGNORED_SCHEMAS), not roots]).fetchall()
    return [row for row in rows if schemas is None or row[0] in schemas]


def _columns(connection, table):
    """{name: type} in the order of the names."""
    name = sql.Identifier(*table).as_string(connection)
    return dict(connection.execute(COLUMNS, [name]).fetchall())


def _expression(name, type_, raw_floats):
    """A column's text; 12 prints floats shorter than older servers did, so between these their bytes."""
    if raw_floats and type_ in BYTES_OF:
        return sql.SQL("pg_catalog.{}({})").format(sql.SQL(BYTES_OF[type_]), sql.Identifier(name))
    return sql.Identifier(name)


def _copy_statement(connection, table, columns, only, where, raw_floats):
    statement = sql.SQL("COPY (SELECT {} FROM {} {}{}) TO STDOUT").format(
        sql.SQL(", ").join(_expression(name, type_, raw_floats) for name, type_ in columns.items()),
        sql.SQL("ONLY" if only else ""), sql.Identifier(*table),
        sql.SQL(f" WHERE {where}" if where else ""))
    return statement.as_string(connection)


class _Sorted:
    """psql | sort into a pipe; both must succeed."""

    def __init__(self, conninfo, statement, tmpdir):
        environment = {**os.environ, "LC_ALL": "C", "TMPDIR": tmpdir}
        self.psql = subprocess.Popen(
            [servers.client("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", statement, conninfo],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False)
        self.sort = subprocess.Popen(["sort", "-S", "512M", "--parallel=1"], env=environment,
                                     stdin=self.psql.stdout, stdout=subprocess.PIPE)
        self.psql.stdout.close()

    def finish(self, what):
        self.sort.stdout.close()
        message = self.psql.stderr.read().decode(errors="replace")
        self.psql.stderr.close()
        if self.psql.wait() != 0 or self.sort.wait() != 0:
            raise RuntimeError(f"reading {what} failed: {message}")


def _compare_table(sides, statements, label, result, tmpdir):
    left, right = (_Sorted(side, statement, tmpdir) for side, statement in zip(sides, statements))
    comm = subprocess.Popen(
        ["comm", "-3", "--total", f"--output-delimiter={SEPARATOR}",
         f"/dev/fd/{left.sort.stdout.fileno()}", f"/dev/fd/{right.sort.stdout.fileno()}"],
        stdout=subprocess.PIPE, pass_fds=(left.sort.stdout.fileno(), right.sort.stdout.fileno()),
        env={**os.environ, "LC_ALL": "C"})
    shown = []
    last = b""
    for line in comm.stdout:
        if len(shown) <= 2 * SHOWN:
            shown.append(line)
        last = line
    comm.stdout.close()
    status = comm.wait()
    for stream, side in ((left, "source"), (right, "destination")):
        stream.finish(f"{label} in the {side}")
    if status != 0:
        raise RuntimeError(f"comm failed on {label}")
    only_left, only_right, both = (int(part) for part in last.decode().split(SEPARATOR)[:3])
    result.rows += only_left + only_right + both
    if only_left or only_right:
        result.differences.append(
            f"{label}: {only_left} rows only in the source, {only_right} only in the destination, "
            f"{both} in both")
        for line in shown[: min(2 * SHOWN, only_left + only_right)]:
            text = line.decode(errors="replace").rstrip("\n")
            mark = "  destination: " if text.startswith(SEPARATOR) else "  source:      "
            result.differences.append(mark + text.lstrip(SEPARATOR)[:500])


def compare(source, destination, tables=None, schemas=None, mapping=None, roots=False, columns=None,
            where=None, sequences=False):
    """Compares two databases (Database objects or conninfo strings). Returns a Result.

    tables     [(schema, table)] of the source; default: all of them, and the destination must have
               no others
    mapping    {(schema, table): (schema, table)} source to destination, for those that are renamed
    roots      read partitioned tables whole instead of leaf by leaf
    columns    {(schema, table): [column]} to compare; default: all, the same on both sides
    where      {(schema, table): condition} on the source's rows
    sequences  also compare last_value and is_called
    """
    started = time.monotonic()
    result = Result()
    sides = (_conninfo(source), _conninfo(destination))
    mapping = mapping or {}
    chosen = tables or list_tables(sides[0], schemas, roots)
    if tables is None and schemas is None:
        expected = {mapping.get(table, table) for table in chosen}
        for schema, name in sorted(set(list_tables(sides[1], None, roots)) - expected):
            result.differences.append(f"{schema}.{name}: only in the destination")
    with psycopg.connect(sides[0]) as left, psycopg.connect(sides[1]) as right, \
            tempfile.TemporaryDirectory(prefix="pgs-compare-") as tmpdir:
        raw_floats = (left.info.server_version < 120000) != (right.info.server_version < 120000)
        for table in chosen:
            other = mapping.get(table, table)
            label = ".".join(table)
            found = _columns_to_compare(left, right, table, other, (columns or {}).get(table),
                                        label, result)
            if found is None:
                continue
            statements = (
                _copy_statement(left, table, found, not roots, (where or {}).get(table), raw_floats),
                _copy_statement(right, other, found, not roots, None, raw_floats))
            left.rollback()
            right.rollback()
            _compare_table(sides, statements, label, result, tmpdir)
            result.tables += 1
        if sequences:
            _compare_sequences(left, right, mapping, result)
    result.seconds = time.monotonic() - started
    return result


def _columns_to_compare(left, right, table, other, wanted, label, result):
    ours = _columns(left, table)
    try:
        theirs = _columns(right, other)
    except psycopg.errors.UndefinedTable:
        right.rollback()
        result.differences.append(f"{label}: missing in the destination")
        return None
    except psycopg.errors.InvalidSchemaName:
        right.rollback()
        result.differences.append(f"{label}: its schema is missing in the destination")
        return None
    if wanted is not None:
        return {name: ours[name] for name in wanted}
    if list(ours) != list(theirs):
        result.differences.append(
            f"{label}: columns {list(ours)} in the source, {list(theirs)} in the destination")
        return None
    return ours


def _compare_sequences(left, right, mapping, result):
    """The next value each would give, by name."""
    query = ("SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
             "WHERE c.relkind = 'S' AND c.relpersistence <> 't' ORDER BY 1, 2")
    values = []
    for connection in (left, right):
        found = {}
        for name in connection.execute(query).fetchall():
            if name[0] not in IGNORED_SCHEMAS:
                statement = sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(*name))
                found[name] = connection.execute(statement).fetchone()
        values.append(found)
    for name, state in values[0].items():
        other = values[1].get(mapping.get(name, name))
        if other != state:
            result.differences.append(
                f"sequence {'.'.join(name)}: {state} in the source, {other} in the destination")


def assert_equal(source, destination, **options):
    """Fails with the first rows that differ. Returns the Result."""
    result = compare(source, destination, **options)
    assert result, f"the databases differ:\n{result}"
    return result


def main():
    parser = argparse.ArgumentParser(prog="pgtest.compare")
    parser.add_argument("source")
    parser.add_argument("destination")
    parser.add_argument("--sequences", action="store_true")
    options = parser.parse_args()
    result = compare(options.source, options.destination, sequences=options.sequences)
    print(result)
    return 0 if result else 1


if __name__ == "__main__":
    sys.exit(main())
