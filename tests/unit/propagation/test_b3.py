from __future__ import annotations

import pytest
from headers import SPAN, SPAN_ID, TRACE, TRACE_ID, current_span, extracted, injected
from opentelemetry.context import Context

from autotrace.propagation.b3 import B3Multi, B3Single
from autotrace.tracing.context import SPAN_KEY, with_span
from autotrace.tracing.remote import DEBUG_KEY, DECISION_KEY, RemoteSpan

BOTH = pytest.mark.parametrize("propagator", [B3Single(), B3Multi()], ids=["b3", "b3multi"])
IDS = {"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN}
PARENT = "00000000000000a1"
SHORT = "463ac35c9f6413ad"


def found(flags, deferred=False, trace_id=TRACE_ID):
    return trace_id, SPAN_ID, flags, deferred


@BOTH
@pytest.mark.parametrize(
    ("headers", "expected", "debug"),
    [
        ({"b3": f"{TRACE}-{SPAN}-1"}, found(1), False),
        ({"b3": f"{TRACE}-{SPAN}-0"}, found(0), False),
        ({"b3": f"{TRACE}-{SPAN}-d"}, found(1), True),
        ({"b3": f"{TRACE}-{SPAN}"}, found(0, True), False),
        ({"b3": f"{TRACE}-{SPAN}-1-{PARENT}"}, found(1), False),
        ({"b3": f"{TRACE}-{SPAN}-0-{PARENT}"}, found(0), False),
        ({"b3": f"{SHORT}-{SPAN}-1"}, found(1, trace_id=int(SHORT, 16)), False),
        ({**IDS, "X-B3-Sampled": "1"}, found(1), False),
        ({**IDS, "X-B3-Sampled": "true"}, found(1), False),
        ({**IDS, "X-B3-Sampled": "True"}, found(1), False),
        ({**IDS, "X-B3-Sampled": "0"}, found(0), False),
        ({**IDS, "X-B3-Sampled": "false"}, found(0), False),
        (IDS, found(0, True), False),
        ({**IDS, "X-B3-Flags": "1"}, found(1), True),
        ({**IDS, "X-B3-Flags": "1", "X-B3-Sampled": "0"}, found(1), True),
        ({**IDS, "X-B3-Flags": "0"}, found(0, True), False),
        ({**IDS, "X-B3-Flags": "0", "X-B3-Sampled": "1"}, found(1), False),
        ({**IDS, "X-B3-Sampled": "1", "X-B3-ParentSpanId": PARENT}, found(1), False),
        ({**IDS, "X-B3-TraceId": SHORT, "X-B3-Sampled": "1"}, found(1, trace_id=int(SHORT, 16)), False),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "1"}, found(1), False),
        # Both: the single header counts, unless it is malformed.
        ({"b3": f"{TRACE}-{SPAN}-0", **IDS, "X-B3-TraceId": SHORT, "X-B3-Sampled": "1"}, found(0), False),
        ({"b3": "garbage", **IDS, "X-B3-Sampled": "1"}, found(1), False),
        ({"b3": "", **IDS, "X-B3-Sampled": "1"}, found(1), False),
    ],
)
def test_extract(propagator, headers, expected, debug):
    context = propagator.extract(headers)
    assert extracted(propagator, headers) == expected
    assert (DEBUG_KEY in context) is debug
    assert DECISION_KEY not in context


@BOTH
@pytest.mark.parametrize(
    ("headers", "decision", "debug"),
    [
        ({"b3": "0"}, False, False),
        ({"b3": "1"}, True, False),
        ({"b3": "d"}, True, True),
        ({"X-B3-Sampled": "0"}, False, False),
        ({"X-B3-Sampled": "1"}, True, False),
        ({"x-b3-sampled": "false"}, False, False),
        ({"X-B3-Flags": "1"}, True, True),
    ],
)
def test_decision_without_ids(propagator, headers, decision, debug):
    context = propagator.extract(headers)
    assert SPAN_KEY not in context
    assert context[DECISION_KEY] is decision
    assert (DEBUG_KEY in context) is debug
    assert injected(propagator, context) == {}


