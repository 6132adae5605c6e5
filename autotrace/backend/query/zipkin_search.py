"""Which traces a search in Zipkin finds.

Other than in Jaeger, the conditions may be met by several spans of a trace, all of the same service.
Traces are looked at newest first, one at a time, until enough match.
"""

from __future__ import annotations

import heapq
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from autotrace.backend.query.zipkin_encoding import zipkin_span
from autotrace.backend.query.zipkin_links import Links
from autotrace.store.quantities import MILLISECOND

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping
    from typing import Final

    from autotrace.store.reader import Reader

    Trace = list[dict[str, Any]]

_MAX_EXAMINED: Final = 200_000
"""Spans that one search reads."""
_MAX_TIME: Final = 2**63 - 1


class Search(NamedTuple):
    """What GET /traces asks for; empty and None match everything."""

    service: str
    remote_service: str
    span_name: str
    annotations: Mapping[str, str]
    """Keys of tags with their values; an empty value also stands for a key alone, or for an annotation."""
    min_duration: int | None
    """Microseconds; likewise below."""
    max_duration: int | None
    end: int
    """Milliseconds since the epoch."""
    lookback: int
    """Milliseconds."""
    limit: int


def traces(reader: Reader, search: Search) -> list[Trace]:
    """The newest traces that match, newest first."""
    found: list[Trace] = []
    examined = 0
    with reader.snapshot() as connection:
        for trace_id in trace_ids(connection, search.service, search.end, search.lookback):
            trace = encoded(reader, trace_id)
            examined += len(trace)
            if matches(trace, search):
                found.append(trace)
            if len(found) >= search.limit or examined > _MAX_EXAMINED:
                break
    return found


def dependencies(reader: Reader, end: int, lookback: int) -> list[dict[str, Any]]:
    """The calls between services, counted over the traces of that range, milliseconds."""
    links = Links()
    examined = 0
    with reader.snapshot() as connection:
        for trace_id in trace_ids(connection, "", end, lookback):
            trace = encoded(reader, trace_id)
            links.add(trace)
            examined += len(trace)
            if examined > _MAX_EXAMINED:
                break
    return links.counted()


def encoded(reader: Reader, trace_id: int) -> Trace:
    """The spans of a trace in the order of their times; a span that came twice is there once."""
    spans = sorted(reader.trace(trace_id), key=lambda span: span.start)
    return list({json.dumps(span): span for span in map(zipkin_span, spans)}.values())


def trace_ids(connection: sqlite3.Connection, service: str, end: int, lookback: int) -> Iterator[int]:
    """Ids of the traces with a span of `service` in that range, the newest span first.

    Each service has an index of its spans by time; they are merged as they are read.
    """
    bounds = ((end - lookback) * MILLISECOND, (end + 1) * MILLISECOND - 1)
    first, last = (max(-_MAX_TIME, min(bound, _MAX_TIME)) for bound in bounds)
    walks = [
        connection.execute(
            "SELECT -start, trace FROM spans INDEXED BY spans_by_service"
            " WHERE service = ? AND start BETWEEN ? AND ? ORDER BY start DESC",
            (number, first, last),
        )
        for number in services_named(connection, service)
    ]
    seen: set[int] = set()
    for _, trace in heapq.merge(*walks):
        if trace not in seen:
            seen.add(trace)
            (trace_id,) = connection.execute("SELECT trace_id FROM traces WHERE id = ?", (trace,)).fetchone()
            yield int.from_bytes(trace_id, "big")


def services_named(connection: sqlite3.Connection, service: str) -> list[int]:
    """Ids of the services that Zipkin calls `service`, which is in lower case; of all when it is empty."""
    rows = connection.execute("SELECT id, name FROM services").fetchall()
    return [number for number, name in rows if not service or name.lower() == service]


def matches(trace: Trace, search: Search) -> bool:
    """Whether the spans of a trace meet all conditions between them."""
    if not (search.end - search.lookback) * 1000 <= (_timestamp(trace) or -1) <= search.end * 1000:
        return False
    own = [span for span in trace if not search.service or _name(span, "localEndpoint") == search.service]
    return (
        bool(own)
        and (
            not search.remote_service
            or any(_name(span, "remoteEndpoint") == search.remote_service for span in own)
        )
        and (not search.span_name or any(span.get("name") == search.span_name for span in own))
        and all(any(_has(span, key, value) for span in own) for key, value in search.annotations.items())
        and (search.min_duration is None or any(_lasts(span, search) for span in own))
    )


def _timestamp(trace: Trace) -> int:
    """Of the root, else the earliest; 0 when none is known."""
    times = [span["timestamp"] for span in trace if "timestamp" in span]
    roots = [span["timestamp"] for span in trace if "timestamp" in span and "parentId" not in span]
    return roots[0] if roots else min(times, default=0)


def _name(span: Mapping[str, Any], endpoint: str) -> Any:
    return span.get(endpoint, {}).get("serviceName")


def _has(span: Mapping[str, Any], key: str, value: str) -> bool:
    tags: Mapping[str, str] = span.get("tags", {})
    if value:
        return tags.get(key) == value
    return key in tags or any(annotation["value"] == key for annotation in span.get("annotations", ()))


def _lasts(span: Mapping[str, Any], search: Search) -> bool:
    duration: int = span.get("duration", 0)
    longest = search.max_duration
    return duration >= (search.min_duration or 0) and (longest is None or duration <= longest)
