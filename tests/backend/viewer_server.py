"""The viewer's routes over a store of a test's own, on a real socket."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from query_server import fetch
from starlette.applications import Starlette

from autotrace.backend.archive import Archive
from autotrace.backend.viewer import api, pages
from autotrace.store.records import (
    KIND_CLIENT,
    KIND_SERVER,
    STATUS_ERROR,
    STATUS_UNSET,
    ResourceRecord,
    ScopeRecord,
    SpanRecord,
)
from autotrace.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

GIB = 2**30
DECADE = 10 * 365 * 86400.0
START = 1_700_000_000_000_000_000
MS = 1_000_000
SCOPE = ScopeRecord("autotrace", "1", {})
SERVER = KIND_SERVER
CLIENT = KIND_CLIENT


def span(
    trace: int,
    number: int,
    parent: int,
    at: float,
    duration: float | None,
    service: str | ResourceRecord = "shop",
    name: str = "GET /a",
    kind: int = KIND_SERVER,
    error: bool = False,
    **fields: Any,
) -> SpanRecord:
    """A span that starts `at` milliseconds and takes `duration`."""
    record = SpanRecord(
        trace,
        number,
        parent,
        name,
        kind,
        START + int(at * MS),
        None if duration is None else int(duration * MS),
        STATUS_ERROR if error else STATUS_UNSET,
        "",
        1,
        "",
        {},
        (),
        (),
        0,
        0,
        0,
        service if isinstance(service, ResourceRecord) else ResourceRecord({"service.name": service}),
        SCOPE,
    )
    return record._replace(**fields)


def write(path: Path | str, spans: Sequence[SpanRecord]) -> bool:
    writer = Writer(str(path), GIB, DECADE)
    try:
        assert writer.write(spans, time.monotonic() + 30) == 0
    finally:
        writer.close()
    return True


class ViewerServer:
    """Its answers, and a way into its store."""

    def __init__(self, url: str, path: str) -> None:
        self.url = url
        self.path = path

    def store(self, *spans: SpanRecord) -> None:
        write(self.path, spans)

    def get(self, path: str) -> tuple[int, Any]:
        status, _, body = fetch(f"{self.url}/api/viewer{path}")
        return status, json.loads(body)

    def found(self, path: str) -> Any:
        """The answer, which must be one."""
        status, answer = self.get(path)
        assert status == 200, answer
        return answer


@contextmanager
def viewer_server(directory: Path) -> Iterator[ViewerServer]:
    """Serve from a thread until the end of the block."""
    path = str(directory / "traces.db")
    archive = Archive(path)
    routes = [*api.routes(archive, lambda spans: write(path, spans)), *pages.routes()]
    config = uvicorn.Config(
        Starlette(routes=routes),
        host="127.0.0.1",
        port=0,
        ws="none",
        lifespan="off",
        log_level="error",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield ViewerServer(f"http://127.0.0.1:{port}", path)
    finally:
        server.should_exit = True
        thread.join()
        archive.close()
