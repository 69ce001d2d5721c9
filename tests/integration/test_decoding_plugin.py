"""The server-side plugin: its own regression tests, and who may load it."""

import os

import psycopg
import pytest

from pgtest import plugin


def test_its_own_tests(make_cluster):
    server = make_cluster(15, settings=plugin.settings())
    done = plugin.make(plugin.build(), "installcheck",
                       env={**os.environ, "PGHOST": server.dir, "PGPORT": str(server.port),
                            "PGUSER": "postgres"})
    differences = os.path.join(plugin.build(), "regression.diffs")
    if os.path.exists(differences):
        with open(differences, encoding="utf-8") as handle:
            done.stdout += handle.read()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All " in done.stdout and " tests passed" in done.stdout, done.stdout


def test_a_server_that_does_not_allow_it(make_cluster):
    """README.md says what to set: without it a slot cannot be made, by its exact name."""
    server = make_cluster(15, settings=plugin.settings(allow=False))
    statement = f"SELECT pg_create_logical_replication_slot('s', '{plugin.NAME}')"
    if not server.sql("SELECT 1 FROM pg_settings WHERE name = 'output_plugin_libraries'"):
        pytest.skip("this minor version has no list of allowed plugins")
    with pytest.raises(psycopg.Error, match="output_plugin_libraries|allowed"):
        server.sql(statement)
    server.sql(f"ALTER SYSTEM SET output_plugin_libraries = pgoutput, test_decoding, {plugin.NAME}")
    server.sql("SELECT pg_reload_conf()")
    assert server.sql(statement)
