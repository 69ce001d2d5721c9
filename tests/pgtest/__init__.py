"""What tests, benchmarks and the quickstart share: servers, proxies, comparison, load, the driver.

servers   where the binaries of each PostgreSQL version come from
cluster   a throwaway server: made, started, killed, measured, removed; databases in it
proxy     a TCP proxy that delays, holds, traps, cuts and half-closes connections
compare   row-by-row equality of two databases, streaming
sluice    runs the pgsluice executable and reads its events
workload  pgbench, and random changes over tables of several kinds

Plain modules for /usr/bin/python3 with Debian's python3-psycopg and python3-yaml: pytest is only
needed by tests/conftest.py, which turns these into fixtures.
"""

import os

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
