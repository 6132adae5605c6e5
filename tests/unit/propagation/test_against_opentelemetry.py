"""Where our formats and OpenTelemetry's packages agree, they agree exactly.

They differ on purpose: Level 2 keys of tracestate, deferred decisions (B3, X-Ray), debug (B3, Jaeger),
`+` in baggage, padding of OT ids.
"""

from __future__ import annotations

import pytest
from headers import SPAN, TRACE, current_span, injected
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators import aws, b3, jaeger, ot_trace
from opentelemetry.trace import INVALID_SPAN_CONTEXT, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from spans import span_ids, trace_ids

from autotrace.propagation.b3 import B3Multi, B3Single
from autotrace.propagation.baggage import Baggage
from autotrace.propagation.jaeger import Jaeger
from autotrace.propagation.ottrace import OtTrace
from autotrace.propagation.tracecontext import TraceContext
from autotrace.propagation.tracestate import TraceState
from autotrace.propagation.xray import XRay

PAIRS = {
    "tracecontext": (TraceContext(), TraceContextTextMapPropagator()),
    "b3": (B3Single(), b3.B3SingleFormat()),
    "b3multi": (B3Multi(), b3.B3MultiFormat()),
    "jaeger": (Jaeger(), jaeger.JaegerPropagator()),
    "xray": (XRay(), aws.AwsXRayPropagator()),
    "ottrace": (OtTrace(), ot_trace.OTTracePropagator()),
}


def understood(propagator, headers):
    return get_current_span(propagator.extract(headers)).get_span_context()


@pytest.mark.parametrize("name", PAIRS)
@given(trace_ids, span_ids, st.booleans())
def test_each_side_understands_the_other(name, trace_id, span_id, sampled):
    ours, theirs = PAIRS[name]
    if name == "ottrace":
        trace_id = trace_id & (2**64 - 1) or 1
    context = current_span(trace_id, span_id, int(sampled), TraceState([("a", "1"), ("b", "2")]))
    by_us = {key.lower(): value for key, value in injected(ours, context).items()}
    by_them = injected(theirs, context)
    headers = {**{key.title(): value for key, value in by_us.items()}, **by_us}
    assert understood(theirs, headers) == understood(ours, by_us) == understood(ours, by_them)
    assert understood(ours, by_us).trace_id == trace_id


@pytest.mark.parametrize("name", ["tracecontext", "b3", "b3multi", "xray"])
@given(trace_ids, span_ids, st.booleans())
def test_the_same_text_is_written(name, trace_id, span_id, sampled):
    ours, theirs = PAIRS[name]
    context = current_span(trace_id, span_id, int(sampled), TraceState([("a", "1")]))
    by_us = {key.lower(): value for key, value in injected(ours, context).items()}
    by_them = {key.lower(): value for key, value in injected(theirs, context).items()}
    assert by_us == by_them


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("tracecontext", {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1, b=2"}),
        ("tracecontext", {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "A=1"}),
        ("tracecontext", {"traceparent": f"00-{TRACE.upper()}-{SPAN}-01"}),
        ("tracecontext", {"traceparent": f"ff-{TRACE}-{SPAN}-01"}),
        ("tracecontext", {"traceparent": f"cc-{TRACE}-{SPAN}-01-x"}),
        ("b3", {"b3": f"{TRACE}-{SPAN}-1-{SPAN}"}),
        ("b3", {"b3": "0"}),
        ("b3", {"b3": f"{'0' * 32}-{SPAN}-1"}),
        ("b3multi", {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "true"}),
        ("b3multi", {"x-b3-traceid": TRACE, "x-b3-sampled": "1"}),
        ("jaeger", {"uber-trace-id": f"{TRACE}:{SPAN}:0:3"}),
        ("jaeger", {"uber-trace-id": "1:2:0:0"}),
        ("jaeger", {"uber-trace-id": f"{TRACE}:{SPAN}:0"}),
        ("xray", {"X-Amzn-Trace-Id": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Sampled=1"}),
        ("xray", {"X-Amzn-Trace-Id": f"Parent={SPAN};Root=1-{TRACE[:8]}-{TRACE[8:]};Sampled=0;Self=x"}),
        ("ottrace", {"ot-tracer-traceid": "a1", "ot-tracer-spanid": "b2", "ot-tracer-sampled": "true"}),
        ("ottrace", {"ot-tracer-traceid": TRACE, "ot-tracer-sampled": "true"}),
    ],
)
def test_the_same_headers_mean_the_same(name, headers):
    ours, theirs = PAIRS[name]
    by_them = understood(theirs, headers)
    assert understood(ours, headers) == (by_them if by_them.is_valid else INVALID_SPAN_CONTEXT)


@given(
    st.dictionaries(
        st.from_regex(r"\A[a-z0-9._-]{1,10}\Z"), st.text(st.characters(codec="utf-8"), max_size=20)
    )
)
def test_baggage_is_understood_by_both_sides(entries):
    # They strip decoded values, and drop what they cannot read.
    context = current_span()
    for key, value in entries.items():
        context = baggage.set_baggage(key, f"({value})", context)
    headers = injected(Baggage(), context)
    assert dict(baggage.get_all(W3CBaggagePropagator().extract(headers))) == dict(baggage.get_all(context))
    assert dict(baggage.get_all(Baggage().extract(headers))) == dict(baggage.get_all(context))
