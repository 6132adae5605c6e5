"""Answers about many traces at once: the map of services, and the latency of operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.analysis import latency as of_spans
from autotrace.analysis.map_document import document
from autotrace.analysis.service_map import newest_spans
from autotrace.store.search import Query

if TYPE_CHECKING:
    from autotrace.analysis.latency import Figures
    from autotrace.store.reader import Reader


def service_map(reader: Reader, start: int, end: int, service: str) -> dict[str, Any]:
    """The map of a range in nanoseconds; with `service`, that one and its neighbours."""
    with reader.snapshot() as connection:
        sample = newest_spans(connection, Query(start=start, end=end))
    return document(sample, start, end, service)


def latency(reader: Reader, service: str, operation: str, start: int, end: int) -> dict[str, Any]:
    """The figures of a range in nanoseconds."""
    with reader.snapshot() as connection:
        spans = of_spans.measured_spans(connection, service, operation, start, end)
    complete = len(spans) < of_spans.MAX_SPANS
    found = of_spans.latency(spans, start if complete else spans[-1][0], end)
    result: dict[str, Any] = {
        **_figures(found.figures),
        "histogram": [
            {
                "from": bucket.start / 1000,
                "to": bucket.end / 1000,
                "count": bucket.spans,
                "errors": bucket.errors,
            }
            for bucket in found.histogram
        ],
        "series": [{"time": step.time // 1000, **_figures(step.figures)} for step in found.series],
    }
    if not complete:
        result["note"] = f"of the newest {len(spans):,} spans in the range"
    return result


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "count": figures.spans,
        "errors": figures.errors,
        "p50": figures.p50 // 1000,
        "p95": figures.p95 // 1000,
        "p99": figures.p99 // 1000,
        "max": figures.max // 1000,
    }
