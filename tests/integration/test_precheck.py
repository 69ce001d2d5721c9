"""The precheck: every blocking check fails for a reason and passes once its own remedy is carried out.

Remedies are run as they are printed, by a superuser, in the database they are for: what a user would
copy must work.
"""

import json
import os
import re
import subprocess
import time

import pytest

from pgtest import REPOSITORY, servers
from pgtest.cluster import Cluster
from pgtest.sluice import endpoint, executable

DONE, USAGE, FAILED = 0, 2, 3


class Findings:
    """What the precheck said."""

    def __init__(self, code, said):
        self.code = code
        self.all = said["findings"]
        self.rate = said["rate"]

    def of(self, check, result=None):
        return [f for f in self.all if f["check"] == check and (result is None or f["result"] == result)]

    def failed(self):
        return {f["check"] for f in self.all if f["result"] == "failed"}

    def warned(self):
        return {f["check"] for f in self.all if f["result"] == "warning"}

    def one(self, check, result="failed"):
        found = self.of(check, result)
        assert len(found) == 1, (check, found or self.all)
        assert found[0]["cause"] and found[0]["remedy"], found
        return found[0]


def precheck(task):
    tool = os.path.join(os.path.dirname(executable()), "tests", "tools", "precheck_tool")
    done = subprocess.run([tool, task.path], env=task.environment, capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode in (DONE, FAILED), (done.returncode, done.stderr)
    return Findings(done.returncode, json.loads(done.stdout))


def carry_out(database, *findings):
    for finding in findings:
        database.script(finding["remedy"])


def restart_with_its_settings(cluster):
    """A restart that keeps what ALTER SYSTEM wrote (pgtest writes that file anew)."""
    for name, value in cluster.sql("SELECT name, setting FROM pg_file_settings "
                                   "WHERE sourcefile LIKE '%postgresql.auto.conf'"):
        if name not in ("port", "listen_addresses", "unix_socket_directories"):
            cluster.settings[name] = value
    cluster.restart()


def role(database, attributes="REPLICATION"):
    """A role of the test's own that may log in, and nothing else."""
    name = f"role of {database.name}"
    database.sql(f'CREATE ROLE "{name}" LOGIN {attributes}')
    return name


def cured(task, database, check, *objects):
    """The check fails with these objects; its remedies cure it."""
    found = precheck(task)
    assert found.code == FAILED
    failed = found.of(check, "failed")
    assert {f["object"] for f in failed} == set(objects or [""]), found.of(check)
    carry_out(database, *failed)
    again = precheck(task)
    assert not again.of(check, "failed"), again.of(check)
    return failed


# -- nothing wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize("source, destination", [(v, v) for v in servers.VERSIONS] + [(10, 18)])
def test_all_well(source, destination, make_pair, sluice):
    """On every version each check runs; the only findings are what that version cannot do."""
    pair = make_pair(source, destination)
    pair.source.sql("CREATE TABLE t (i serial PRIMARY KEY, t text); INSERT INTO t DEFAULT VALUES")
    found = precheck(sluice(pair))
    assert found.code == DONE and found.rate == 100
    expected = {"source.truncate"} if source < 11 else set()
    if source != 15:
        expected |= found.warned() & {"source.minor", "destination.minor"}
    assert found.warned() == expected, [f for f in found.all if f["result"] != "passed"]
    checks = {f["check"] for f in found.all}
    with open(os.path.join(REPOSITORY, "docs", "precheck.md"), encoding="utf-8") as document:
        documented = dict(re.findall(r"^\| `([a-z_.]+)` \| (.*?) \|", document.read(), re.M))
    assert {f["check"]: f["title"] for f in found.all}.items() <= documented.items()
    # of other stages, and of names that change
    assert set(documented) - checks == {"destination.tables", "destination.empty", "destination.names",
                                        "destination.shared"}
    assert {f["result"] for f in found.all} <= {"passed", "warning"}


def test_checks_of_stages_that_are_not_chosen_are_left_out(pair, sluice):
    pair.source.sql("CREATE TABLE keyless (i int)")
    found = precheck(sluice(pair, stages=["schema", "full"]))
    assert found.code == DONE
    assert not found.of("source.wal_level") and not found.of("source.identity")


# -- reaching the servers ------------------------------------------------------------------------------


def test_source_unreachable(pair, sluice):
    found = precheck(sluice(pair, source=endpoint(pair.source, port=1)))
    assert found.code == FAILED and found.rate == 0
    assert "refused" in found.one("source.reachable")["cause"]
    assert {f["result"] for f in found.all} == {"failed", "not_run"}


def test_destination_unreachable(pair, sluice):
    found = precheck(sluice(pair, destination={**endpoint(pair.destination), "database": "nowhere"}))
    assert '"nowhere" does not exist' in found.one("destination.reachable")["cause"]


def test_pg_hba_line(make_cluster, make_pair, sluice):
    """The remedy is the line to add, with the address that the server sees."""
    cluster = make_cluster(15, hba=["host shut all 127.0.0.1/32 reject"])
    source = cluster.create_database("shut")
    task = sluice(source=source, destination=make_pair().destination)
    finding = precheck(task).one("source.reachable")
    line = finding["remedy"].splitlines()[-1]
    assert line == 'host "shut" "postgres" 127.0.0.1/32 scram-sha-256'
    cluster.hba.insert(0, line.replace("scram-sha-256", "trust"))  # the tests' servers have no passwords
    cluster.reload()
    time.sleep(0.5)
    assert precheck(task).code == DONE


def test_unknown_role(pair, sluice):
    finding = precheck(sluice(pair, destination=endpoint(pair.destination, user="nobody here"))).one(
        "destination.reachable")
    assert "CREATE ROLE" in finding["remedy"]


# -- the source server ------------------------------------------------------------------------------


def test_wal_level(make_cluster, make_pair, sluice):
    cluster = make_cluster(15, settings={"wal_level": "replica"})
    source = cluster.create_database("x")
    task = sluice(source=source, destination=make_pair().destination)
    finding = precheck(task).one("source.wal_level")
    assert "wal_level is replica" in finding["cause"] and "restart" in finding["cause"]
    carry_out(source, finding)
    assert precheck(task).failed() == {"source.wal_level"}  # not before the restart
    restart_with_its_settings(cluster)
    task = sluice(source=source, destination=make_pair().destination)
    assert precheck(task).code == DONE


def test_slots_and_senders(make_cluster, make_pair, sluice):
    cluster = make_cluster(15, settings={"max_replication_slots": 1, "max_wal_senders": 1})
    source = cluster.create_database("x")
    cluster.sql("SELECT pg_create_physical_replication_slot('somebodys')")
    destination = make_pair().destination
    task = sluice(source=source, destination=destination)
    with source.connect(replication="database"):
        found = precheck(task)
        slots, senders = found.one("source.slots"), found.one("source.wal_senders")
    assert "pg_drop_replication_slot('somebodys')" in slots["remedy"]
    carry_out(source, slots, senders)
    restart_with_its_settings(cluster)
    with source.connect(replication="database"):
        assert precheck(sluice(source=source, destination=destination)).code == DONE


def test_our_own_slot_counts_as_free(make_cluster, make_pair, sluice):
    cluster = make_cluster(15, settings={"max_replication_slots": 1})
    source = cluster.create_database("x")
    source.sql("SELECT pg_create_logical_replication_slot('pgsluice_ourownid1', 'pgoutput')")
    destination = make_pair().destination
    assert precheck(sluice(source=source, destination=destination, id="ourownid1")).code == DONE
    found = precheck(sluice(source=source, destination=destination, id="otherid12"))
    assert found.failed() == {"source.slots"}


def test_a_lost_slot(make_cluster, make_pair, sluice):
    cluster = make_cluster(15, settings={"max_slot_wal_keep_size": "1MB", "max_wal_size": "32MB"})
    source = cluster.create_database("x")
    source.sql("SELECT pg_create_logical_replication_slot('pgsluice_ourownid1', 'pgoutput')")
    source.sql("CREATE TABLE t (i int PRIMARY KEY)")
    for _ in range(4):
        source.sql("INSERT INTO t SELECT g FROM generate_series(1, 200000) g ON CONFLICT DO NOTHING;")
        source.sql("DELETE FROM t")
        source.sql("SELECT pg_switch_wal()")
    source.sql("CHECKPOINT")
    assert source.value("SELECT wal_status FROM pg_replication_slots") == "lost"
    found = precheck(sluice(source=source, destination=make_pair().destination, id="ourownid1"))
    assert "invalidated" in found.one("source.slots")["cause"]
    warning = found.one("source.wal_limit", "warning")
    carry_out(source, warning)
    assert source.value("SHOW max_slot_wal_keep_size") == "-1"


@pytest.mark.parametrize("version", [10, 15, 18])
def test_replication_right(version, make_pair, sluice):
    pair = make_pair(version, 15)
    user = role(pair.source, "")
    pair.source.sql("CREATE TABLE t (i int PRIMARY KEY)")
    pair.source.sql(f'GRANT SELECT ON t TO "{user}"')
    task = sluice(pair, source=endpoint(pair.source, user=user))
    cured(task, pair.source, "source.replication")


def test_standbys(make_cluster, make_pair, sluice):
    primary = make_cluster(15)
    primary.create_database("x")
    primary.stop()
    standby = Cluster.copy_of(primary)
    try:
        open(os.path.join(standby.data, "standby.signal"), "w", encoding="ascii").close()
        standby.start()
        pair = make_pair()
        copy = type(pair.source)(standby, "x")
        found = precheck(sluice(source=copy, destination=pair.destination))
        assert "standby" in found.one("source.primary")["cause"]
        found = precheck(sluice(source=pair.source, destination=copy))
        assert "standby" in found.one("destination.writable")["cause"]
    finally:
        standby.remove()


def test_prepared_transactions(make_cluster, make_pair, sluice):
    source = make_cluster(15, settings={"max_prepared_transactions": 5}).create_database("x")
    source.script("CREATE TABLE t (i int PRIMARY KEY); BEGIN; INSERT INTO t VALUES (1);"
                  "PREPARE TRANSACTION 'it''s left';")
    task = sluice(source=source, destination=make_pair().destination)
    found = precheck(task)
    assert found.code == DONE
    carry_out(source, found.one("source.long_transactions", "warning"))
    assert not precheck(task).warned()


@pytest.mark.long
def test_long_transactions(pair, sluice):
    pair.source.sql("CREATE TABLE t (i int PRIMARY KEY)")
    session = pair.source.connect(autocommit=False)
    session.execute("INSERT INTO t VALUES (1)")
    pid = session.info.backend_pid
    time.sleep(61)
    finding = precheck(sluice(pair)).one("source.long_transactions", "warning")
    assert str(pid) in finding["cause"]
    carry_out(pair.source, finding)
    assert not precheck(sluice(pair)).warned()


def test_output_plugins_that_are_allowed(make_cluster, make_pair, sluice):
    """Only minors of August 2026 and later know the setting; others are not asked."""
    source = make_cluster(15).create_database("x")
    if source.sql("SELECT 1 FROM pg_settings WHERE name = 'output_plugin_libraries'") == []:
        pytest.skip("this minor has no output_plugin_libraries")
    source.script("ALTER SYSTEM SET output_plugin_libraries = test_decoding; SELECT pg_reload_conf();")
    time.sleep(0.3)
    task = sluice(source=source, destination=make_pair().destination, decoder="pgoutput")
    assert precheck(task).failed() == {"source.decoder"}
    carry_out(source, precheck(task).one("source.decoder"))
    time.sleep(0.3)
    assert precheck(task).code == DONE


# -- the source's tables -----------------------------------------------------------------------------


def test_select(pair, sluice):
    user = role(pair.source)
    pair.source.sql('CREATE SCHEMA "Odd one"; CREATE SCHEMA listed; CREATE TABLE "Odd one"."a b" (i int);'
                    'CREATE TABLE "Odd one".c (i int); CREATE TABLE listed.d (i int);'
                    "CREATE TABLE listed.e (i int)")
    task = sluice(pair, source=endpoint(pair.source, user=user), stages=["schema", "full"],
                  objects=[{"schema": "Odd one"}, {"schema": "listed", "tables": [{"table": "d"}]}])
    failed = cured(task, pair.source, "source.select", "Odd one", "listed")
    assert "a b, c" in failed[0]["cause"]
    assert pair.source.value("SELECT has_table_privilege(%s, 'listed.e', 'SELECT')", [user]) is False


def test_sequences(pair, sluice):
    user = role(pair.source)
    pair.source.sql("CREATE TABLE t (i serial PRIMARY KEY); CREATE SEQUENCE alone; CREATE SCHEMA s;"
                    "CREATE TABLE s.u (i serial PRIMARY KEY); CREATE SEQUENCE s.not_wanted;"
                    f'GRANT USAGE ON SCHEMA s TO "{user}"; GRANT SELECT ON t, s.u TO "{user}"')
    task = sluice(pair, source=endpoint(pair.source, user=user), stages=["schema", "full"],
                  objects=[{"schema": "public"}, {"schema": "s", "tables": [{"table": "u"}]}])
    found = precheck(task).of("source.sequences")
    assert "alone, t_i_seq" in found[0]["cause"] and "not_wanted" not in found[1]["cause"]
    cured(task, pair.source, "source.sequences", "public", "s")


@pytest.mark.parametrize("version", [10, 15, 18])
def test_row_security(version, make_pair, sluice):
    pair = make_pair(version, 15)
    user = role(pair.source)
    pair.source.sql(f'CREATE TABLE t (i int PRIMARY KEY); GRANT SELECT ON t TO "{user}";'
                    "ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    task = sluice(pair, source=endpoint(pair.source, user=user), stages=["full", "schema"])
    cured(task, pair.source, "source.row_security", "public.t")


@pytest.mark.parametrize("version", [10, 15, 18])
def test_identity(version, make_pair, sluice):
    pair = make_pair(version, 15)
    pair.source.sql("""
        CREATE TABLE keyless (i int);
        CREATE TABLE "has unique" (i int NOT NULL UNIQUE);
        CREATE TABLE late (i int PRIMARY KEY DEFERRABLE);
        CREATE TABLE off (i int PRIMARY KEY); ALTER TABLE off REPLICA IDENTITY NOTHING;
        CREATE TABLE fine (i int PRIMARY KEY); CREATE TABLE full_too (i int);
        ALTER TABLE full_too REPLICA IDENTITY FULL; CREATE UNLOGGED TABLE unlogged (i int);
    """)
    failed = cured(sluice(pair), pair.source, "source.identity", "public.keyless", "public.has unique",
                   "public.late", "public.off")
    by = {f["object"]: f for f in failed}
    assert all(f["ignorable"] for f in failed)
    assert "deferrable" in by["public.late"]["cause"] and "NOTHING" in by["public.off"]["cause"]
    assert "USING INDEX" in by["public.has unique"]["remedy"]
    assert "insert_only" in by["public.keyless"]["remedy"]
    assert pair.source.value("SELECT relreplident FROM pg_class WHERE relname = 'off'") in ("d", b"d")


def test_identity_by_policy(pair, sluice):
    pair.source.sql("CREATE TABLE a (i int); CREATE TABLE b (i int); CREATE TABLE c (i int)")
    tables = [{"table": "a", "keyless": "insert_only"}, {"table": "b", "keyless": "full"},
              {"table": "c", "operations": ["insert"]}]
    assert precheck(sluice(pair, objects=[{"schema": "public", "tables": tables}])).code == DONE


def test_identity_full_takes_the_owner(pair, sluice):
    user = role(pair.source)
    pair.source.sql(f'CREATE TABLE t (i int); GRANT SELECT ON t TO "{user}"')
    task = sluice(pair, source=endpoint(pair.source, user=user), keyless="full")
    cured(task, pair.source, "source.identity_full", "public.t")


# -- publications ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [10, 13, 15, 18])
def test_publication_by_the_owner(version, make_pair, sluice):
    """A role with REPLICATION and SELECT cannot publish: the owner runs what is printed."""
    pair = make_pair(version, 15)
    user = role(pair.source)
    pair.source.sql('CREATE TABLE "a b" (i int PRIMARY KEY); CREATE TABLE keyless (i int);'
                    f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{user}"')
    task = sluice(pair, source=endpoint(pair.source, user=user), id="someid123", keyless="insert_only")
    finding = precheck(task).one("source.publication")
    assert "does not own 2" in finding["cause"]
    carry_out(pair.source, finding)
    assert pair.source.publications() == ["pgsluice_someid123"]
    finding = precheck(task).one("source.publication")  # the specification does not name it yet
    assert finding["remedy"].startswith("-- and in the specification: publication: pgsluice_someid123")
    task.spec["publication"] = finding["remedy"].split("publication: ")[1]
    task.write()
    assert precheck(task).code == DONE
    pair.source.sql(f'CREATE TABLE later (i int PRIMARY KEY); GRANT SELECT ON later TO "{user}"')
    failed = cured(task, pair.source, "source.publication", "pgsluice_someid123")
    assert failed[0]["remedy"].startswith("ALTER PUBLICATION")
    pair.source.sql('UPDATE keyless SET i = 1')  # the application can still do this


def test_publication_of_the_specification(pair, sluice):
    pair.source.sql("CREATE TABLE t (i int PRIMARY KEY); CREATE TABLE u (i int PRIMARY KEY);"
                    "CREATE PUBLICATION mine FOR TABLE t WITH (publish = 'insert')")
    task = sluice(pair, publication="mine")
    assert len(precheck(task).of("source.publication", "failed")) == 2
    cured(task, pair.source, "source.publication", "mine")
    pair.source.sql("DROP PUBLICATION mine; CREATE PUBLICATION mine FOR ALL TABLES")
    assert precheck(task).code == DONE


def test_publication_with_a_filter_or_via_root(pair, sluice):
    pair.source.sql("CREATE TABLE t (i int PRIMARY KEY); CREATE PUBLICATION mine FOR TABLE t WHERE (i > 1)"
                    " WITH (publish_via_partition_root)")
    found = precheck(sluice(pair, publication="mine")).of("source.publication", "failed")
    assert len(found) == 2 and "filter" in found[0]["cause"]
    carry_out(pair.source, *found)
    assert precheck(sluice(pair, publication="mine")).code == DONE


def test_the_tables_owner_needs_create(pair, sluice):
    user = role(pair.source)
    pair.source.sql(f'CREATE TABLE t (i int PRIMARY KEY); ALTER TABLE t OWNER TO "{user}"')
    task = sluice(pair, source=endpoint(pair.source, user=user))
    assert precheck(task).failed() == {"source.publication"}
    pair.source.sql(f'GRANT CREATE ON DATABASE {pair.source.name} TO "{user}"')
    assert precheck(task).code == DONE


# -- warnings of the source ----------------------------------------------------------------------


def test_what_is_left_out(pair, sluice):
    pair.source.sql("""
        CREATE TABLE t (i int PRIMARY KEY); CREATE UNLOGGED TABLE un (i int PRIMARY KEY);
        CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w;
        CREATE FOREIGN TABLE f1 (i int) SERVER far; CREATE FOREIGN TABLE f2 (i int) SERVER far;
        CREATE CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; SELECT lo_create(0);
        CREATE SCHEMA s; CREATE TABLE s.parent (i int PRIMARY KEY);
        CREATE TABLE child (i int PRIMARY KEY REFERENCES s.parent); CREATE EXTENSION hstore;
    """)
    found = precheck(sluice(pair, retry_minutes=10))
    assert found.code == DONE
    left_out = {f["object"]: f["cause"] for f in found.of("source.unsupported")}
    assert set(left_out) == {"foreign table", "conversion", "large object"}
    assert "2 objects" in left_out["foreign table"] and "public.f2" in left_out["foreign table"]
    assert found.one("source.unlogged", "warning")["object"] == "public.un"
    assert found.one("source.foreign_keys", "warning")["object"] == "public.child child_i_fkey"
    assert "task.retry_minutes" in found.warned()
    carry_out(pair.source, found.one("source.unlogged", "warning"))
    assert not precheck(sluice(pair)).of("source.unlogged", "warning")


def test_patterns_without_a_match(pair, sluice):
    pair.source.sql("CREATE TABLE t (i int PRIMARY KEY)")
    task = sluice(pair, objects=[{"schema": "public", "tables": [{"table": "t"}, {"table": "lgo_*"}]}])
    found = precheck(task)
    assert found.code == DONE and found.one("source.patterns", "warning")["object"] == "public.lgo_*"


# -- the destination --------------------------------------------------------------------------------


def test_older_destination(make_pair, sluice):
    found = precheck(sluice(make_pair(15, 13)))
    assert found.code == DONE and "destination.version" in found.warned()


def test_same_database(pair, sluice):
    pair.source.sql("CREATE TABLE t (i int PRIMARY KEY)")
    found = precheck(sluice(source=pair.source, destination=pair.source))
    assert {"destination.not_the_source", "destination.conflicts"} == found.failed()


@pytest.mark.parametrize("version", [10, 15, 18])
def test_rights_in_the_destination(version, make_pair, sluice):
    pair = make_pair(version, version)
    user = role(pair.destination, "")
    pair.source.sql("CREATE SCHEMA s; CREATE TABLE s.t (i int PRIMARY KEY); CREATE SCHEMA u;"
                    "CREATE TABLE u.t (i int PRIMARY KEY)")
    pair.destination.sql("CREATE SCHEMA u")
    task = sluice(pair, destination=endpoint(pair.destination, user=user),
                  objects=[{"schema": "s"}, {"schema": "u"}])
    found = precheck(task)
    assert found.failed() == {"destination.state_schema", "destination.schemas"}
    assert {f["object"] for f in found.of("destination.schemas")} == {"s", "u"}
    carry_out(pair.destination, *found.of("destination.state_schema"),
              *found.of("destination.schemas"))
    assert precheck(task).code == DONE


def test_public_is_not_writable(pair, sluice):
    """Since 15 CREATE on public is the database owner's."""
    user = role(pair.destination, "")
    pair.destination.sql(f'CREATE SCHEMA pgsluice AUTHORIZATION "{user}"')
    task = sluice(pair, destination=endpoint(pair.destination, user=user))
    cured(task, pair.destination, "destination.schemas", "public")
    assert precheck(task).code == DONE


def test_state_schema_of_another_role(pair, sluice):
    user = role(pair.destination, "")
    pair.destination.sql("CREATE SCHEMA state")
    task = sluice(pair, destination=endpoint(pair.destination, user=user), state_schema="state")
    cured(task, pair.destination, "destination.state_schema", "state")


def test_conflicts(pair, sluice):
    pair.both("CREATE TABLE t (i int PRIMARY KEY); CREATE TABLE u (i int PRIMARY KEY)")
    pair.source.sql("CREATE TABLE v (i int PRIMARY KEY)")
    pair.destination.sql('DROP TABLE u; CREATE VIEW u AS SELECT 1; CREATE TABLE "not ours" (i int)')
    task = sluice(pair, conflict="proceed")
    assert [f["object"] for f in precheck(task).of("destination.conflicts", "failed")] == ["public.u"]
    task = sluice(pair)
    failed = cured(task, pair.destination, "destination.conflicts", "public.t", "public.u")
    assert "DROP VIEW" in failed[1]["remedy"]
    assert precheck(task).code == DONE


def test_without_the_schema_stage(pair, sluice):
    pair.both("CREATE TABLE there (i int PRIMARY KEY, v varchar(7), n int); CREATE SCHEMA s")
    pair.source.sql("CREATE TABLE s.absent (i int PRIMARY KEY)")
    pair.destination.sql("ALTER TABLE there DROP v, ALTER n TYPE bigint; INSERT INTO there VALUES (1, 2)")
    task = sluice(pair, stages=["full", "incremental"], objects=[{"schema": "public"}, {"schema": "s"}])
    found = precheck(task)
    assert found.failed() == {"destination.tables", "destination.empty", "destination.columns"}
    assert found.one("destination.tables")["object"] == "s.absent"
    column = found.one("destination.columns")
    assert column["object"] == "public.there.v" and "varying(7)" in column["remedy"]
    assert "bigint" in found.one("destination.columns", "warning")["cause"]
    carry_out(pair.destination, found.one("destination.empty"), *found.of("destination.columns"))
    pair.destination.sql("CREATE TABLE s.absent (i int PRIMARY KEY)")
    assert precheck(task).code == DONE and not precheck(task).warned()
    pair.destination.sql("INSERT INTO s.absent VALUES (1)")
    assert precheck(task).failed() == {"destination.empty"}
    task.spec["conflict"] = "proceed"
    task.write()
    assert precheck(task).code == DONE


def test_rights_on_tables_that_exist(pair, sluice):
    user = role(pair.destination, "")
    pair.both("CREATE TABLE t (i int PRIMARY KEY)")
    pair.destination.sql(f'CREATE SCHEMA pgsluice AUTHORIZATION "{user}"')
    pair.destination.sql("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
                         "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()")
    task = sluice(pair, destination=endpoint(pair.destination, user=user), stages=["full", "incremental"])
    cured(task, pair.destination, "destination.rights", "public.t")
    trigger = precheck(task).one("destination.triggers", "warning")
    carry_out(pair.destination, trigger)
    found = precheck(task)
    assert found.code == DONE and not found.warned() - {"destination.free_space"}


def test_encodings(pair, make_pair, sluice):
    latin = pair.destination.cluster.create_database(
        "latin", "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        found = precheck(sluice(source=pair.source, destination=latin))
        finding = found.one("destination.encoding")
        assert finding["ignorable"] and "LATIN1" in finding["cause"]
        task = sluice(source=pair.source, destination=latin,
                      precheck={"ignore": ["destination.encoding"]})
        found = precheck(task)
        assert found.code == DONE and found.rate == 100
        assert found.one("destination.encoding")["ignored"]
    finally:
        latin.drop()


def test_extensions(pair, sluice):
    user = role(pair.destination, "")
    pair.destination.sql(f'CREATE SCHEMA pgsluice AUTHORIZATION "{user}";'
                         f'GRANT CREATE ON SCHEMA public TO "{user}"')
    pair.source.sql("CREATE EXTENSION hstore; CREATE EXTENSION btree_gist; CREATE EXTENSION citext;"
                    "CREATE DOMAIN d AS hstore; CREATE TABLE t (i int PRIMARY KEY, h d[], r int,"
                    " EXCLUDE USING gist (r WITH =))")
    task = sluice(pair, destination=endpoint(pair.destination, user=user))
    cured(task, pair.destination, "destination.extensions", "hstore", "btree_gist")
    assert precheck(task).code == DONE


def test_free_space(pair, sluice):
    pair.source.sql("CREATE TABLE t (i int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000)")
    small = endpoint(pair.destination, free_bytes=1000)
    found = precheck(sluice(pair, destination=small))
    assert found.one("destination.free_space")["ignorable"]
    task = sluice(pair, destination=small,
                  precheck={"ignore": ["destination.free_space", "source.wal_level", "source.nonsense"]})
    found = precheck(task)
    assert found.code == DONE
    assert {f["object"] for f in found.of("task.ignore", "warning")} == {
        "source.wal_level", "source.nonsense"}


def test_ignoring_one_object(pair, sluice):
    pair.source.sql("CREATE TABLE a (i int); CREATE TABLE b (i int)")
    found = precheck(sluice(pair, precheck={"ignore": ["source.identity@public.a"]}))
    assert found.code == FAILED
    assert {f["object"]: f["ignored"] for f in found.of("source.identity")} == {
        "public.a": True, "public.b": False}


def test_collations(make_pair, sluice):
    pair = make_pair()
    names = pair.source.sql("SELECT collname FROM pg_collation WHERE collprovider = 'i' LIMIT 1")
    if not names:
        pytest.skip("this server was built without ICU")
    name = names[0][0]
    pair.source.sql(f'CREATE TABLE t (i int PRIMARY KEY, t text COLLATE "{name}")')
    assert precheck(sluice(pair)).code == DONE
    pair.destination.sql(f'SET allow_system_table_mods = on; DROP COLLATION pg_catalog."{name}"')
    finding = precheck(sluice(pair)).one("destination.collations")
    assert finding["object"] == name
    carry_out(pair.destination, finding)
    assert precheck(sluice(pair)).code == DONE


def test_passwords_and_findings_do_not_mix(pair, sluice):
    """Whatever fails, no finding carries the password."""
    task = sluice(pair, source=endpoint(pair.source, port=1, password="hunter2-secret"))
    assert not re.search("hunter2", json.dumps(precheck(task).all))


def test_lock_table(make_cluster, make_pair, sluice):
    cluster = make_cluster(15, settings={"max_locks_per_transaction": 10, "max_connections": 20,
                                         "max_wal_senders": 5})
    source = cluster.create_database("x")
    for number in range(150):
        source.sql(f"CREATE TABLE t{number} (id int PRIMARY KEY)")
    destination = make_pair().destination
    finding = precheck(sluice(source=source, destination=destination)).one("source.locks", "warning")
    assert "150 tables" in finding["cause"] and "restart" in finding["cause"]
    carry_out(source, finding)
    restart_with_its_settings(cluster)
    assert "source.locks" not in precheck(sluice(source=source, destination=destination)).warned()


def test_every_check_has_a_test():
    """But those of servers that nobody can start here: before 9.4, or without integer datetimes."""
    with open(os.path.join(REPOSITORY, "src", "precheck", "checks.c"), encoding="utf-8") as handle:
        checks = set(re.findall(r'^    \{ "([a-z]+\.[a-z_]+)"', handle.read(), re.M))
    assert len(checks) > 40
    tests = ""
    for name in sorted(os.listdir(os.path.dirname(__file__))):
        if name.endswith(".py"):
            with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as handle:
                tests += handle.read()
    missing = {check for check in checks if f'"{check}"' not in tests}
    assert missing == {f"source.{name}" for name in ("integer_datetimes", "version")}
