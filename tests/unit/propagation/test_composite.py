from __future__ import annotations

import pytest
from headers import SPAN, SPAN_ID, TRACE, TRACE_ID, current_span, ids
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator

from autotrace import notices
from autotrace.propagation.composite import Composite
from autotrace.propagation.registry import build
from autotrace.tracing.context import attach, detach

TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
HEADERS = {"traceparent": TRACEPARENT, "b3": f"{1:032x}-{2:016x}-0"}


@pytest.mark.parametrize(
    ("names", "headers", "expected"),
    [
        (["tracecontext", "b3"], HEADERS, (1, 2, 0, False)),
        (["b3", "tracecontext"], HEADERS, (TRACE_ID, SPAN_ID, 1, False)),
        (["tracecontext", "b3"], {"traceparent": TRACEPARENT}, (TRACE_ID, SPAN_ID, 1, False)),
        (["tracecontext", "b3"], {**HEADERS, "b3": "garbage"}, (TRACE_ID, SPAN_ID, 1, False)),
        (["tracecontext", "b3"], {**HEADERS, "b3": "0"}, (TRACE_ID, SPAN_ID, 1, False)),
        (["tracecontext", "b3"], {**HEADERS, "traceparent": "garbage"}, (1, 2, 0, False)),
        ([], HEADERS, None),
        (["none"], HEADERS, None),
    ],
)
def test_the_last_format_that_finds_a_span_wins(names, headers, expected):
    propagator = build(names) if names else Composite(())
    assert ids(propagator.extract(headers)) == expected


def test_every_format_is_written():
    headers = {}
    propagator = build(["tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", "ottrace"])
    propagator.inject(headers, current_span())
    assert headers == {
        "traceparent": TRACEPARENT,
        "b3": f"{TRACE}-{SPAN}-1",
        "X-B3-TraceId": TRACE,
        "X-B3-SpanId": SPAN,
        "X-B3-Sampled": "1",
        "uber-trace-id": f"{TRACE}:{SPAN}:0:1",
        "X-Amzn-Trace-Id": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN};Sampled=1",
        "ot-tracer-traceid": TRACE[16:],
        "ot-tracer-spanid": SPAN,
        "ot-tracer-sampled": "true",
    }
    assert set(headers) <= propagator.fields
    assert {"baggage", "tracestate", "X-B3-Flags"} <= propagator.fields


def test_the_application_reaches_it_through_the_api():
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(build(["tracecontext", "baggage"]))
    token = attach(current_span())
    try:
        headers = {}
        propagate.inject(headers)
        assert headers == {"traceparent": TRACEPARENT}
        assert ids(propagate.extract(headers)) == (TRACE_ID, SPAN_ID, 1, False)
        assert propagate.extract({}) == Context()
    finally:
        detach(token)
        propagate.set_global_textmap(before)


class Broken(TextMapPropagator):
    def extract(self, carrier, context=None, getter=None):
        raise ZeroDivisionError

    def inject(self, carrier, context=None, setter=None):
        raise ZeroDivisionError

    fields = frozenset()


def test_a_broken_member_costs_its_own_format_only(capsys):
    notices._spoken.clear()
    propagator = Composite([Broken(), *build(["tracecontext"]).propagators, Broken()])
    context = propagator.extract({"traceparent": TRACEPARENT})
    assert ids(context) == (TRACE_ID, SPAN_ID, 1, False)
    headers = {}
    propagator.inject(headers, context)
    assert headers == {"traceparent": TRACEPARENT}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("autotrace: propagator Broken.extract failed")


@pytest.mark.parametrize("carrier", [None, 7, [], "text"])
def test_a_carrier_that_does_not_fit_its_getter_leaves_the_context_alone(carrier, capsys):
    before = current_span()
    assert build(["tracecontext", "baggage"]).extract(carrier, before) is before
