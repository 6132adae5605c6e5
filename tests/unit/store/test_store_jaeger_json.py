"""A trace in the form of Jaeger's query API: the worked example of its sheet, and the odd corners."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags, TraceState
from spans import START, finished_spans
from stores import record

from autotrace.export.records import Records
from autotrace.store import jaeger_json
from autotrace.tracing.resource import Resource
from autotrace.tracing.scope import Scope
from autotrace.tracing.span import Event, Link


def tag(key: str, kind: str, value: Any) -> dict[str, Any]:
    return {"key": key, "type": kind, "value": value}


def test_a_trace_in_full() -> None:
    link = Link(SpanContext(0xABC, 0xDEF, True, TraceFlags(1)), {})
    span = record(
        attributes={"n": -1, "r": 0.5},
        events=[Event("cache.miss", START + 500_999, {"key": "k1"})],
        links=[link],
        status_code=StatusCode.ERROR,
        status_description="no",
        resource=Resource({"service.name": "svc", "host.name": "h"}),
        instrumentation_scope=Scope("lib", "1"),
        trace_state=TraceState([("a", "b")]),
        dropped_events=2,
    )
    trace_id = "ff00aa11bb22cc330123456789abcdef"
    assert jaeger_json.envelope([jaeger_json.trace([span])]) == {
        "data": [
            {
                "traceID": trace_id,
                "spans": [
                    {
                        "traceID": trace_id,
                        "spanID": "fedcba9876543210",
                        "flags": 1,
                        "operationName": "GET /a",
                        "references": [
                            {"refType": "CHILD_OF", "traceID": trace_id, "spanID": "00000000000000a1"},
                            {
                                "refType": "FOLLOWS_FROM",
                                "traceID": "0000000000000abc",
                                "spanID": "0000000000000def",
                            },
                        ],
                        "startTime": 1700000000000000,
                        "duration": 1500,
                        "tags": [
                            tag("n", "int64", -1),
                            tag("r", "float64", 0.5),
                            tag("otel.scope.name", "string", "lib"),
                            tag("otel.scope.version", "string", "1"),
                            tag("span.kind", "string", "server"),
                            tag("otel.status_code", "string", "ERROR"),
                            tag("error", "bool", True),
                            tag("otel.status_description", "string", "no"),
                            tag("w3c.tracestate", "string", "a=b"),
                            tag("otel.dropped_events_count", "int64", 2),
                        ],
                        "logs": [
                            {
                                "timestamp": 1700000000000500,
                                "fields": [tag("event", "string", "cache.miss"), tag("key", "string", "k1")],
                            }
                        ],
                        "processID": "p1",
                        "warnings": None,
                    }
                ],
                "processes": {"p1": {"serviceName": "svc", "tags": [tag("host.name", "string", "h")]}},
                "warnings": None,
            }
        ],
        "total": 0,
        "limit": 0,
        "offset": 0,
        "errors": None,
    }


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (True, "bool", True),
        (2**53 - 1, "int64", 2**53 - 1),
        (2**53, "int64", "9007199254740992"),
        (2**63, "string", "9223372036854775808"),
        (10**5000, "string", hex(10**5000)),
        (float("nan"), "float64", "NaN"),
        (float("-inf"), "float64", "-Infinity"),
        (b"\0\xff", "binary", "AP8="),
        ((1, "a"), "string", '[1,"a"]'),
        ({"b": b"\0", "n": (None, float("inf"))}, "string", '{"b":"AA==","n":[null,"Infinity"]}'),
        (None, "string", "null"),
    ],
    ids=range(11),
)
def test_types(value: Any, kind: str, shown: Any) -> None:
    (trace,) = jaeger_json.trace([record(attributes={"k": value})])["spans"]
    assert trace["tags"][0] == tag("k", kind, shown)


def test_processes_are_shared_and_numbered_by_first_appearance() -> None:
    a, b = Resource({"service.name": "a"}), Resource({"service.name": "b"})
    trace = jaeger_json.trace([record(resource=each) for each in (b, a, Resource({"service.name": "b"}))])
    assert [span["processID"] for span in trace["spans"]] == ["p1", "p2", "p1"]
    assert trace["processes"]["p2"] == {"serviceName": "a", "tags": []}


def test_an_unsampled_flag_is_left_out_and_debug_is_two() -> None:
    from autotrace.store.records import FLAG_DEBUG

    trace = jaeger_json.trace([record()._replace(flags=0), record()._replace(flags=FLAG_DEBUG | 1)])
    assert [span.get("flags") for span in trace["spans"]] == [None, 3]


@settings(deadline=None)
@given(finished_spans())
def test_any_span_is_strict_json(span: Any) -> None:
    json.dumps(jaeger_json.trace([Records().of(span)]), allow_nan=False)
