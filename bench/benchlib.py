"""What the benchmarks share: servers with stated settings, interleaved rounds, a report.

Every benchmark takes --rounds (default 5) and writes bench/results/NAME.md. Contenders run one after
the other in each round, in an order that rotates from round to round; what is reported is the median.
"""

import argparse
import datetime
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(REPOSITORY, "tests"))

from pgtest import cluster as clusters  # noqa: E402
from pgtest import servers  # noqa: E402
from pgtest.cluster import Cluster  # noqa: E402

# The same on every server of a benchmark; durable, as a user would run it.
SETTINGS = {
    "fsync": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "30min",
    "autovacuum": "off",
    "log_replication_commands": "on",
}


STARTED_AT_LOAD = os.getloadavg()

# What benchmarks of the stream have read: kinds, and what they are called in a report.
BACKLOGS = {"pgbench": "{transactions:,} pgbench transactions, scale {scale}",
            "bulk": "1 M inserts, 500 k updates, 250 k deletes in three transactions"}
BACKLOG_TABLES = """
CREATE TABLE bulk (id bigint PRIMARY KEY, n int, payload text, at timestamptz);
CREATE TABLE marker (round int PRIMARY KEY);
"""
BULK = [
    "INSERT INTO bulk SELECT {0} + g, g, md5(g::text) || md5((g + 1)::text), now() "
    "FROM generate_series(1, 1000000) g",
    "UPDATE bulk SET n = n + 1, at = clock_timestamp() WHERE id > {0} AND id <= {0} + 1000000 "
    "AND id % 2 = 0",
    "DELETE FROM bulk WHERE id > {0} AND id <= {0} + 1000000 AND id % 4 = 1",
]
DECODING_MEMORY = "256MB"  # what pgsluice asks for


def parser(description):
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--no-write", action="store_true", help="print the results only")
    made.add_argument("--root", default="/tmp", help="where the servers' directories are made")
    return made


def backlog_parser(description):
    made = parser(description)
    made.add_argument("loads", nargs="*", choices=[*BACKLOGS, []], default=[])
    made.add_argument("--scale", type=int, default=50)
    made.add_argument("--transactions", type=int, default=400_000)
    return made


def make_backlog(source, kind, number, transactions):
    """One round's changes, and `number` in marker after them. Returns the position behind both. The
    tables are Pgbench's and BACKLOG_TABLES; what the changes are is the same for every reader."""
    with source.connect(options="-c synchronous_commit=off") as connection:
        if kind == "pgbench":
            subprocess.run([servers.client("pgbench"), "-n", "-M", "prepared", "-c", "8", "-j", "2",
                            "-t", str(transactions // 8),
                            source.conninfo(options="-c synchronous_commit=off")],
                           check=True, capture_output=True)
        else:
            for statement in BULK:
                connection.execute(statement.format(number * 1_000_000))
        connection.execute("INSERT INTO marker VALUES (%s)", [number])
        end = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0]
        # pg_recvlogical stops at the first message past its end: without this one, at a keepalive
        connection.execute("INSERT INTO marker VALUES (%s)", [-number])
    return end


def recvlogical(source, slot, options, *more):
    """The command that reads a slot with these options of its plugin, decoding alone, to nowhere."""
    words = [word for name, value in options for word in ("-o", f"{name}={value}")]
    conninfo = source.conninfo(options=f"-c logical_decoding_work_mem={DECODING_MEMORY}")
    return [servers.client("pg_recvlogical"), "-d", conninfo, "-S", slot, "--start",
            "-f", "/dev/null", *words, *more]


def server(root="/tmp", settings=None):
    clusters.sweep(root)
    return Cluster(15, {**SETTINGS, **(settings or {})}, root=root).start()


def checkpoint(*databases):
    """So that no contender pays for the pages that another has dirtied."""
    for database in databases:
        database.sql("CHECKPOINT")


class Cost:
    """Wall time and own CPU of a command; CPU of the servers, if given, over the same time."""

    def __init__(self, seconds, cpu=0.0, servers_cpu=0.0, output=""):
        self.seconds = seconds
        self.cpu = cpu
        self.servers_cpu = servers_cpu
        self.output = output


