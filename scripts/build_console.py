#!/usr/bin/env python3
"""Builds the web console and turns it into a C file that the executable carries.

    scripts/build_console.py OUT.c DEPFILE [NPM]      (run by Meson)

Packages are installed (`npm ci`, exactly those of package-lock.json, without their install scripts)
when the lock file changed, and Vite runs when a file of the console or docs/openapi.yaml changed.
Both results are kept in console/ (node_modules, dist), so that several build directories share
them. Text files are stored compressed by gzip, index.html as it is.
"""

import fcntl
import gzip
import hashlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONSOLE = os.path.join(ROOT, "console")
SPEC = os.path.join(ROOT, "docs", "openapi.yaml")
MADE = {"node_modules", "dist", "e2e"}  # not what the console is made of
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}


def inputs():
    """Files and directories that the console is made of; a directory stands for its list of files."""
    found = [SPEC, os.path.abspath(__file__)]
    for directory, names, files in os.walk(CONSOLE):
        names[:] = sorted(n for n in names if n not in MADE)
        found.append(directory) if directory != CONSOLE else None
        found += [os.path.join(directory, f) for f in sorted(files)
                  if not f.startswith(".") and ".gen." not in f]
    return found


def digest(paths):
    sha = hashlib.sha256()
    for path in paths:
        sha.update(os.path.relpath(path, ROOT).encode() + b"\0")
        if os.path.isfile(path):
            with open(path, "rb") as handle:
                sha.update(handle.read())
    return sha.hexdigest()


def read(path):
    try:
        with open(path, encoding="utf-8") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def write(path, text):
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(text)


def run(*command):
    done = subprocess.run(command, cwd=CONSOLE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\n{' '.join(command)} failed; -Dconsole=disabled builds without it")


def packages(npm):
    stamp = os.path.join(CONSOLE, "node_modules", ".pgsluice")
    wanted = digest([os.path.join(CONSOLE, "package-lock.json")])
    if read(stamp) != wanted:
        run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
        write(stamp, wanted)


def build(npm):
    """Brings console/dist up to date; one build at a time."""
    stamp = os.path.join(CONSOLE, "dist", ".pgsluice")
    with open(os.path.join(CONSOLE, ".stamp.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        packages(npm)
        wanted = digest(inputs())
        if read(stamp) != wanted:
            run(npm, "run", "--silent", "build")
            write(stamp, wanted)


def literal(data):
    """Bytes as C string literals of 64 bytes each."""
    lines = []
    for i in range(0, len(data), 64):
        lines.append('"' + "".join(f"\\{b:03o}" for b in data[i:i + 64]) + '"')
    return "\n    ".join(lines) or '""'


def entry(path, name, number):
    with open(path, "rb") as handle:
        data = handle.read()
    kind = TYPES.get(os.path.splitext(name)[1])
    if kind is None:
        sys.exit(f"console/dist{name}: scripts/build_console.py knows no type for this file")
    packed = gzip.compress(data, 9, mtime=0) if number > 0 and len(data) > 512 else None
    tag = hashlib.sha256(data).hexdigest()[:16]
    body = packed or data
    return (f"static const char data_{number}[] =\n    {literal(body)};\n",
            f'    {{ "{name}", "{kind}", "\\"{tag}\\"", data_{number}, {len(body)}, '
            f'{"true" if packed else "false"} }},\n')


def c_file():
    dist = os.path.join(CONSOLE, "dist")
    names = sorted(os.path.relpath(os.path.join(d, f), dist)
                   for d, _, files in os.walk(dist) for f in files if not f.startswith("."))
    names.remove("index.html")
    entries = [entry(os.path.join(dist, name), "/" + name, i)
               for i, name in enumerate(["index.html", *names])]
    return ("/* The console: made by scripts/build_console.py. The first file is index.html. */\n"
            '#include "service/console.h"\n\n' + "\n".join(data for data, _ in entries) +
            "\nconst sl_console_file sl_console_files[] = {\n" +
            "".join(row for _, row in entries) + "    { 0 },\n};\n")


def main():
    out, depfile = sys.argv[1:3]
    build(sys.argv[3] if len(sys.argv) > 3 else "npm")
    write(out, c_file())
    paths = " ".join(path.replace(" ", "\\ ") for path in inputs())
    write(depfile, f"{out}: {paths}\n")


if __name__ == "__main__":
    main()
