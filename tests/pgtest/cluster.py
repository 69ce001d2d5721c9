"""Throwaway PostgreSQL servers and databases in them.

A Cluster has a directory of its own (data, log, socket, certificate) and a port of its own, runs as
an unprivileged user when we are root, and dies with the process that made it, however that ends
(unless keep=True). Everybody may connect by its Unix socket as superuser `postgres` without a
password; TCP follows `auth`.

As a program (used by quickstart.sh and for trying things by hand):
    python3 -m pgtest.cluster create DIR [--version 15] [--port N] [-c name=value]...
    python3 -m pgtest.cluster destroy DIR
"""

import argparse
import atexit
import ctypes
import glob
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import psycopg

from pgtest import servers

SUPERUSER = "postgres"
PASSWORD = "Postgres's pass"  # a quote and a blank: what is not quoted properly shows
PREFIX = "pgs-"
DEFAULTS = {
    "wal_level": "logical",
    "fsync": "off",
    "max_wal_senders": 20,
    "max_replication_slots": 20,
    "max_connections": 100,
    "shared_buffers": "64MB",
    "max_wal_size": "4GB",
    "lc_messages": "C",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
}
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class ClusterError(Exception):
    """A server that does not do what it is told; carries the end of its log."""


def server_user():
    """Who runs the servers: ourselves, or when we are root somebody with fewer rights."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid())
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ClusterError("servers do not run as root, and there is neither a user postgres nor nobody")


def free_port():
    """A port below the range that outgoing connections use, free just now."""
    while True:
        port = random.randint(15000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Cluster:
    """One server. Arguments:

    version    major version, see servers.VERSIONS and OLD_VERSIONS
    settings   for postgresql.conf, over DEFAULTS; a value None leaves the server's default
    auth       for TCP: "trust", "scram-sha-256", "md5" or any other method of pg_hba.conf
    ssl        True: a self-signed certificate, whose copy for sslrootcert is .certificate
    ssl_only   True: TCP without TLS is refused
    directory  its home; made. Default: a new one in `root` (/tmp; "/dev/shm" for speed)
    keep       do not stop it when this process ends
    initdb     more arguments for initdb
    """

    def __init__(self, version=15, settings=None, auth="trust", ssl=False, ssl_only=False,
                 directory=None, root="/tmp", port=None, keep=False, initdb=(), hba=()):
        self.version = version
        self.bin = servers.bin_dir(version)
        self.settings = {**DEFAULTS, **(settings or {})}
        self.auth = auth
        self.ssl = ssl or ssl_only
        self.ssl_only = ssl_only
        self.keep = keep
        self.hba = list(hba)
        self.process = None
        self.port = port or free_port()
        self._fixed_port = port is not None
        self._user = server_user()
        if directory:
            os.makedirs(directory)
            self.dir = os.path.abspath(directory)
        else:
            self.dir = tempfile.mkdtemp(prefix=PREFIX, dir=root)
        os.chmod(self.dir, 0o755)
        os.chown(self.dir, self._user.pw_uid, self._user.pw_gid)
        self.data = os.path.join(self.dir, "data")
        self.logfile = os.path.join(self.dir, "log")
        self.certificate = os.path.join(self.dir, "server.crt")
        self._note_owner()
        if not keep:
            atexit.register(self.remove)
        self._initdb(list(initdb))

    @classmethod
    def copy_of(cls, other, root=None):
        """A stopped copy of a stopped cluster: same data, same system identifier, its own port."""
        if other.running():
            raise ClusterError("only a stopped cluster can be copied")
        copy = cls.__new__(cls)
        copy.__dict__.update(other.__dict__)
        copy.settings = dict(other.settings)
        copy.process = None
        copy._fixed_port = False
        copy.port = free_port()
        copy.dir = tempfile.mkdtemp(prefix=PREFIX, dir=root or os.path.dirname(other.dir))
        os.chmod(copy.dir, 0o755)
        os.chown(copy.dir, copy._user.pw_uid, copy._user.pw_gid)
        copy.data = os.path.join(copy.dir, "data")
        copy.logfile = os.path.join(copy.dir, "log")
        copy.certificate = os.path.join(copy.dir, "server.crt")
        copy._note_owner()
        atexit.register(copy.remove)
        subprocess.run(["cp", "-a", "--reflink=auto", other.data, copy.data], check=True)
        if copy.ssl:
            for name in ("server.crt", "server.key"):
                shutil.copy2(os.path.join(other.dir, name), copy.dir)
                os.chown(os.path.join(copy.dir, name), copy._user.pw_uid, copy._user.pw_gid)
        return copy

    # -- making -------------------------------------------------------------------------------

    def _note_owner(self):
        """Says whose this is, for sweep() after a test run that was killed."""
        with open(os.path.join(self.dir, "owner"), "w", encoding="ascii") as handle:
            handle.write("keep" if self.keep else str(os.getpid()))

    def _as_user(self):
        if os.getuid() != 0:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _environment(self):
        """The server's own: nothing of the caller's LC_*, PG* or sanitizers."""
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": self.dir, "TZ": "UTC"}

    def _initdb(self, arguments):
        pwfile = os.path.join(self.dir, "pwfile")
        with open(pwfile, "w", encoding="utf-8") as handle:
            handle.write(PASSWORD + "\n")
        done = subprocess.run(
            [f"{self.bin}/initdb", "-D", self.data, "-U", SUPERUSER, "-A", "trust", "-N", "-E", "UTF8",
             "--locale=C.UTF-8", f"--pwfile={pwfile}", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self.dir,
            env=self._environment(), check=False, **self._as_user(),
        )
        os.unlink(pwfile)
        if done.returncode != 0:
            raise ClusterError(f"initdb of {self.version} failed:\n{done.stdout}{done.stderr}")
        if self.ssl:
            self._make_certificate()

    def _make_certificate(self):
        key = os.path.join(self.dir, "server.key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", key,
             "-out", self.certificate, "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
            check=True, capture_output=True, stdin=subprocess.DEVNULL,
        )
        os.chmod(key, 0o600)
        for path in (key, self.certificate):
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def write_config(self):
        """Writes pg_hba.conf and our settings; a running server needs reload() or restart()."""
        tls = self.ssl_only and "hostssl" or "host"
        lines = [
            "local all all trust",
            "local replication all trust",
            *self.hba,
            f"{tls} all all 127.0.0.1/32 {self.auth}",
            f"{tls} replication all 127.0.0.1/32 {self.auth}",
        ]
        with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="utf-8") as handle:
            handle.write("\n".join(lines) + "\n")
        settings = dict(self.settings)
        if self.version == "9.4":
            settings["max_wal_size"] = None
            settings.setdefault("checkpoint_segments", 128)
        settings.update({"listen_addresses": "127.0.0.1", "port": self.port,
                         "unix_socket_directories": self.dir})
        if self.version not in servers.OLD_VERSIONS and self.auth in ("md5", "scram-sha-256"):
            settings.setdefault("password_encryption", self.auth)
        if self.ssl:
            settings.update({"ssl": "on", "ssl_cert_file": self.certificate,
                             "ssl_key_file": os.path.join(self.dir, "server.key")})
        with open(os.path.join(self.data, "postgresql.auto.conf"), "w", encoding="utf-8") as handle:
            for name, value in settings.items():
                if value is not None:
                    quoted = str(value).replace("'", "''")
                    handle.write(f"{name} = '{quoted}'\n")

    # -- starting and stopping ----------------------------------------------------------------

    def start(self, timeout=60):
        """Starts it and waits until it takes connections. Returns itself."""
        for attempt in range(5):
            self.write_config()
            self._spawn()
            if self._wait_ready(timeout):
                self._set_password()
                return self
            taken = "could not bind" in self.log_tail(20)
            self.process.wait()
            self.process = None
            if self._fixed_port or not taken or attempt == 4:
                break
            self.port = free_port()
        raise ClusterError(f"PostgreSQL {self.version} does not start:\n{self.log_tail(30)}")

    def _spawn(self):
        def die_with_parent():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)

        with open(self.logfile, "ab") as log:
            self.process = subprocess.Popen(
                [f"{self.bin}/postgres", "-D", self.data], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=self.dir, env=self._environment(), start_new_session=True,
                preexec_fn=None if self.keep else die_with_parent, **self._as_user(),
            )
        os.chmod(self.logfile, 0o644)

    def _wait_ready(self, timeout):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            try:
                psycopg.connect(self.conninfo(socket=True), connect_timeout=5).close()
                self._fixed_port = True  # from now on others know it
                return True
            except psycopg.OperationalError:
                time.sleep(0.03)
        self.kill9()
        return False

    def _set_password(self):
        """A password in the form that `auth` wants: initdb hashed it by its own default."""
        if self.auth in ("md5", "scram-sha-256"):
            with self.connect(socket=True) as connection:
                if not connection.execute("SELECT pg_is_in_recovery()").fetchone()[0]:
                    quoted = PASSWORD.replace("'", "''")
                    connection.execute(f"ALTER ROLE {SUPERUSER} PASSWORD '{quoted}'")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, mode="fast", timeout=60):
        """Stops it: "smart", "fast" or "immediate". Nothing to do when it is down."""
        if self.process is None:
            return
        name = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        if self.running():
            self.process.send_signal(name)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            tail = self.log_tail(20)
            self.kill9()
            raise ClusterError(f"no {mode} shutdown in {timeout} s:\n{tail}") from error
        self.process = None

    def kill9(self):
        """Kills the postmaster and every one of its processes at once."""
        if self.process is None:
            return
        pids = [self.process.pid, *self._children()]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process = None
        while any(alive(pid) for pid in pids):  # a start before that finds shared memory in use
            time.sleep(0.01)

    def restart(self, mode="fast"):
        self.stop(mode)
        return self.start()

    def reload(self):
        self.write_config()
        self.process.send_signal(signal.SIGHUP)

    def remove(self):
        """Stops it and removes its directory. May be called twice."""
        if self.process is not None:
            try:
                self.stop("immediate", timeout=20)
            except ClusterError:
                self.kill9()
        shutil.rmtree(self.dir, ignore_errors=True)
        atexit.unregister(self.remove)

    # -- using --------------------------------------------------------------------------------

    def params(self, dbname="postgres", user=SUPERUSER, password=PASSWORD, socket=False, **more):
        """Connection parameters as a dict; a password only where `auth` asks for one."""
        values = {"host": self.dir if socket else "127.0.0.1", "port": self.port, "dbname": dbname,
                  "user": user}
        if self.auth != "trust" and not socket:
            values["password"] = password
        values.update(more)
        return values

    def conninfo(self, dbname="postgres", **more):
        return psycopg.conninfo.make_conninfo(**self.params(dbname, **more))

    def connect(self, dbname="postgres", autocommit=True, **more):
        return psycopg.connect(self.conninfo(dbname, **more), autocommit=autocommit)

    def sql(self, statement, params=None, dbname="postgres"):
        """Runs one statement (several without params); rows as a list of tuples, or None."""
        with self.connect(dbname, socket=True) as connection:
            cursor = connection.execute(statement, params)
            return cursor.fetchall() if cursor.description else None

    def value(self, statement, params=None, dbname="postgres"):
        return self.sql(statement, params, dbname)[0][0]

    def log_tail(self, lines=50):
        try:
            with open(self.logfile, encoding="utf-8", errors="replace") as handle:
                return "".join(handle.readlines()[-lines:])
        except FileNotFoundError:
            return ""

    def create_database(self, name, options=""):
        self.sql(f'CREATE DATABASE "{name}" {options}')
        return Database(self, name)

    # -- measuring ----------------------------------------------------------------------------

    def _children(self):
        return children_of(self.process.pid) if self.process else []

    def cpu_seconds(self):
        """User and system time of the postmaster, its living children and those it has reaped."""
        while True:
            children = self._children()
            total = sum(process_cpu(pid, reaped=True) for pid in [self.process.pid, *children])
            if self._children() == children:  # one that was reaped meanwhile would be nowhere
                return total


class Database:
    """A database of a cluster, with the same ways to use it."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name

    version = property(lambda self: self.cluster.version)

    def params(self, **more):
        return self.cluster.params(self.name, **more)

    def conninfo(self, **more):
        return self.cluster.conninfo(self.name, **more)

    def connect(self, **more):
        return self.cluster.connect(self.name, **more)

    def sql(self, statement, params=None):
        return self.cluster.sql(statement, params, self.name)

    def value(self, statement, params=None):
        return self.cluster.value(statement, params, self.name)

    def script(self, text):
        """Runs a psql script, stopping at the first error."""
        done = subprocess.run(
            [servers.client("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", self.conninfo(socket=True)],
            input=text, text=True, capture_output=True, check=False,
        )
        if done.returncode != 0:
            raise ClusterError(f"psql failed on {self.name}:\n{done.stderr}")
        return done.stdout

    def slots(self):
        """Names of the logical slots made in this database."""
        return [row[0] for row in self.sql(
            "SELECT slot_name FROM pg_replication_slots WHERE database = current_database() ORDER BY 1")]

    def publications(self):
        if self.version in servers.OLD_VERSIONS:
            return []
        return [row[0] for row in self.sql("SELECT pubname FROM pg_publication ORDER BY 1")]

    def schemas(self):
        return [row[0] for row in self.sql(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' "
            "AND nspname <> 'information_schema' ORDER BY 1")]

    def disconnect_all(self):
        self.cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                         "WHERE datname = %s AND pid <> pg_backend_pid()", [self.name])

    def drop(self, timeout=20):
        """Removes it with its slots and whoever is connected."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.disconnect_all()
                self.cluster.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                                 "WHERE database = %s AND NOT active", [self.name])
                self.cluster.sql(f'DROP DATABASE IF EXISTS "{self.name}"')
                return
            except psycopg.Error:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


# -- processes ------------------------------------------------------------------------------------


def children_of(pid):
    """Direct children of a process."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="ascii") as handle:
                found += [int(word) for word in handle.read().split()]
        except OSError:
            continue
    return found


