"""The schemas of real applications, from Debian's packages: pg_dump of both sides is the same."""

import glob
import os
import re
import shutil
import subprocess
import tempfile

import pytest

from pgtest import servers
from test_schema import SchemaCopy, assert_same, dump, rows


def make_tables(text):
    """The SQL within bacula's shell script."""
    return re.search(r"<<END-OF-DATA\n(.*?)\nEND-OF-DATA", text, flags=re.S)[1]


# package: its script, and how to take the SQL out of it
APPLICATIONS = {
    "bacula-director-pgsql": ("usr/share/bacula-director/make_postgresql_tables", make_tables),
    "icinga2-ido-pgsql": ("usr/share/icinga2-ido-pgsql/schema/pgsql.sql", str),
    "kea-admin": ("usr/share/kea/scripts/pgsql/dhcpdb_create.pgsql", str),
    "roundcube-core": ("usr/share/dbconfig-common/data/roundcube/install/pgsql", str),
    "request-tracker5": ("usr/share/request-tracker5/etc/schema.Pg", str),
}
LARGE = ("roundcube-core", "request-tracker5")


def script_of(package):
    """Its SQL; the package is fetched once and unpacked, not installed."""
    path, extract = APPLICATIONS[package]
    kept = os.path.join(servers.cache_dir(), f"{package}.sql")
    with servers.locked("applications.lock"):
        if not os.path.exists(kept):
            work = tempfile.mkdtemp(prefix="package-", dir=servers.cache_dir())
            try:
                subprocess.run(["apt-get", "download", package], cwd=work, check=True, capture_output=True)
                subprocess.run(["dpkg-deb", "-x", *glob.glob(f"{work}/*.deb"), f"{work}/files"], check=True)
                with open(f"{work}/files/{path}", encoding="utf-8") as handle:
                    text = extract(handle.read())
                with open(f"{kept}.new", "w", encoding="utf-8") as handle:
                    handle.write(text)
                os.rename(f"{kept}.new", kept)
            finally:
                shutil.rmtree(work)
    with open(kept, encoding="utf-8") as handle:
        return handle.read()


@pytest.mark.parametrize("package", [
    pytest.param(name, marks=pytest.mark.long) if name in LARGE else name for name in APPLICATIONS])
def test_application(make_pair, tmp_path, package):
    pair = make_pair(15)
    pair.source.script(script_of(package))
    assert pair.source.value("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND oid >= 16384") > 10
    SchemaCopy(tmp_path, pair.source, pair.destination, pair.source.schemas()).run()
    assert rows(pair.destination, "failed") == []
    assert rows(pair.destination, "unsupported") == []
    assert_same(dump(pair.source), dump(pair.destination))
