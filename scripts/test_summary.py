"""Adds up test results: meson's testlog.json (JSON lines) and pytest's JUnit XML.

Prints "N passed, N failed, N skipped". A file that is missing or unreadable is one failure: its step
did not get as far as writing it. Exits 1 if anything failed or nothing passed.
"""

import json
import sys
import xml.etree.ElementTree

MESON = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}


def meson(path, counts):
    with open(path, encoding="utf-8") as handle:
        for line in handle:
            counts[MESON.get(json.loads(line)["result"], "failed")] += 1


def junit(path, counts):
    for suite in xml.etree.ElementTree.parse(path).getroot().iter("testsuite"):
        total, failed, skipped = (int(suite.get(name, 0)) for name in ("tests", "failures", "skipped"))
        failed += int(suite.get("errors", 0))
        counts["failed"] += failed
        counts["skipped"] += skipped
        counts["passed"] += total - failed - skipped


def main(paths):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for path in paths:
        try:
            (meson if path.endswith(".json") else junit)(path, counts)
        except (OSError, ValueError, KeyError, xml.etree.ElementTree.ParseError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            counts["failed"] += 1
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
