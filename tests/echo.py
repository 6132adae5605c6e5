"""A real HTTP server on loopback that answers with what it got."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar


class EchoHandler(BaseHTTPRequestHandler):
    """`/echo` answers with the headers; `/redirect/N` N times, then echoes; `/flaky/N` fails N times;
    `/moved?URL` sends there.
    """

    protocol_version = "HTTP/1.1"
    flaky: ClassVar[dict[str, int]] = {}

    def do_GET(self) -> None:
        self.read_body()
        _, kind, *rest = self.path.split("?")[0].split("/")
        if kind == "redirect" and int(rest[0]) > 0:
            self.answer(302, b"", location=f"/redirect/{int(rest[0]) - 1}")
        elif kind == "moved":
            self.answer(302, b"", location=self.path.partition("?")[2])
        elif kind == "status":
            self.answer(int(rest[0]), b"")
        elif kind == "flaky" and self.flaky.setdefault(self.path, int(rest[0])) > 0:
            self.flaky[self.path] -= 1
            self.answer(503, b"")
        else:
            self.answer(
                200, json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
            )

    do_POST = do_PUT = do_GET
    do_HEAD = do_GET

    def read_body(self) -> None:
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + len("\r\n"))
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("content-length") or 0))

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("x-answer", "yes")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def echo_server() -> Any:
    """Its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), EchoHandler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    EchoHandler.flaky.clear()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
