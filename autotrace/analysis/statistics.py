"""Figures of operations, or of services, over many traces: how often, how long, how many fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autotrace.analysis.operations import MAX_SPANS
from autotrace.analysis.quantiles import percentile
from autotrace.store.records import STATUS_ERROR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autotrace.analysis.operations import Trace


class Figures(NamedTuple):
    """Of one operation of a service, or of a service; durations in nanoseconds."""

    service: str
    operation: str
    """Empty: all of the service."""
    calls: int
    errors: int
    traces: int
    """In which they were."""
    p50: int
    p90: int
    p95: int
    p99: int
    max: int


class Statistics(NamedTuple):
    """Most calls first."""

    figures: list[Figures]
    traces: int
    spans: int
    """Counted."""
    start: int
    """Nanoseconds since the epoch, of the earliest span counted; 0 where there is none."""
    end: int
    """Likewise, of the start of the latest."""
    complete: bool
    """Whether these are all that matched."""


def statistics(
    traces: Iterable[Trace], service: str, operation: str, *, by_service: bool = False
) -> Statistics:
    """Over the spans of `service` named `operation`, either of which may be empty: any.

    Of very many traces the first count, up to `MAX_SPANS` spans.
    """
    tallies: dict[tuple[str, str], _Tally] = {}
    starts: list[int] = []
    looked = seen = 0
    complete = True
    for trace in traces:
        if looked >= MAX_SPANS:
            complete = False
            break
        seen += 1
        for _, _, of_service, of_operation, start, duration, status in set(trace.rows):  # a batch sent twice
            looked += 1
            if (service and of_service != service) or (operation and of_operation != operation):
                continue
            key = (of_service, "" if by_service else of_operation)
            tallies.setdefault(key, _Tally()).add(trace.id, duration, status)
            if start:
                starts.append(start)
    figures = [tally.figures(*key) for key, tally in tallies.items()]
    figures.sort(key=lambda each: (-each.calls, each.service, each.operation))
    return Statistics(
        figures,
        seen,
        sum(each.calls for each in figures),
        min(starts, default=0),
        max(starts, default=0),
        complete,
    )


class _Tally:
    """One line under way."""

    __slots__ = ("calls", "durations", "errors", "traces")

    def __init__(self) -> None:
        self.calls = self.errors = 0
        self.durations: list[int] = []
        self.traces: set[int] = set()

    def add(self, trace: int, duration: int | None, status: int) -> None:
        self.calls += 1
        self.errors += status == STATUS_ERROR
        self.traces.add(trace)
        if duration is not None:
            self.durations.append(max(0, duration))

    def figures(self, service: str, operation: str) -> Figures:
        """The sum."""
        self.durations.sort()
        p50, p90, p95, p99 = (percentile(self.durations, share) for share in (0.5, 0.9, 0.95, 0.99))
        return Figures(
            service,
            operation,
            self.calls,
            self.errors,
            len(self.traces),
            p50,
            p90,
            p95,
            p99,
            self.durations[-1] if self.durations else 0,
        )