def process_cpu(pid, reaped=False):
    """Seconds of user and system time of a process; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as handle:
            fields = handle.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    ticks = int(fields[11]) + int(fields[12])
    if reaped:
        ticks += int(fields[13]) + int(fields[14])
    return ticks / os.sysconf("SC_CLK_TCK")


def process_memory(pid):
    """(resident, highest resident) in bytes."""
    sizes = {}
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as handle:
        for line in handle:
            if line.startswith(("VmRSS:", "VmHWM:")):
                name, value = line.split(":")
                sizes[name] = int(value.split()[0]) * 1024
    return sizes.get("VmRSS", 0), sizes.get("VmHWM", 0)


def alive(pid):
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as handle:
            return handle.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def sweep(root="/tmp"):
    """Removes the directories of test runs that were killed; their servers died with them."""
    for path in glob.glob(os.path.join(root, PREFIX + "*")):
        try:
            with open(os.path.join(path, "owner"), encoding="ascii") as handle:
                owner = handle.read().strip()
        except OSError:
            continue
        if owner.isdigit() and not alive(int(owner)):
            shutil.rmtree(path, ignore_errors=True)


# -- as a program -----------------------------------------------------------------------------------


def destroy(directory):
    """Stops the server that lives in a directory made by `create`, and removes it."""
    pidfile = os.path.join(directory, "data", "postmaster.pid")
    if not os.path.exists(os.path.join(directory, "owner")):
        if os.path.exists(directory):
            raise ClusterError(f"{directory} is not one of ours")
        return
    try:
        with open(pidfile, encoding="ascii") as handle:
            pid = int(handle.readline())
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + 20
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        if alive(pid):
            os.kill(pid, signal.SIGQUIT)
            time.sleep(1)
    except (FileNotFoundError, ProcessLookupError):
        pass
    shutil.rmtree(directory)


def main():
    parser = argparse.ArgumentParser(prog="pgtest.cluster")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make and start a server; prints its parameters")
    create.add_argument("directory")
    create.add_argument("--version", type=servers.parse_version, default=15)
    create.add_argument("--port", type=int)
    create.add_argument("-c", dest="settings", action="append", default=[], metavar="NAME=VALUE")
    remove = commands.add_parser("destroy", help="stop a server and remove its directory")
    remove.add_argument("directory")
    options = parser.parse_args()
    try:
        if options.command == "destroy":
            destroy(options.directory)
            return 0
        settings = dict(pair.split("=", 1) for pair in options.settings)
        cluster = Cluster(options.version, settings, directory=options.directory, port=options.port,
                          keep=True).start()
        print(json.dumps(cluster.params()))
        return 0
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
