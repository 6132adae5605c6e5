"""`autotrace traces` and `show` from a Jaeger or a Zipkin server: the same as from the local store."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from query_server import QueryServer, fetch, query_server
from zipkin_server import ZipkinServer, zipkin_server

from autotrace.decoding import zipkin_json
from autotrace.store.files import database_in

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("zipkin_server",)

NOW = int(time.time()) * 1_000_000 - 60_000_000
SPANS = [
    {
        "traceId": trace_id,
        "id": "00000000000000a1",
        "kind": "SERVER",
        "name": "get /cart",
        "timestamp": NOW - number * 1_000_000,
        "duration": 20_000,
        "localEndpoint": {"serviceName": "terminal-front"},
    }
    for number, trace_id in enumerate(("cafe000000000001cafe000000000001", "beef000000000001"))
] + [
    {
        "traceId": "cafe000000000001cafe000000000001",
        "parentId": "00000000000000a1",
        "id": "00000000000000a2",
        "kind": "CLIENT",
        "name": "select cart",
        "timestamp": NOW + 1000,
        "duration": 9_000,
        "localEndpoint": {"serviceName": "terminal-cart"},
        "tags": {"error": "timeout"},
    }
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def ours(home: Path) -> Iterator[QueryServer]:
    directory = Path(database_in(str(home), {})).parent
    directory.mkdir(exist_ok=True)
    in_time = sorted(SPANS, key=lambda span: int(str(span["timestamp"])))  # so they count as arrived
    with query_server(directory) as server:
        server.store(zipkin_json.decode(json.dumps(in_time).encode()).spans)
        yield server


def autotrace(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "autotrace.cli.main", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return run.returncode, run.stdout, run.stderr


QUESTIONS = (
    ["traces"],
    ["traces", "--json"],
    ["traces", "--errors"],
    ["traces", "--service", "terminal-cart"],
    ["traces", "--operation", "get /cart", "--limit", "1"],
    ["traces", "--min-duration", "15ms", "--max-duration", "1s", "--since", "1h"],
    ["traces", "--max-duration", "10ms"],
    ["show", "last"],
    ["show", "beef000000000001"],
    ["show", "cafe"],
    ["show", "0123456789abcdef"],
)


def test_from_jaeger_as_from_the_local_store(ours: QueryServer, home: Path) -> None:
    for question in QUESTIONS:
        assert autotrace(*question, "--from", ours.url) == autotrace(*question, "--home", str(home)), question


@pytest.mark.slow
def test_from_zipkin_as_from_the_local_store(
    ours: QueryServer, home: Path, zipkin_server: ZipkinServer
) -> None:
    fetch(zipkin_server.url, json.dumps(SPANS).encode(), {"Content-Type": "application/json"})
    zipkin_server.trace("beef000000000001", 1)
    zipkin_server.trace("cafe000000000001cafe000000000001", 2)
    url = f"http://127.0.0.1:{zipkin_server.port}"
    of_these = ["--service", "terminal-front"]  # the server may hold the spans of other tests
    for question in (
        ["traces", *of_these],
        ["traces", "--json", *of_these],
        ["traces", "--service", "terminal-cart", "--errors"],
        ["traces", "--max-duration", "10ms", "--service", "terminal-cart"],
        ["traces", "--min-duration", "15ms", "--since", "1h", *of_these],
        ["show", "beef000000000001"],
        ["show", "cafe000000000001cafe000000000001"],
        ["show", "cafe0000"],
    ):
        assert autotrace(*question, "--from", url) == autotrace(*question, "--home", str(home)), question


def test_what_is_no_such_server() -> None:
    seen: list[Any] = []

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(404 if seen[-1] else 401)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        assert autotrace("traces", "--from", url) == (1, "", f"autotrace: {url} answered 401 Unauthorized\n")
        neither = f"autotrace: {url} is neither the query API of Jaeger nor that of Zipkin\n"
        assert autotrace("traces", "--from", url, "--header", "Authorization: Bearer x") == (1, "", neither)
        assert seen == [None, "Bearer x", "Bearer x"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    code, out, err = autotrace("show", "last", "--from", url)
    assert (code, out) == (1, "")
    assert err.startswith(f"autotrace: {url} does not answer: ")
    assert autotrace("traces", "--from", "localhost:9411")[0] == 2
    assert autotrace("traces", "--from", url, "--header", "nonsense")[0] == 2