def timed(arguments, servers_=(), environment=None, shell=False, **options):
    """Runs a command; it must succeed. Returns its Cost."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    servers_before = sum(server.cpu_seconds() for server in servers_)
    started = time.monotonic()
    done = subprocess.run(arguments, shell=shell, executable="/bin/bash" if shell else None,
                          env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, **options)
    seconds = time.monotonic() - started
    servers_cpu = sum(server.cpu_seconds() for server in servers_) - servers_before
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RuntimeError(f"{arguments} ended with {done.returncode}:\n{done.stdout[-5000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, cpu, servers_cpu, done.stdout)


def rounds(count, contenders, prepare=None):
    """Runs {name: function(round) → Cost} `count` times, interleaved. Returns {name: [Cost]}."""
    names = list(contenders)
    costs = {name: [] for name in names}
    for number in range(count):
        if prepare:
            prepare(number)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            cost = contenders[name](number)
            costs[name].append(cost)
            print(f"round {number + 1}: {name}: {cost.seconds:.2f} s", flush=True)
    return costs


def median(costs, what="seconds"):
    return statistics.median(getattr(cost, what) for cost in costs)


def spread(costs):
    values = sorted(cost.seconds for cost in costs)
    return f"{values[0]:.2f}–{values[-1]:.2f}"


def executable():
    from pgtest import sluice
    path = sluice.executable()
    if not os.path.exists(path):
        sys.exit(f"{path} is missing: meson setup build && ninja -C build")
    return path


def commit():
    return subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=REPOSITORY,
                          capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as handle:
        model = next((line.split(":")[1].strip() for line in handle if line.startswith("model name")),
                     platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{len(os.sched_getaffinity(0))} cores ({model}), {memory:.0f} GiB, "
            f"{platform.system()} {platform.release()}")


def versions(*programs):
    return [subprocess.run(arguments, capture_output=True, text=True, check=False,
                           ).stdout.strip().splitlines()[0] for arguments in programs]


class Report:
    """Collects Markdown and bars; written to bench/results/NAME.md and printed."""

    def __init__(self, name, title, settings=None):
        self.name = name
        self.lines = [f"# {title}", ""]
        self.missed = 0
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        self.text(f"- {now}, commit {commit()}", f"- {machine()}; load average before "
                  f"{STARTED_AT_LOAD[0]:.1f} (of other work: anything above 0.5 disturbs)",
                  f"- {', '.join(versions([servers.client('postgres'), '--version']))}; all servers on "
                  "this machine, connections over TCP to 127.0.0.1; settings: "
                  + ", ".join(f"{name}={value}" for name, value in
                              {**clusters.DEFAULTS, **SETTINGS, **(settings or {})}.items()
                              if not name.startswith(("log_", "lc_", "timezone"))))

    def text(self, *lines):
        self.lines += [*lines]

    def table(self, costs, reference=None, extra=()):
        """One row per contender: median, range and ratio to the reference's median."""
        base = median(costs[reference]) if reference else None
        head = ["", "median s", "range"] + ([f"÷ {reference}"] if reference else []) + [
            title for title, _ in extra]
        rows = [head, ["---"] + ["---:"] * (len(head) - 1)]
        for name, runs in costs.items():
            row = [name, f"{median(runs):.2f}", spread(runs)]
            row += [f"{median(runs) / base:.2f}"] if reference else []
            rows.append(row + [show(name, runs) for _, show in extra])
        self.text("", *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows), "")

    def bar(self, what, value, limit, unit="", at_least=False):
        met = value >= limit if at_least else value <= limit
        self.missed += not met
        self.text(f"- {what}: **{value:.2f}{unit}**, bar {'at least ' if at_least else ''}{limit:g}{unit}: "
                  + ("met" if met else "**MISSED**"))

    def finish(self, write=True):
        text = "\n".join(self.lines) + "\n"
        print("\n" + text)
        if write:
            path = os.path.join(REPOSITORY, "bench", "results", self.name + ".md")
            with open(path, "w", encoding="utf-8") as handle:
                handle.write(text)
        return 1 if self.missed else 0
