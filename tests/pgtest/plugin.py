"""The server-side plugin, built for Debian's PostgreSQL 15 (or a 9.4 to 9.6, see servers.py) and loaded
without being installed.

`build()` compiles a copy of decoding/ once per process and version, with warnings as errors; `settings()` are
what a server needs to load it from there. The copy goes with the process.
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


def make(directory, *arguments, version=servers.DEBIAN_VERSION, **options):
    warnings = WARNINGS
    if version in servers.OLD_VERSIONS:  # their own headers initialize structs partly
        warnings += " -Wno-missing-field-initializers"
    return subprocess.run(
        ["make", "-s", "with_llvm=no", f"PG_CONFIG={servers.bin_dir(version)}/pg_config", f"COPT={warnings}",
         *arguments],
        cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)


@functools.cache
def of_the_future():
    """The directory of one that speaks no protocol version that there is."""
    return build(protocol=(7, 8))


@functools.cache
def build(version=servers.DEBIAN_VERSION, protocol=None):
    """The directory with the library and its tests."""
    home = tempfile.mkdtemp(prefix=PREFIX)
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    with open(os.path.join(home, "owner"), "w", encoding="ascii") as handle:
        handle.write(str(os.getpid()))
    os.chmod(home, 0o755)  # servers run as another user
    directory = os.path.join(home, "decoding")
    shutil.copytree(os.path.join(REPOSITORY, "decoding"), directory,
                    ignore=shutil.ignore_patterns("*.o", "*.so", "*.bc", "results", "regression.*"))
    if protocol:
        path = os.path.join(directory, f"{NAME}.c")
        with open(path, encoding="utf-8") as handle:
            text = handle.read()
        for name, value in zip(("PROTOCOL_MIN", "PROTOCOL_MAX"), protocol):
            assert f"#define {name} 1\n" in text
            text = text.replace(f"#define {name} 1\n", f"#define {name} {value}\n")
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(text)
    done = make(directory, version=version)
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    return directory


def settings(allow=True, version=servers.DEBIAN_VERSION):
    """Settings of a server that may load it; allow=False: that finds it but may not."""
    allowed = {"output_plugin_libraries": f"pgoutput, test_decoding, {NAME}"}
    known = subprocess.run([f"{servers.bin_dir(version)}/postgres", "--describe-config"], check=True,
                           capture_output=True, text=True).stdout
    return {"dynamic_library_path": f"{build(version)}:$libdir",
            **(allowed if allow and "output_plugin_libraries" in known else {})}
