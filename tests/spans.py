"""Finished spans for tests of what comes after the tracer."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags, TraceState

from autotrace.tracing.limits import Limits
from autotrace.tracing.resource import Resource
from autotrace.tracing.scope import Scope
from autotrace.tracing.span import Event, Link, Span

TRACE_ID = 0xFF00AA11BB22CC330123456789ABCDEF
SPAN_ID = 0xFEDCBA9876543210
PARENT_ID = 0xA1
START = 1_700_000_000_000_000_000
END = START + 1_500_000

RESOURCE = Resource({"service.name": "svc"})
SCOPE = Scope("autotrace")


def make_span(**fields: Any) -> Span:
    """A finished span: the worked example of the wire format sheets, but for what `fields` says.

    Every slot of `Span` is a field; `attributes`, `events`, `links` go without the underscore.
    """
    span = Span(
        fields.pop("name", "GET /a"),
        fields.pop("kind", SpanKind.SERVER),
        fields.pop("trace_id", TRACE_ID),
        fields.pop("span_id", SPAN_ID),
        fields.pop("trace_flags", 1),
        fields.pop("attributes", {}),
        fields.pop("resource", RESOURCE),
        fields.pop("instrumentation_scope", SCOPE),
        Limits(),
        lambda _span: None,
        fields.pop("start_time", START),
    )
    span.parent_id = fields.pop("parent_id", PARENT_ID)
    span._events = fields.pop("events", None)
    span._links = fields.pop("links", None)
    span.end_time = fields.pop("end_time", END)
    for slot, value in fields.items():
        setattr(span, slot, value)
    return span


INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
scalars = st.one_of(
    st.text(max_size=30), st.booleans(), INT64, st.floats(allow_nan=False, allow_infinity=False)
)
values = st.one_of(
    scalars,
    st.binary(max_size=20),
    st.lists(st.text(max_size=8), max_size=4).map(tuple),
    st.lists(INT64, max_size=4).map(tuple),
    st.lists(st.booleans(), max_size=4).map(tuple),
)
attribute_dicts = st.dictionaries(st.text(min_size=1, max_size=20), values, max_size=8)
trace_ids = st.integers(min_value=1, max_value=2**128 - 1)
span_ids = st.integers(min_value=1, max_value=2**64 - 1)
times = st.integers(min_value=1_000_000_000, max_value=2**62)


@st.composite
def events(draw: Any) -> Event:
    return Event(
        draw(st.text(min_size=1, max_size=20)), draw(times), draw(attribute_dicts), draw(st.integers(0, 3))
    )


@st.composite
def links(draw: Any) -> Link:
    context = SpanContext(
        draw(trace_ids),
        draw(span_ids),
        draw(st.booleans()),
        TraceFlags(draw(st.integers(0, 3))),
        TraceState(),
    )
    return Link(context, draw(attribute_dicts), draw(st.integers(0, 3)))


@st.composite
def finished_spans(draw: Any, resources: Any = None) -> Span:
    """Any finished span; `resources` is a strategy, a few different services by default."""
    start = draw(times)
    code = draw(st.sampled_from(list(StatusCode)))
    resource = draw(
        resources
        or st.sampled_from(["svc", "shop", "käse"]).map(
            lambda name: Resource({"service.name": name, "host.name": "h"})
        )
    )
    return make_span(
        name=draw(st.text(min_size=1, max_size=30)),
        kind=draw(st.sampled_from(list(SpanKind))),
        trace_id=draw(trace_ids),
        span_id=draw(span_ids),
        parent_id=draw(st.one_of(st.just(0), span_ids)),
        parent_is_remote=draw(st.booleans()),
        trace_flags=draw(st.sampled_from([1, 3])),
        attributes=draw(attribute_dicts),
        events=draw(st.lists(events(), max_size=3)) or None,
        links=draw(st.lists(links(), max_size=3)) or None,
        status_code=code,
        status_description=draw(st.text(max_size=20)) if code is StatusCode.ERROR else None,
        dropped_attributes=draw(st.integers(0, 5)),
        dropped_events=draw(st.integers(0, 5)),
        dropped_links=draw(st.integers(0, 5)),
        resource=resource,
        instrumentation_scope=draw(st.sampled_from([Scope("autotrace"), Scope("autotrace.flask", "0.1.0")])),
        start_time=start,
        end_time=start + draw(st.integers(0, 10**12)),
    )