@BOTH
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"b3": ""},
        {"b3": "-"},
        {"b3": "2"},
        {"b3": "true"},
        {"b3": "D"},
        {"b3": f"{TRACE}"},
        {"b3": f"{TRACE}-"},
        {"b3": f"-{SPAN}-1"},
        {"b3": f"{TRACE}-{SPAN}-"},
        {"b3": f"{TRACE}-{SPAN}-2"},
        {"b3": f"{TRACE}-{SPAN}-true"},
        {"b3": f"{TRACE}-{SPAN}-1-"},
        {"b3": f"{TRACE}-{SPAN}-1-a1"},
        {"b3": f"{TRACE}-{SPAN}-1-{PARENT}-1"},
        {"b3": f"{TRACE}-{SPAN}-{PARENT}"},
        {"b3": f"{TRACE.upper()}-{SPAN}-1"},
        {"b3": f"{TRACE[:-1]}-{SPAN}-1"},
        {"b3": f"{TRACE}-{SPAN[:-1]}-1"},
        {"b3": f"{'0' * 32}-{SPAN}-1"},
        {"b3": f"{'0' * 16}-{SPAN}-1"},
        {"b3": f"{TRACE}-{'0' * 16}-1"},
        {"b3": [f"{TRACE}-{SPAN}-1", f"{TRACE}-{SPAN}-1"]},
        {"X-B3-TraceId": TRACE},
        {"X-B3-SpanId": SPAN, "X-B3-Sampled": "1"},
        {**IDS, "X-B3-TraceId": ""},
        {**IDS, "X-B3-TraceId": "-"},
        {**IDS, "X-B3-TraceId": f"{TRACE}-{SPAN}"},
        {**IDS, "X-B3-SpanId": "0" * 16},
        {**IDS, "X-B3-TraceId": "0" * 32},
        {**IDS, "X-B3-TraceId": TRACE.upper()},
        {**IDS, "X-B3-Sampled": ""},
        {**IDS, "X-B3-Sampled": "-"},
        {**IDS, "X-B3-Sampled": "maybe"},
        {**IDS, "X-B3-TraceId": [TRACE, TRACE]},
        {"X-B3-Flags": "0"},
        {"X-B3-Sampled": ""},
        {"X-B3-ParentSpanId": PARENT},
    ],
)
def test_garbage_changes_nothing(propagator, headers):
    before = current_span()
    assert propagator.extract(headers, before) is before


@pytest.mark.parametrize(
    ("context", "single", "multi"),
    [
        (current_span(), f"{TRACE}-{SPAN}-1", {**IDS, "X-B3-Sampled": "1"}),
        (current_span(flags=3), f"{TRACE}-{SPAN}-1", {**IDS, "X-B3-Sampled": "1"}),
        (current_span(flags=2), f"{TRACE}-{SPAN}-0", {**IDS, "X-B3-Sampled": "0"}),
        (current_span(**{DEBUG_KEY: True}), f"{TRACE}-{SPAN}-d", {**IDS, "X-B3-Flags": "1"}),
        (with_span(RemoteSpan(TRACE_ID, SPAN_ID, 0, None, True), Context()), f"{TRACE}-{SPAN}", IDS),
        (
            current_span(int(SHORT, 16)),
            f"{'0' * 16}{SHORT}-{SPAN}-1",
            {**IDS, "X-B3-TraceId": "0" * 16 + SHORT, "X-B3-Sampled": "1"},
        ),
    ],
)
def test_inject(context, single, multi):
    assert injected(B3Single(), context) == {"b3": single}
    assert injected(B3Multi(), context) == multi


@BOTH
def test_debug_travels_on_until_another_process(propagator):
    first = propagator.extract({"b3": f"{TRACE}-{SPAN}-d"})
    second = propagator.extract(injected(propagator, first))
    assert second[DEBUG_KEY] is True
    assert second[SPAN_KEY].trace_flags == 1


@BOTH
def test_fields_name_every_header_that_is_written(propagator):
    for context in (current_span(), current_span(**{DEBUG_KEY: True})):
        assert set(injected(propagator, context)) <= propagator.fields
