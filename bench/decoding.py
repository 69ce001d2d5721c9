"""What the source pays for its changes to be read: output plugins against each other, nothing applied.
Run: /usr/bin/python3 bench/decoding.py [pgbench] [bulk]

One source, one slot per contender; all stand still while the load is generated once a round, then
pg_recvlogical reads each to /dev/null, alone, after a checkpoint, with the same decoding memory:
    pgoutput, text            proto_version 2, values as text
    pgoutput, as we use it    what pgsluice asks for: binary, messages
    pgsluice_decoding         what pgsluice asks for
    … half of the columns     the same, without the wider half of every table's columns
Bytes are what goes over the network: the plugin's messages and 30 bytes for each (CopyData and WAL data
headers), counted once, from a copy of the slot.

The loads are those of bench/stream.py. Bars, as rates: pgsluice_decoding at least 1.25 times pgoutput in
text form and 1.1 times pgoutput as we use it; with half of the columns at least 1.5 times the text
form; bytes at most 0.7 of the text form's.
"""

import sys
import time

import benchlib
from pgtest import plugin
from pgtest.workload import Pgbench

TEXT, USED, OURS, HALF = ("pgoutput, text", "pgoutput, as we use it", "pgsluice_decoding",
                          "pgsluice_decoding, half of the columns")
PGOUTPUT = {"proto_version": "2", "publication_names": "bench"}
PROTOCOL = {"min_proto_version": "1", "max_proto_version": "1"}
EXCLUDED = ("public.bulk(payload, at), public.pgbench_accounts(bid, filler), "
            "public.pgbench_tellers(bid, filler), public.pgbench_branches(filler), "
            "public.pgbench_history(delta, mtime, filler)")
CONTENDERS = {
    TEXT: ("pgoutput", PGOUTPUT),
    USED: ("pgoutput", {**PGOUTPUT, "binary": "true", "messages": "true"}),
    OURS: (plugin.NAME, {**PROTOCOL, "tables": "public.*"}),
    HALF: (plugin.NAME, {**PROTOCOL, "tables": "public.*", "exclude_columns": EXCLUDED}),
}
HEADER_BYTES = 5 + 25
SETTINGS = {"max_replication_slots": 20}


class Bench:
    def __init__(self, options):
        self.options = options
        self.server = benchlib.server(options.root, {**plugin.settings(), **SETTINGS})
        self.source = self.server.create_database("bench")
        Pgbench.initialize(self.source, options.scale)
        self.source.script(benchlib.BACKLOG_TABLES)
        self.source.sql("CREATE PUBLICATION bench FOR ALL TABLES")
        self.source.sql("VACUUM FREEZE ANALYZE")
        self.slots = {name: f"slot_{number}" for number, name in enumerate(CONTENDERS)}
        for name, (library, _) in CONTENDERS.items():
            self.source.sql("SELECT pg_create_logical_replication_slot(%s, %s)",
                            [self.slots[name], library])
        self.loads = 0
        self.sizes = {}

    def load(self, kind):
        """One round's changes. They are counted in the first round of each kind."""
        self.loads += 1
        self.end = benchlib.make_backlog(self.source, kind, self.loads, self.options.transactions)
        benchlib.checkpoint(self.server)  # all of it is flushed, and can be decoded
        if kind not in self.sizes:
            self.sizes[kind] = {name: self.size(name) for name in CONTENDERS}

    def size(self, name):
        """(messages, bytes over the network) of this round."""
        _, slot_options = CONTENDERS[name]
        self.source.sql("SELECT pg_copy_logical_replication_slot(%s, 'counted')", [self.slots[name]])
        arguments = "".join(f", '{key}', '{value}'" for key, value in slot_options.items())
        messages, data = self.source.sql(
            "SELECT count(*), coalesce(sum(length(data)), 0)::int8 FROM pg_logical_slot_peek_binary_changes("
            f"'counted', '{self.end}', NULL{arguments})")[0]
        self.source.sql("SELECT pg_drop_replication_slot('counted')")
        return messages, data + messages * HEADER_BYTES

    def read(self, name):
        benchlib.checkpoint(self.server)
        _, slot_options = CONTENDERS[name]
        command = benchlib.recvlogical(self.source, self.slots[name], slot_options.items(),
                                       "--no-loop", "-E", self.end)
        cost = benchlib.timed(command, [self.server])
        time.sleep(0.2)  # the walsender ends
        confirmed = self.source.value("SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots "
                                      "WHERE slot_name = %s", [self.end, self.slots[name]])
        assert confirmed, f"{name} has not read up to {self.end}"
        return cost

    def close(self):
        self.server.remove()


def report_on(title, costs, sizes, report):
    report.text("", f"## {title}")
    base_seconds, base_bytes = benchlib.median(costs[TEXT]), sizes[TEXT][1]
    size_of = {id(runs): sizes[name] for name, runs in costs.items()}
    report.table(costs, extra=[
        ("rate", lambda name, runs: f"{base_seconds / benchlib.median(runs):.2f}"),
        ("server's CPU s", lambda name, runs: f"{benchlib.median(runs, 'servers_cpu'):.2f}"),
        ("messages", lambda name, runs: f"{size_of[id(runs)][0]:,}"),
        ("bytes", lambda name, runs: f"{size_of[id(runs)][1] / 1e6:.1f} MB"),
        ("bytes ÷ text", lambda name, runs: f"{size_of[id(runs)][1] / base_bytes:.2f}")])
    ours = benchlib.median(costs[OURS])
    report.bar("rate of pgsluice_decoding ÷ pgoutput, text", base_seconds / ours, 1.25, at_least=True)
    report.bar("rate of pgsluice_decoding ÷ pgoutput, as we use it", benchlib.median(costs[USED]) / ours, 1.1,
               at_least=True)
    report.bar("rate with half of the columns ÷ pgoutput, text", base_seconds / benchlib.median(costs[HALF]), 1.5,
               at_least=True)
    report.bar("bytes of pgsluice_decoding ÷ pgoutput, text", sizes[OURS][1] / base_bytes, 0.7)


def main():
    options = benchlib.backlog_parser(__doc__.splitlines()[0]).parse_args()
    bench = Bench(options)
    try:
        contenders = {name: lambda number, n=name: bench.read(n) for name in CONTENDERS}
        costs = {kind: benchlib.rounds(options.rounds, contenders, lambda number, k=kind: bench.load(k))
                 for kind in options.loads or benchlib.BACKLOGS}
    finally:
        bench.close()
    report = benchlib.Report("decoding", "Output plugins: decoding alone", SETTINGS)
    report.text(f"- {options.rounds} rounds, interleaved; the load is generated once a round, then each contender's slot "
                f"is read by `pg_recvlogical` to /dev/null, logical_decoding_work_mem={benchlib.DECODING_MEMORY}; rate: 1 is "
                "pgoutput's in text form")
    for name, (library, slot_options) in CONTENDERS.items():
        shown = ", ".join(f"{key} '{value}'" for key, value in slot_options.items())
        report.text(f"- {name}: {library} with `{shown}`")
    for kind, found in costs.items():
        report_on(benchlib.BACKLOGS[kind].format(**vars(options)), found, bench.sizes[kind], report)
    return report.finish(not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
