"""A web server on loopback for tests, over HTTP or HTTPS, that remembers what it was asked."""

from __future__ import annotations

import base64
import datetime
import gzip
import http.server
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

MODIFIED = "Mon, 02 Jan 2023 03:04:05 GMT"


@dataclass
class Asked:
    method: str
    path: str
    headers: Message
    body: bytes


@dataclass
class Web:
    """``files`` are served by path; some paths do what their names say."""

    url: str
    files: dict[str, bytes]
    asked: list[Asked] = field(default_factory=list)

    @property
    def last(self) -> Asked:
        return self.asked[-1]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.web.asked.append(Asked(self.command, self.path, self.headers, body))
        path = self.path.partition("?")[0]
        special = getattr(self, "at_" + path.strip("/").replace("-", "_"), None)
        if special is not None:
            special(body)
        elif path not in self.web.files:
            self.answer(404, b"not here")
        elif self.headers.get("If-Modified-Since"):
            self.answer(304, b"")
        else:
            self.answer(200, self.web.files[path], **{"Last-Modified": MODIFIED})

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def at_echo(self, body: bytes) -> None:
        told = {"method": self.command, "body": body.decode(), "type": self.headers.get("Content-Type")}
        self.answer(
            201, json.dumps(told).encode(), **{"Content-Type": "application/json", "X-Course": "labs"}
        )

    def at_cookie(self, body: bytes) -> None:
        self.answer(200, b"", **{"Set-Cookie": "seen=1; Path=/"})

    def at_moved(self, body: bytes) -> None:
        self.answer(302, b"", Location="/echo")

    def at_to_file(self, body: bytes) -> None:
        self.answer(302, b"", Location="file:///etc/passwd")

    def at_to_elsewhere(self, body: bytes) -> None:
        self.answer(302, b"", Location=self.web.url.replace("127.0.0.1", "localhost") + "/echo")

    def at_door(self, body: bytes) -> None:
        wanted = "Basic " + base64.b64encode(b"ada:s3cret").decode()
        if self.headers.get("Authorization") == wanted:
            self.answer(200, b"in")
        else:
            self.answer(401, b"who?", **{"WWW-Authenticate": 'Basic realm="labs"'})

    def at_short(self, body: bytes) -> None:
        self.close_connection = True
        self.answer(200, b"half", **{"Content-Length": "8"})

    def at_slow(self, body: bytes) -> None:
        self.close_connection = True
        self.answer(200, b"", **{"Content-Length": "1000"})
        for _ in range(40):
            time.sleep(0.1)
            try:
                self.wfile.write(b".")
            except OSError:
                return

    def at_bomb(self, body: bytes) -> None:
        self.answer(200, gzip.compress(b"\0" * (8 << 20)), **{"Content-Encoding": "gzip"})

    def at_zipped(self, body: bytes) -> None:
        self.answer(200, gzip.compress(b"plain"), **{"Content-Encoding": "gzip"})

    def at_named(self, body: bytes) -> None:
        name = 'attachment; filename="../../etc/named.txt"'
        self.answer(200, b"named", **{"Content-Disposition": name})


@contextmanager
def web(files: dict[str, bytes], certificate: Path | None = None) -> Iterator[Web]:
    """The server runs as long as the context. ``certificate`` (PEM, with its key) makes it HTTPS."""
    handler = type("Handler", (_Handler,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    scheme = "http"
    if certificate is not None:
        scheme = "https"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    made = Web(f"{scheme}://127.0.0.1:{server.server_address[1]}", files)
    handler.web = made
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def make_certificate(path: Path) -> None:
    """A certificate of 127.0.0.1 that it signed itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
