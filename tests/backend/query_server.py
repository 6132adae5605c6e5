"""The query APIs over a store of a test's own, on a real socket."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette

from autotrace.backend.archive import Archive
from autotrace.backend.query import jaeger, jaeger_v3, zipkin
from autotrace.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from autotrace.store.records import SpanRecord

GIB = 2**30


class QueryServer:
    """Its answers, and a way into its store."""

    def __init__(self, url: str, path: str) -> None:
        self.url = url
        self._path = path

    def store(self, spans: Sequence[SpanRecord]) -> None:
        """Write `spans`."""
        writer = Writer(self._path, GIB, 10 * 365 * 86400.0)
        try:
            assert writer.write(spans, time.monotonic() + 30) == 0
        finally:
            writer.close()

    def get(self, path: str) -> tuple[int, Any]:
        """Status, and the body: decoded when it is JSON."""
        status, _, body = fetch(self.url + path)
        return status, json.loads(body) if body[:1] in (b"[", b"{") else body


def fetch(url: str, data: bytes | None = None, headers: Any = ()) -> tuple[int, Any, bytes]:
    """Status, headers, body."""
    request = urllib.request.Request(url, data, dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@contextmanager
def query_server(directory: Path) -> Iterator[QueryServer]:
    """Serve from a thread until the end of the block."""
    path = str(directory / "traces.db")
    archive = Archive(path)
    routes = [*zipkin.routes(archive), *jaeger.routes(archive), *jaeger_v3.routes(archive), jaeger.unknown()]
    config = uvicorn.Config(
        Starlette(routes=routes), host="127.0.0.1", port=0, ws="none", lifespan="off", log_level="error"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield QueryServer(f"http://127.0.0.1:{port}", path)
    finally:
        server.should_exit = True
        thread.join()
        archive.close()
