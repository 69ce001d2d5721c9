"""An sshd of a test's own: for tunnels to the servers of the test, as the user who runs those."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

from pgtest.cluster import PREFIX, children_of, free_port, server_user


class Sshd:
    """Runs on 127.0.0.1:port and lets .user in with .key; its own key is in .known_hosts."""

    def __init__(self, *lines):
        self.account = server_user()
        self.user = self.account.pw_name
        self.dir = tempfile.mkdtemp(prefix=PREFIX)
        os.chmod(self.dir, 0o755)
        with open(os.path.join(self.dir, "owner"), "w", encoding="ascii") as handle:
            handle.write(str(os.getpid()))
        self.port = free_port()
        self.key = self._make_key("client")
        self.stranger = self._make_key("stranger")
        host_key = self._make_key("host")
        os.chown(host_key, self.account.pw_uid, self.account.pw_gid)
        self.known_hosts = os.path.join(self.dir, "known_hosts")
        self._write("known_hosts", f"[127.0.0.1]:{self.port} {self._public('host')}")
        self._write("strangers", f"[127.0.0.1]:{self.port} {self._public('stranger')}")
        self._write("authorized_keys", self._public("client"))
        self._write("config", "\n".join([
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {host_key}", "PidFile none", "UsePAM no",
            "StrictModes no", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
            f"AuthorizedKeysFile {self.dir}/authorized_keys", *lines, ""]))
        self.process = None

    def _make_key(self, name):
        path = os.path.join(self.dir, name)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    def _public(self, name):
        with open(os.path.join(self.dir, f"{name}.pub"), encoding="ascii") as handle:
            return handle.read()

    def _write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="ascii") as handle:
            handle.write(text)

    def start(self):
        as_user = {} if os.getuid() else {"user": self.account.pw_uid, "group": self.account.pw_gid,
                                          "extra_groups": []}
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen(
                ["/usr/sbin/sshd", "-D", "-e", "-f", os.path.join(self.dir, "config")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir, **as_user)
        deadline = time.monotonic() + 10
        while "Server listening" not in self.log():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        return self

    def log(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as handle:
            return handle.read()

    def sessions(self):
        return children_of(self.process.pid)

    def drop_sessions(self):
        for pid in self.sessions():
            os.kill(pid, signal.SIGKILL)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.drop_sessions()
            self.process.kill()
            self.process.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def key_of_endpoint(self, **more):
        """The `ssh` of an endpoint."""
        return {"host": "127.0.0.1", "port": self.port, "user": self.user, "key_file": self.key,
                "known_hosts": self.known_hosts, **more}
