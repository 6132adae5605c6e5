"""The loop of an ASGI server around an application, without sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HEADERS = [
    (b"host", b"shop.example:8000"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"en-US,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"connection", b"keep-alive"),
]
SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "server": ("127.0.0.1", 8000),
    "client": ("127.0.0.1", 51234),
    "scheme": "http",
    "method": "GET",
    "root_path": "",
    "query_string": b"",
}


def job(app: Any, name: str) -> Callable[[int], Callable[[], None]]:
    """`name` is the path to ask for."""
    path = "/" + name
    loop = asyncio.new_event_loop()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message.get("status", 200) != 200:
            raise AssertionError(message)

    async def serve(count: int) -> None:
        for _ in range(count):
            scope = {**SCOPE, "path": path, "raw_path": path.encode(), "headers": HEADERS.copy(), "state": {}}
            # As servers do: each request in a task, and with it a context, of its own.
            await loop.create_task(app(scope, receive, send))

    def prepare(count: int) -> Callable[[], None]:
        return lambda: loop.run_until_complete(serve(count))

    return prepare
