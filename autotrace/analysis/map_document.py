"""The service map as JSON; durations in microseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.analysis.service_map import SERVICE, around, service_map

if TYPE_CHECKING:
    from autotrace.analysis.service_map import Place, Sample, Share, Traffic

_SECOND = 10**9


def document(sample: Sample, start: int, end: int, service: str) -> dict[str, Any]:
    """The map of a range in nanoseconds; with `service`, that one and its neighbours."""
    drawn = service_map(sample.spans)
    if service:
        drawn = around(drawn, service)
    result: dict[str, Any] = {
        "services": [_share(share) for share in drawn.shares],
        "edges": [_traffic(each) for each in drawn.traffic],
        # Of what was looked at, so that calls per second come out right.
        "seconds": (end - (start if sample.complete else sample.start)) / _SECOND,
    }
    if not sample.complete:
        result["note"] = f"of the newest {len(sample.spans):,} spans in the range"
    return result


def _share(share: Share) -> dict[str, Any]:
    return {**_place(share.place), "spans": share.spans, "errors": share.errors, "traces": share.traces}


def _place(place: Place) -> dict[str, Any]:
    if place.kind == SERVICE:
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
