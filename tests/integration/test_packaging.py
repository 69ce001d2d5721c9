"""The .deb, the unit, notify and watchdog, completions and the manual."""

import glob
import json
import os
import re
import socket
import subprocess
import urllib.request

import pytest

from pgtest import REPOSITORY
from pgtest.service import ADMIN_PASSWORD
from pgtest.sluice import executable

PACKAGING = os.path.join(REPOSITORY, "packaging")


def output_of(*arguments, **options):
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package, unpacked: (its root, its control file)."""
    work = tmp_path_factory.mktemp("deb")
    output_of(os.path.join(PACKAGING, "build_deb.sh"), os.path.dirname(executable()), str(work))
    deb = glob.glob(str(work / "pgsluice_*.deb"))[0]
    output_of("dpkg-deb", "--extract", deb, str(work / "root"))
    return work / "root", output_of("dpkg-deb", "--field", deb)


def test_what_is_in_the_package(package):
    root, control = package
    assert "libpq5" in control and "libsqlite3-0" in control, control
    for path in ("usr/bin/pgsluice", "lib/systemd/system/pgsluice.service", "etc/default/pgsluice",
                 "usr/share/man/man1/pgsluice.1.gz", "usr/share/bash-completion/completions/pgsluice",
                 "usr/share/zsh/vendor-completions/_pgsluice", "usr/share/doc/pgsluice/service.md"):
        assert os.path.getsize(root / path) > 0, path
    assert output_of(str(root / "usr/bin/pgsluice"), "version") == output_of(executable(), "version")
    manual = output_of("gzip", "-dc", str(root / "usr/share/man/man1/pgsluice.1.gz"))
    for word in ("pgsluice run", "pgsluice serve", "pgsluice task watch", "retry_minutes"):
        assert word in manual, word


def test_the_unit_is_hardened():
    """systemd's own judgement, 0 (safe) to 100."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=25",
                           os.path.join(PACKAGING, "pgsluice.service")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_installed_service_notifies_and_feeds_the_watchdog(package, tmp_path):
    """As systemd starts it: from the package's root, in the foreground."""
    root, _ = package
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(20)
        process = subprocess.Popen(
            [str(root / "usr/bin/pgsluice"), "serve", "--data-dir", str(tmp_path / "data"), "--listen",
             "127.0.0.1:0"],
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000",
                 "PGSLUICE_ADMIN_PASSWORD": ADMIN_PASSWORD}, stderr=subprocess.PIPE, text=True)
        try:
            seen = [told.recv(100).decode() for _ in range(4)]
            assert seen[0] == "READY=1" and seen[1:] == ["WATCHDOG=1"] * 3
            process.terminate()
            while seen[-1] == "WATCHDOG=1":
                seen.append(told.recv(100).decode())
            assert seen[-1] == "STOPPING=1"
            assert process.wait(30) == 0, process.stderr.read()
        finally:
            process.kill()
            process.wait()


def complete(*words):
    script = output_of(executable(), "completion", "bash")
    line = " ".join(f"'{word}'" for word in ("pgsluice", *words))
    return output_of("bash", "-c", f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words)}; _pgsluice; "
                     'printf "%s\\n" "${COMPREPLY[@]}"').split()


def test_completion():
    assert {"run", "serve", "task", "connection", "help"} <= set(complete(""))
    assert complete("re") == ["resync", "report", "release"]
    assert complete("task", "wa") == ["watch"]
    assert "--token-file" in complete("task", "list", "--t")
    assert complete("run", "x.yaml", "--unt") == ["--until-caught-up"]
    assert complete("errors", "x.yaml", "re") == ["retry"]
    assert complete("completion", "z") == ["zsh"]
    assert output_of(executable(), "completion", "zsh").startswith("#compdef pgsluice\n")


def test_the_dashboard_uses_metrics_that_there_are(service):
    request = urllib.request.Request(f"http://127.0.0.1:{service.port}/metrics",
                                     headers={"Authorization": f"Bearer {service.token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        there = set(re.findall(r"^# TYPE (\w+)", answer.read().decode(), re.M))
    with open(os.path.join(PACKAGING, "grafana", "pgsluice.json"), encoding="utf-8") as handle:
        dashboard = json.load(handle)
    used = {name for panel in dashboard["panels"] for target in panel["targets"]
            for name in re.findall(r"pgsluice_\w+", target["expr"])}
    assert used and used <= there, used - there
