"""A file that somebody dropped on the viewer becomes traces of the store."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from autotrace.backend.bodies import MIB, Bodies, RefusedError
from autotrace.backend.viewer.answers import answer, encoded, refusal
from autotrace.backend.viewer.parameters import MICROSECOND
from autotrace.decoding import jaeger_json, otlp_json, zipkin_json
from autotrace.decoding.decoded import Decoded, MalformedError
from autotrace.decoding.json_text import parsed
from autotrace.store.quantities import full_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from starlette.requests import Request
    from starlette.responses import Response

    from autotrace.backend.archive import Archive
    from autotrace.store.reader import Reader
    from autotrace.store.records import SpanRecord

MAX_BODY: Final = 64 * MIB
_BATCH: Final = 2000
_PATIENCE: Final = 10.0
"""Seconds to wait for room in the queue, and then for the spans to be in the store."""
_PAUSE: Final = 0.05


class Imports:
    """Takes files one after another."""

    def __init__(self, archive: Archive, submit: Callable[[Sequence[SpanRecord]], bool]) -> None:
        self._archive = archive
        self._submit = submit
        self._bodies: Bodies | None = None

    async def take(self, request: Request) -> Response:
        """Answer when the traces can be looked at."""
        if self._bodies is None:  # it belongs to the event loop
            self._bodies = Bodies()
        try:
            decoded = await self._bodies.decoded(request, MAX_BODY, decode)
        except RefusedError as error:
            return refusal(error.reason, error.status)
        if not decoded.spans:
            return refusal(decoded.reason or "there are no spans in it", HTTPStatus.BAD_REQUEST)
        traces = list(dict.fromkeys(span.trace_id for span in decoded.spans))
        spans = await self._archive.read(lambda reader: _new(reader, decoded.spans))
        deadline = time.monotonic() + _PATIENCE
        for first in range(0, len(spans), _BATCH):
            while not self._submit(spans[first : first + _BATCH]):
                if time.monotonic() > deadline:
                    return refusal("the store cannot keep up: try again", HTTPStatus.SERVICE_UNAVAILABLE)
                await asyncio.sleep(_PAUSE)
        while spans and await self._missing(spans[-1]) and time.monotonic() < deadline:  # noqa: ASYNC110 - the writer thread tells nobody
            await asyncio.sleep(_PAUSE)
        return answer(encoded({"traces": [full_id(trace) for trace in traces], "spans": len(spans)}))

    async def _missing(self, span: SpanRecord) -> bool:
        """Whether `span` has yet to be written; those before it are there when it is."""
        spans = await self._archive.read(lambda reader: reader.trace(span.trace_id))
        return all(one.span_id != span.span_id for one in spans)


def decode(body: bytes) -> Decoded:
    """Spans in whichever of the three forms the text is.

    Raises:
        MalformedError: It is none of them.
    """
    value = parsed(body)
    if type(value) is dict and "resourceSpans" in value:
        return otlp_json.decode_value(value)
    if _is_jaeger(value):
        return jaeger_json.decode_value(value)
    members = _flat(value) if type(value) is list else []
    if members and "traceId" in members[0]:
        return zipkin_json.decode_value(members)
    if members and "resourceSpans" in members[0]:
        return _joined([otlp_json.decode_value(member) for member in members])
    raise MalformedError("this is neither Jaeger's JSON, nor OTLP JSON, nor Zipkin's (v2)")


def _new(reader: Reader, spans: Sequence[SpanRecord]) -> list[SpanRecord]:
    """Those that are not in the store; each once."""
    seen = {_identity(span) for trace in {span.trace_id for span in spans} for span in reader.trace(trace)}
    new = []
    for span in spans:
        identity = _identity(span)
        if identity not in seen:
            seen.add(identity)
            new.append(span)
    return new


def _identity(span: SpanRecord) -> tuple[int, int, int, str]:
    """What tells a span from others. Jaeger's and Zipkin's times are microseconds."""
    return span.trace_id, span.span_id, span.start // MICROSECOND, span.resource.service


def _flat(values: list[Any]) -> list[dict[str, Any]]:
    """Objects of a list, or of a list of lists."""
    members = [member for value in values for member in (value if type(value) is list else [value])]
    return [member for member in members if type(member) is dict]


def _is_jaeger(value: Any) -> bool:
    if type(value) is list:
        return bool(value) and type(value[0]) is dict and "processes" in value[0]
    return type(value) is dict and ("data" in value or "processes" in value)


def _joined(parts: Sequence[Decoded]) -> Decoded:
    return Decoded(
        [span for part in parts for span in part.spans],
        sum(part.rejected for part in parts),
        next((part.reason for part in parts if part.reason), ""),
    )
