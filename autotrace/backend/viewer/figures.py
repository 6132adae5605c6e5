"""Answers about many traces at once: the map of services, and the latency of operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.analysis import latency as of_spans
from autotrace.analysis import service_map as of_services

if TYPE_CHECKING:
    from autotrace.analysis.latency import Figures
    from autotrace.analysis.service_map import Place, Share, Traffic
    from autotrace.store.reader import Reader

_SECOND = 10**9


def service_map(reader: Reader, start: int, end: int, service: str) -> dict[str, Any]:
    """The map of a range in nanoseconds; with `service`, that one and its neighbours."""
    with reader.snapshot() as connection:
        sample = of_services.newest_spans(connection, start, end)
    drawn = of_services.service_map(sample.spans)
    traffic = [
        each for each in drawn.traffic if not service or service in {each.caller.name, each.called.name}
    ]
    near = {place for each in traffic for place in (each.caller, each.called)}
    shares = [
        share
        for share in drawn.shares
        if not service or share.place in near or share.place == (service, of_services.SERVICE)
    ]
    result: dict[str, Any] = {
        "services": [_share(share) for share in shares],
        "edges": [_traffic(each) for each in traffic],
        # Of what was looked at, so that calls per second come out right.
        "seconds": (end - (start if sample.complete else sample.start)) / _SECOND,
    }
    if not sample.complete:
        result["note"] = f"of the newest {len(sample.spans):,} spans in the range"
    return result


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


def _share(share: Share) -> dict[str, Any]:
    return {**_place(share.place), "spans": share.spans, "errors": share.errors, "traces": share.traces}


def _place(place: Place) -> dict[str, Any]:
    if place.kind == of_services.SERVICE:
        return {"name": place.name}
    return {"name": place.name, "kind": place.kind}


def _traffic(traffic: Traffic) -> dict[str, Any]:
    return {
        "from": traffic.caller.name,
        "to": traffic.called.name,
        "calls": traffic.calls,
        "errors": traffic.errors,
        "p50": traffic.p50 // 1000,
        "p95": traffic.p95 // 1000,
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "count": figures.spans,
        "errors": figures.errors,
        "p50": figures.p50 // 1000,
        "p95": figures.p95 // 1000,
        "p99": figures.p99 // 1000,
        "max": figures.max // 1000,
    }
