"""`make sizes`: how many bytes a span takes on its way to a backend, and in the local store.

A Flask application that answers each request with three SQL statements runs under `autotrace-run`, once for
each way of sending. Four spans a request; what arrives is counted here, HTTP headers left out.
"""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

REQUESTS = 4096
SPANS = 4 * REQUESTS
PROGRAM = """
import sqlite3, sys
from flask import Flask

app = Flask("inventory")
database = sqlite3.connect(":memory:", check_same_thread=False)
database.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, left INTEGER)")
database.execute("CREATE TABLE reviews (product INTEGER, stars INTEGER)")

@app.get("/products/<int:number>")
def product(number):
    database.execute("SELECT name, left FROM products WHERE id = ?", (number,)).fetchone()
    database.execute("SELECT count(*), avg(stars) FROM reviews WHERE product = ?", (number,)).fetchone()
    database.execute("UPDATE products SET left = left - 1 WHERE id = ?", (number,))
    return "ok"

client = app.test_client()
for number in range(int(sys.argv[1])):
    assert client.get(f"/products/{number}").text == "ok"
"""
COMMAND = Path(sys.executable).with_name("autotrace-run")
COMMON = {
    "OTEL_SERVICE_NAME": "inventory",
    "OTEL_BSP_MAX_QUEUE_SIZE": str(2 * SPANS),
    "AUTOTRACE_EXIT_TIMEOUT": "30000",
}


class Sink:
    """Takes what is posted to it, and datagrams; counts the bytes of both."""

    def __init__(self) -> None:
        self.size = 0
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                sink.size += len(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**23)
        self._socket.bind(("127.0.0.1", 0))
        self.udp_port = str(self._socket.getsockname()[1])
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        while True:
            self.size += len(self._socket.recv(2**16))

    def measure(self, environment: dict[str, str]) -> float:
        self.size = 0
        _run(environment)
        return self.size / SPANS


def _run(environment: dict[str, str]) -> None:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "AUTOTRACE_"))
    }
    done = subprocess.run(
        [COMMAND, sys.executable, "-c", PROGRAM, str(REQUESTS)],
        env={**clean, **COMMON, **environment},
        check=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    if "lost" in done.stderr or "did not reach" in done.stderr:
        raise SystemExit(done.stderr)


def _store() -> float:
    with tempfile.TemporaryDirectory() as home:
        _run({"OTEL_TRACES_EXPORTER": "local", "AUTOTRACE_HOME": home})
        return sum(path.stat().st_size for path in Path(home).glob("traces.db*")) / SPANS


def main() -> None:
    sink = Sink()
    otlp = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}
    udp = {"OTEL_EXPORTER_JAEGER_AGENT_HOST": "127.0.0.1", "OTEL_EXPORTER_JAEGER_AGENT_PORT": sink.udp_port}
    ways = {
        "OTLP, protobuf, gzip": {**otlp, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
        "OTLP, protobuf": otlp,
        "OTLP, JSON": {**otlp, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
        "Zipkin, JSON v2": {"OTEL_EXPORTER_ZIPKIN_ENDPOINT": f"{sink.url}/api/v2/spans"},
        "Jaeger, Thrift over HTTP": {"OTEL_EXPORTER_JAEGER_ENDPOINT": f"{sink.url}/api/traces"},
        "Jaeger, compact Thrift over UDP": udp,
    }
    print("| way | bytes per span |\n|---|---:|")
    for name, environment in ways.items():
        print(f"| {name} | {sink.measure(environment):.0f} |", flush=True)
    print(f"| the local store, indexes included | {_store():.0f} |")


if __name__ == "__main__":
    main()
