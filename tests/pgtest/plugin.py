"""The server-side plugin, built for Debian's PostgreSQL 15 and loaded without being installed.

`build()` compiles a copy of decoding/ once per process, with warnings as errors; `settings()` are what a
server needs to load it from there. The copy goes with the process.
"""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile

from pgtest import REPOSITORY, servers
from pgtest.cluster import PREFIX

NAME = "pgsluice_decoding"
WARNINGS = "-Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Werror"


def make(directory, *arguments, **options):
    return subprocess.run(
        ["make", "-s", "with_llvm=no", f"PG_CONFIG={servers.DEBIAN_BIN}/pg_config", f"COPT={WARNINGS}",
         *arguments],
        cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)


@functools.cache
def build():
    """The directory with the library and its tests."""
    home = tempfile.mkdtemp(prefix=PREFIX)
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    with open(os.path.join(home, "owner"), "w", encoding="ascii") as handle:
        handle.write(str(os.getpid()))
    os.chmod(home, 0o755)  # servers run as another user
    directory = os.path.join(home, "decoding")
    shutil.copytree(os.path.join(REPOSITORY, "decoding"), directory,
                    ignore=shutil.ignore_patterns("*.o", "*.so", "*.bc", "results", "regression.*"))
    done = make(directory)
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    return directory


def settings(allow=True):
    """Settings of a server that may load it; allow=False: that finds it but may not."""
    allowed = {"output_plugin_libraries": f"pgoutput, test_decoding, {NAME}"}
    known = subprocess.run([f"{servers.DEBIAN_BIN}/postgres", "--describe-config"], check=True,
                           capture_output=True, text=True).stdout
    return {"dynamic_library_path": f"{build()}:$libdir",
            **(allowed if allow and "output_plugin_libraries" in known else {})}
