"""PostgreSQL's own regression database, as its test suite leaves it, arrives complete: pg_dump of both sides
differs only in what docs/schema.md leaves out.

The suite's files come from Debian's source package (deb-src is read with a configuration of our own; the
system's stays as it is) and run one after the other with psql; what they print is not judged."""

import glob
import os
import re
import shutil
import subprocess
import tempfile

import pytest

from pgtest import servers
from test_schema import SchemaCopy, dump, rows

SOURCES = """deb-src http://deb.debian.org/debian bookworm main
deb-src http://deb.debian.org/debian bookworm-updates main
"""
LEFT_OUT = {"TRANSFORM", "ACCESS METHOD", "FOREIGN DATA WRAPPER", "SERVER"}


def regression_suite():
    """src/test/regress with regress.so built; made once."""
    kept = os.path.join(servers.cache_dir(), "regress-15")
    with servers.locked("regress.lock"):
        if not os.path.exists(kept):
            work = tempfile.mkdtemp(prefix="regress-", dir=servers.cache_dir())
            try:
                _build(work)
                os.rename(glob.glob(f"{work}/postgresql-15*/src/test/regress")[0], kept)
            finally:
                shutil.rmtree(work)
    return kept


def _build(work):
    os.makedirs(f"{work}/lists/partial")
    with open(f"{work}/sources.list", "w", encoding="ascii") as handle:
        handle.write(SOURCES)
    apt = ["apt-get", "-o", f"Dir::Etc::sourcelist={work}/sources.list", "-o", "Dir::Etc::sourceparts=-",
           "-o", f"Dir::State::lists={work}/lists", "-o", "APT::Sandbox::User=root"]
    subprocess.run([*apt, "update"], check=True, capture_output=True)
    subprocess.run([*apt, "source", "--download-only", "postgresql-15"], cwd=work, check=True,
                   capture_output=True)
    subprocess.run(["tar", "xjf", *glob.glob(f"{work}/*.orig.tar.bz2"), "--wildcards",
                    "*/src/test/regress/*"], cwd=work, check=True)
    regress = glob.glob(f"{work}/postgresql-15*/src/test/regress")[0]
    include = subprocess.run([f"{servers.DEBIAN_BIN}/pg_config", "--includedir-server"], check=True,
                             capture_output=True, text=True).stdout.strip()
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-w", f"-I{include}", "-o", "regress.so", "regress.c"],
                   cwd=regress, check=True)
    for folder, _, files in os.walk(regress):  # the server reads its data and its library
        os.chmod(folder, 0o755)
        for name in files:
            os.chmod(os.path.join(folder, name), 0o644)


def run_suite(database, suite, results):
    environment = {**os.environ, "PG_ABS_SRCDIR": suite, "PG_ABS_BUILDDIR": results, "PG_LIBDIR": suite,
                   "PG_DLSUFFIX": ".so", "PGTZ": "PST8PDT", "PGDATESTYLE": "Postgres, MDY"}
    os.makedirs(f"{results}/results")
    subprocess.run(["chmod", "-R", "777", results], check=True)
    with open(f"{suite}/parallel_schedule", encoding="ascii") as handle:
        tests = [name for line in handle if line.startswith("test:") for name in line.split()[1:]]
    for test in tests:
        with open(f"{suite}/sql/{test}.sql", "rb") as script:
            subprocess.run([servers.client("psql"), "-Xaq", database.conninfo(socket=True)], stdin=script,
                           env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           timeout=300, check=False)


def kinds(entries):
    return {(re.search(r"; Type: ([^;]+);", entry) or [None, "?"])[1] for entry in entries}


@pytest.mark.long
def test_regression_database(make_cluster, tmp_path):
    cluster = make_cluster(15)
    source = cluster.create_database("regression", "TEMPLATE template0")
    destination = cluster.create_database("copy", "TEMPLATE template0")
    run_suite(source, regression_suite(), tempfile.mkdtemp(dir=cluster.dir))
    assert source.value("SELECT count(*) FROM pg_class WHERE oid >= 16384") > 1400
    SchemaCopy(tmp_path, source, destination, source.schemas(), conflict="proceed").run()
    assert rows(destination, "failed") == []
    options = ("--no-publications", "--no-subscriptions")
    ours, theirs = set(dump(destination, *options)), set(dump(source, *options))
    assert ours - theirs == set()
    missing = theirs - ours
    assert {entry for entry in missing if not kinds([entry]) <= LEFT_OUT
            and not entry.startswith("myshell;")} == set()  # a type that was never finished
