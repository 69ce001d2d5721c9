"""Receivers of alerts on loopback: a web server that keeps what is posted, an SMTP server."""

import email
import email.policy
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class WebReceiver:
    """Answers what `status` and `answer` say; `received` grows by (time, path, headers, body)."""

    def __init__(self):
        self.received = []
        self.status = 200
        self.answer = b"ok"
        self.delay = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(outer.delay)
                outer.received.append((time.time(), self.path, dict(self.headers), body))
                self.send_response(outer.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(outer.answer)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook/secret-part"

    def events(self):
        return [json.loads(body) for _, _, _, body in list(self.received)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class MailReceiver:
    """`mails` grows by (time, envelope, parsed message). tls: none, starttls or tls."""

    def __init__(self, directory, tls="none", login=None):
        self.mails = []
        outer = self
        context = self.ca_cert = None
        if tls != "none":
            key, cert = f"{directory}/smtp.key", f"{directory}/smtp.crt"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
                            "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                           check=True, capture_output=True)
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(cert, key)
            with open(cert, encoding="ascii") as handle:
                self.ca_cert = handle.read()

        class Handler:
            async def handle_DATA(self, server, session, envelope):
                message = email.message_from_bytes(envelope.content, policy=email.policy.default)
                outer.mails.append((time.time(), envelope, message))
                return "250 kept"

        def authenticate(server, session, envelope, mechanism, data):
            return AuthResult(success=(data.login.decode(), data.password.decode()) == login)

        with socket.socket() as free:  # the controller connects to it itself, and so has to know it
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = {"hostname": "127.0.0.1", "port": self.port}
        if login:
            options.update(authenticator=authenticate, auth_required=True, auth_require_tls=tls != "none")
        if tls == "starttls":
            options.update(tls_context=context, require_starttls=True)
        if tls == "tls":
            options.update(ssl_context=context)
            options["auth_require_tls"] = False  # it does not see that all of the connection is
        self.controller = Controller(Handler(), **options)
        self.controller.start()

    def close(self):
        self.controller.stop()

