"""A span of no Zipkin sender goes out as our exporter would have sent it to a Zipkin server."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from spans import START, finished_spans, make_span

from autotrace.backend.query.zipkin_encoding import zipkin_span
from autotrace.export.records import Records
from autotrace.export.zipkin import encode
from autotrace.tracing.resource import Resource
from autotrace.tracing.scope import Scope
from autotrace.tracing.span import Event, Link


def normal(span: dict[str, Any]) -> dict[str, Any]:
    """As a Zipkin server keeps it: short ids, names in lower case, annotations sorted and told once."""
    span["traceId"] = span["traceId"].removeprefix("0" * 16)
    span["name"] = span["name"].lower()
    for endpoint in (span["localEndpoint"], span.get("remoteEndpoint", {})):
        if "serviceName" in endpoint:
            endpoint["serviceName"] = endpoint["serviceName"].lower()
    known = {(each["timestamp"], each["value"]) for each in span.get("annotations", ())}
    if known:
        span["annotations"] = [{"timestamp": time, "value": value} for time, value in sorted(known)]
    if span.get("parentId") == span["id"]:
        del span["parentId"]
    return {name: value for name, value in span.items() if value}


def test_everything_a_span_can_hold() -> None:
    link = Link(SpanContext(0xAB, 0xCD, True, TraceFlags(1), TraceState([("v", "1")])), {"k": "a|b"}, 2)
    span = make_span(
        name="GET /A",
        kind=SpanKind.CLIENT,
        attributes={"server.address": "DB", "n": 1, "f": 0.5, "l": ("a", "b"), "b": b"\\x00", "error": False},
        events=[Event("a|b", START + 500_999, {}), Event("e", START, {"k": "x|y", "n": 1})],
        links=[link],
        status_code=StatusCode.ERROR,
        status_description="no",
        resource=Resource({"service.name": "Svc", "host.name": "h"}),
        instrumentation_scope=Scope("lib", "1"),
        trace_state=TraceState([("a", "b")]),
        dropped_attributes=3,
    )
    (expected,) = json.loads(encode([span]))
    assert zipkin_span(Records().of(span)) == normal(expected)


@given(span=finished_spans())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_span(span: Any) -> None:
    record = Records().of(span)
    named = record._replace(scope=record.scope._replace(name=record.scope.name or "library"))
    (expected,) = json.loads(encode([span]))
    (ours,) = json.loads(json.dumps([zipkin_span(named)]))
    if not record.scope.name:
        for name in ("otel.scope.name", "otel.library.name"):
            del ours["tags"][name]
    for each in (ours, expected):
        each.setdefault("localEndpoint", {})
        each.setdefault("name", "")
    assert normal(ours) == normal(expected)
