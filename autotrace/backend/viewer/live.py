"""Traces as they arrive, as server-sent events.

Spec: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import StreamingResponse

from autotrace.backend.viewer.answers import encoded, refusal
from autotrace.backend.viewer.parameters import query
from autotrace.store.arrivals import Mark
from autotrace.store.errors import StoreError
from autotrace.store.reader import trace_ids
from autotrace.store.search import Scan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Final

    from starlette.requests import Request
    from starlette.responses import Response

    from autotrace.backend.archive import Archive
    from autotrace.backend.viewer.summaries import Summaries
    from autotrace.store.reader import Reader
    from autotrace.store.search import Query

_INTERVAL: Final = 0.5
_MAX_TRACES: Final = 50
"""Of one event: nobody reads more in half a second."""
_MAX_NEW: Final = 5000
"""Spans looked at for one event, the latest."""
_MAX_FOLLOWED: Final = 500
"""Traces whose changes are told; the latest of those that were."""
_MAX_STREAMS: Final = 32
_SIGN_OF_LIFE: Final = 15.0
"""Seconds of silence, after which a comment says that we are still here."""

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Live:
    """Streams of what arrives, each with its own filter."""

    def __init__(self, archive: Archive, summaries: Summaries) -> None:
        self._archive = archive
        self._summaries = summaries
        self._streams = 0

    async def stream(self, request: Request) -> Response:
        """One stream, until the client goes away."""
        wanted = query(request.query_params)
        if self._streams >= _MAX_STREAMS:
            return refusal("too many live views are open", HTTPStatus.SERVICE_UNAVAILABLE)
        return StreamingResponse(self._events(wanted), headers=_HEADERS, media_type="text/event-stream")

    async def _events(self, wanted: Query) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            tail = _Tail(self._summaries, wanted)
            await self._archive.read(tail.begin)
            yield _event("hello", {})
            spoken = time.monotonic()
            while True:
                await asyncio.sleep(_INTERVAL)
                try:
                    found = await self._archive.read(tail.step)
                except StoreError:
                    found = []  # busy, or just being replaced: the next time
                if found:
                    yield _event("traces", {"traces": found})
                    spoken = time.monotonic()
                elif time.monotonic() - spoken >= _SIGN_OF_LIFE:
                    yield b":\n\n"
                    spoken = time.monotonic()
        finally:
            self._streams -= 1


class _Tail:
    """Follows the store by the ids of spans, which are the order of arrival."""

    def __init__(self, summaries: Summaries, wanted: Query) -> None:
        self._summaries = summaries
        self._wanted = wanted
        self._mark = Mark()
        self._told: dict[int, None] = {}

    def begin(self, reader: Reader) -> None:
        """From what is here already on."""
        with reader.snapshot() as connection:
            self._mark.advance(connection)

    def step(self, reader: Reader) -> list[dict[str, Any]]:
        """Summaries of traces with a new span that matches, and of those told before that changed."""
        with reader.snapshot() as connection:
            seen, newest = self._mark.advance(connection)
            if newest == seen:
                return []
            if not seen:  # emptied: the rows of traces begin anew, too
                self._told.clear()
            above = max(seen, newest - _MAX_NEW)
            traces = dict.fromkeys(Scan(connection, self._wanted).above(above))
            if self._told:
                changed = connection.execute("SELECT DISTINCT trace FROM spans WHERE id > ?", (above,))
                traces.update(dict.fromkeys(number for (number,) in changed if number in self._told))
            latest = list(traces)[:_MAX_TRACES]
            for number in reversed(latest):
                self._told.pop(number, None)
                self._told[number] = None
            while len(self._told) > _MAX_FOLLOWED:
                del self._told[next(iter(self._told))]
            return self._summaries.of(connection, trace_ids(connection, latest))


def _event(name: str, data: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encoded(data))
