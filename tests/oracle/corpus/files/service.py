"""A web service for the oracle: echoes what it is asked, and serves files with a date that never changes."""

import http.server
import json

FILES = {"/plain.txt": b"plain\n", "/sums": b"1111  other.txt\n%s  plain.txt\n"}
FILES["/sums"] %= b"dacf36547c7774a0a170806363b5d412991fbc0d6260b2c00b1d3a80a816c23f"


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path = self.path.partition("?")[0]
        if path == "/echo":
            told = {"method": self.command, "body": body, "type": self.headers.get("Content-Type")}
            told["auth"] = self.headers.get("Authorization")
            self.answer(200, json.dumps(told).encode(), Content_Type="application/json", X_Lab="7")
        elif path == "/moved":
            self.answer(302, b"", Location="/echo")
        elif path in FILES:
            date = "Mon, 02 Jan 2023 03:04:05 GMT"
            if self.headers.get("If-Modified-Since"):
                self.answer(304, b"")
            else:
                self.answer(200, FILES[path], Last_Modified=date, Content_Type="text/plain")
        else:
            self.answer(404, b"nothing\n", Content_Type="text/plain")

    do_GET = do_HEAD = do_POST = do_PUT = do


http.server.ThreadingHTTPServer(("127.0.0.1", 8099), Handler).serve_forever()
