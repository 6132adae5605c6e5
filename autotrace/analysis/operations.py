"""Where the time goes: what the calls of each operation did themselves, summed up over many traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autotrace.analysis.quantiles import percentile
from autotrace.analysis.timing import own_times
from autotrace.store.records import STATUS_ERROR
from autotrace.store.search import matching

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Final

    from autotrace.analysis.timing import Row
    from autotrace.store.records import SpanRecord
    from autotrace.store.search import Query

MAX_SPANS: Final = 200_000
"""The newest traces count, up to that many spans; a second."""


class Work(NamedTuple):
    """What the spans of one service with one name did; nanoseconds."""

    service: str
    operation: str
    self_time: int
    calls: int
    errors: int
    p50: int
    """Of the calls' durations, like the next two."""
    p95: int
    max: int
    slowest: int
    """The id of the trace with the longest call."""


class Ranking(NamedTuple):
    """Operations, most self time first."""

    work: list[Work]
    traces: int
    spans: int
    """Looked at, whatever operation they are of; likewise the traces."""
    complete: bool
    """Whether these are all that matched."""


class Trace(NamedTuple):
    """What the ranking needs of one."""

    id: int
    rows: Iterable[Row]
    """With the names of services and operations."""


def stored_traces(connection: sqlite3.Connection, query: Query) -> Iterator[Trace]:
    """The newest traces that match, newest first, one at a time; as many as a ranking can take."""
    services = dict(connection.execute("SELECT id, name FROM services"))
    names = dict(connection.execute("SELECT id, name FROM operations"))
    for number in matching(connection, query._replace(limit=MAX_SPANS)):
        (trace_id,) = connection.execute("SELECT trace_id FROM traces WHERE id = ?", (number,)).fetchone()
        rows = connection.execute(
            "SELECT span_id, parent_id, service, operation, start, duration, status"
            " FROM spans WHERE trace = ? LIMIT ?",
            (number, MAX_SPANS),
        )
        yield Trace(
            int.from_bytes(trace_id, "big"),
            [
                (span_id, parent_id, services.get(service, ""), names.get(operation, ""), *timing)
                for span_id, parent_id, service, operation, *timing in rows
            ],
        )


def trace_of(spans: Sequence[SpanRecord]) -> Trace:
    """The same of spans from elsewhere; there must be one."""
    return Trace(
        spans[0].trace_id,
        [
            (
                span.span_id,
                span.parent_id,
                span.resource.service,
                span.name,
                span.start,
                span.duration,
                span.status,
            )
            for span in spans
        ],
    )


def ranking(traces: Iterable[Trace], service: str, operation: str) -> Ranking:
    """The operations of `service` named `operation`, either of which may be empty: any."""
    tallies: dict[tuple[str, str], _Tally] = {}
    seen = spans = 0
    complete = True
    for trace in traces:
        if spans >= MAX_SPANS:
            complete = False
            break
        seen += 1
        for row, own in own_times(trace.rows):
            spans += 1
            if (service and row[2] != service) or (operation and row[3] != operation):
                continue
            tally = tallies.get((row[2], row[3]))
            if tally is None:
                tally = tallies[row[2], row[3]] = _Tally()
            tally.add(trace.id, row, own)
    work = [tally.work(*key) for key, tally in tallies.items()]
    work.sort(key=lambda each: (-each.self_time, each.service, each.operation))
    return Ranking(work, seen, spans, complete)


class _Tally:
    """One operation under way."""

    __slots__ = ("calls", "durations", "errors", "longest", "self_time", "slowest")

    def __init__(self) -> None:
        self.self_time = self.calls = self.errors = self.slowest = 0
        self.longest = -1
        self.durations: list[int] = []

    def add(self, trace: int, row: Row, own: int) -> None:
        """Count one span; one without a duration is a call, but not a fast one."""
        self.calls += 1
        self.errors += row[6] == STATUS_ERROR
        self.self_time += own
        duration = row[5]
        if duration is not None:
            self.durations.append(max(0, duration))
        if max(0, duration or 0) > self.longest:
            self.longest = max(0, duration or 0)
            self.slowest = trace

    def work(self, service: str, operation: str) -> Work:
        """The sum."""
        self.durations.sort()
        return Work(
            service,
            operation,
            self.self_time,
            self.calls,
            self.errors,
            percentile(self.durations, 0.5),
            percentile(self.durations, 0.95),
            self.longest,
            self.slowest,
        )
