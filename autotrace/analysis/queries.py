"""Traces for scripts and notebooks, from the local store or from a Jaeger or Zipkin server.

Every function takes the same keywords to say where the traces are: `source`, the address of a server's query
API, and `headers` for it; without `source` the local store counts, of `home` where that is not the usual one.

Raises:
    StoreError: From every function, when store or server cannot be read. There is no error where there is no
        store yet: nothing is found.
    ValueError: A duration cannot be read.
"""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from autotrace.analysis.service_map import Sample, newest_spans, service_map, spans_of
from autotrace.analysis.source import MAX_REMOTE_TRACES, opened, traces_of
from autotrace.analysis.timing import critical_path, self_time
from autotrace.store.quantities import MICROSECOND, full_id, parse_duration
from autotrace.store.search import Query
from autotrace.store.tree import build, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Final, Union

    from autotrace.analysis.service_map import Traffic
    from autotrace.analysis.source import Source
    from autotrace.store.records import SpanRecord
    from autotrace.store.tree import Node

    Duration = Union[str, timedelta]
    """`"100ms"`, `"1.5s"`, `"2h"`, or a `timedelta`."""

_SLOW: Final = "500ms"
_EXAMINED: Final = 500
"""Of the traces that are slow enough, the newest: among them are the slowest looked for."""


class SpanTime(NamedTuple):
    """A span, and a part of its time."""

    span: SpanRecord
    time: int
    """Nanoseconds."""


class Trace:
    """One trace; all times are in nanoseconds, since the epoch where they are points in time.

    Args:
        spans: At least one, all of one trace.
    """

    def __init__(self, spans: Sequence[SpanRecord]) -> None:
        self.spans = tuple(sorted(spans, key=lambda span: span.start))
        """By their starts."""
        self.trace_id = full_id(spans[0].trace_id)
        """32 hex digits."""
        self.start = self.spans[0].start
        self.duration = max(0, max(span.end for span in spans) - self.start)
        """From the earliest start to the latest end."""
        self.errors = sum(span.failed for span in spans)
        """Spans that failed."""
        self.services = tuple(sorted({span.resource.service for span in spans}))

    def __repr__(self) -> str:
        return f"<Trace {self.trace_id} {self.root.name!r} spans={len(self.spans)} duration={self.duration}>"

    @property
    def root(self) -> SpanRecord:
        """The span that began it, or the earliest of those that are here."""
        return next((node.span for node in self.tree if not node.span.parent_id), self.tree[0].span)

    @cached_property
    def tree(self) -> list[Node]:
        """The roots, with the spans under them as `children`."""
        return build(self.spans)

    def self_times(self) -> list[SpanTime]:
        """For each span, parents first: how long none of its children was at work."""
        return [SpanTime(step.node.span, self_time(step.node)) for step in walk(self.tree)]

    def critical_path(self) -> list[SpanTime]:
        """The spans that the trace waited for, by their starts, and for how long."""
        path = [
            SpanTime(node.span, sum(part.end - part.start for part in parts))
            for node, parts in critical_path(self.tree).items()
        ]
        return sorted(path, key=lambda each: each.span.start)


def query_traces(
    service: str = "",
    operation: str = "",
    limit: int = 20,
    *,
    tags: Mapping[str, str] | None = None,
    errors: bool = False,
    min_duration: Duration = "0",
    max_duration: Duration | None = None,
    last: Duration | None = None,
    source: str = "",
    headers: Mapping[str, str] | None = None,
    home: str = "",
) -> list[Trace]:
    """The newest traces in which one span meets all conditions, newest first.

    Args:
        service: Of the span.
        operation: Its exact name.
        limit: At most so many traces.
        tags: Attributes of the span, its resource or its scope.
        errors: Only spans that failed.
        min_duration: Of the span.
        max_duration: Likewise.
        last: How long ago it may have begun.
        source: See the module.
        headers: See the module.
        home: See the module.
    """
    query = Query(
        service=service,
        operation=operation,
        errors_only=errors,
        min_duration=_nanoseconds(min_duration),
        max_duration=None if max_duration is None else _nanoseconds(max_duration),
        start=_start(last),
        limit=limit,
        tags=tuple((tags or {}).items()),
    )
    with opened(source, headers or {}, home) as opened_source:
        found = [] if opened_source is None else traces_of(opened_source, query)
    return [Trace(spans) for spans in found if spans]


def find_slow_traces(
    service: str = "",
    min_duration: Duration = _SLOW,
    limit: int = 20,
    *,
    operation: str = "",
    last: Duration | None = None,
    source: str = "",
    headers: Mapping[str, str] | None = None,
    home: str = "",
) -> list[Trace]:
    """The slowest of the newest traces with a span that took `min_duration`, slowest first.

    Args:
        service: Of the span.
        min_duration: Of the span.
        limit: At most so many traces.
        operation: The span's exact name.
        last: How long ago it may have begun.
        source: See the module.
        headers: See the module.
        home: See the module.
    """
    found = query_traces(
        service,
        operation,
        max(limit, _EXAMINED),
        min_duration=min_duration,
        last=last,
        source=source,
        headers=headers,
        home=home,
    )
    return sorted(found, key=lambda trace: trace.duration, reverse=True)[:limit]


def get_trace(
    trace_id: str, *, source: str = "", headers: Mapping[str, str] | None = None, home: str = ""
) -> Trace | None:
    """One trace, by its id or the first digits of it; None when there is none, or more than one."""
    with opened(source, headers or {}, home) as opened_source:
        found = [] if opened_source is None else opened_source.find(trace_id, 2)
        spans = opened_source.trace(found[0]) if opened_source is not None and len(found) == 1 else []
    return Trace(spans) if spans else None


def dependencies(
    service: str = "",
    *,
    last: Duration | None = None,
    source: str = "",
    headers: Mapping[str, str] | None = None,
    home: str = "",
) -> list[Traffic]:
    """Who calls whom, databases and other peers included; durations in nanoseconds.

    Args:
        service: Only calls of this service, and to it.
        last: How long ago the calls may have been.
        source: See the module.
        headers: See the module.
        home: See the module.
    """
    with opened(source, headers or {}, home) as opened_source:
        if opened_source is None:
            return []
        sample = sampled(opened_source, Query(service=service, start=_start(last)))
    drawn = service_map(sample.spans)
    return [each for each in drawn.traffic if not service or service in {each.caller.name, each.called.name}]


def sampled(source: Source, query: Query) -> Sample:
    """What a service map is made of: the newest traces that match, whatever the limit of `query`.

    Its service may be anything on the map: of a database, which sends no spans, it asks nothing.
    """
    from autotrace.store.reader import Reader  # noqa: PLC0415 - sqlite3, which may not have been built

    if query.service and not source.search(Query(service=query.service, limit=1)):
        query = query._replace(service="")
    if isinstance(source, Reader):
        with source.snapshot() as connection:
            return newest_spans(connection, query)
    traces = source.traces(query._replace(limit=MAX_REMOTE_TRACES))
    spans: Iterable[SpanRecord] = (span for trace in traces for span in trace)
    return spans_of(list(spans), complete=len(traces) < MAX_REMOTE_TRACES)


def _start(last: Duration | None) -> int:
    return 0 if last is None else max(0, time.time_ns() - _nanoseconds(last))


def _nanoseconds(duration: Duration) -> int:
    if isinstance(duration, timedelta):
        return duration // timedelta(microseconds=1) * MICROSECOND
    return parse_duration(duration)
