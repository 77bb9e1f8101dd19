#!/usr/bin/env python3
"""Serve the pages from this folder while working on them, and pass everything else on to a running service.

    web/serve.py [SERVICE] [PORT]      http://127.0.0.1:8888 and 8889 if not said

Puts pages together as frontend/build.rs does. For development only: nothing is kept or compressed, one address, no limits.
"""

import http.client
import mimetypes
import re
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent
SERVICE = urllib.parse.urlsplit(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8888")
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8889
POLICY = re.search(r'POLICY: &str = "(.*?)";', (ROOT / "../frontend/src/handlers/pages.rs").read_text(), re.S).group(1)
POLICY = re.sub(r"\\\n\s*", "", POLICY)


def page(name):
    text = (ROOT / f"{name or 'index'}.html").read_text()
    for part in (ROOT / "parts").glob("*.html"):
        text = text.replace("{{%s}}" % part.stem, part.read_text().rstrip())
    return text.replace("{{assets}}", "/assets/dev").encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        asset = re.fullmatch(r"/assets/[^/]+/([\w./-]+)", path)
        if re.fullmatch(r"/[a-z-]*", path) and (ROOT / f"{path[1:] or 'index'}.html").is_file():
            self.answer("text/html; charset=utf-8", page(path[1:]))
        elif asset and ".." not in asset[1] and (ROOT / asset[1]).is_file():
            self.answer(mimetypes.guess_type(asset[1])[0] or "text/plain", (ROOT / asset[1]).read_bytes())
        else:
            self.pass_on()

    def answer(self, media_type, body):
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        link = http.client.HTTPConnection(SERVICE.netloc, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "accept-encoding")}
        link.request(self.command, self.path, body or None, {**headers, "Host": SERVICE.netloc})
        response = link.getresponse()
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        while piece := response.read1(65536):
            self.wfile.write(piece)
            self.wfile.flush()
        link.close()

    do_POST = do_PUT = do_DELETE = do_PATCH = pass_on

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    print(f"http://127.0.0.1:{PORT}/ shows {ROOT}, the rest comes from {SERVICE.geturl()}")
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
