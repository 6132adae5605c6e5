"""What holds for every format: hostile headers, and what is written can be read again."""

from __future__ import annotations

import pytest
from headers import SPAN, TRACE, ids, injected
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.trace import get_current_span
from spans import span_ids, trace_ids

from autotrace.propagation.environment import for_child, read
from autotrace.propagation.registry import BUILT_IN, build
from autotrace.propagation.tracestate import TraceState
from autotrace.tracing.context import SPAN_KEY, with_span
from autotrace.tracing.remote import DEBUG_KEY, DECISION_KEY, ROOT_ATTRIBUTES_KEY, RemoteSpan
from autotrace.tracing.unsampled import UnsampledSpan

ALL = build(list(BUILT_IN))
FORMATS = [name for name in BUILT_IN if name != "baggage"]

GOOD = {
    "traceparent": f"00-{TRACE}-{SPAN}-01",
    "tracestate": "a=1,b@=2",
    "baggage": "k=v;p=1,x=%41",
    "b3": f"{TRACE}-{SPAN}-d",
    "X-B3-TraceId": TRACE,
    "x-b3-spanid": SPAN,
    "X-B3-Sampled": "1",
    "X-B3-Flags": "1",
    "uber-trace-id": f"{TRACE}:{SPAN}:0:3",
    "jaeger-debug-id": "x",
    "jaeger-baggage": "k=v, x=y",
    "uberctx-a": "%41",
    "UBERCTX-b": "1",
    "X-Amzn-Trace-Id": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN};Sampled=?",
    "ot-tracer-traceid": TRACE,
    "ot-tracer-spanid": SPAN,
    "ot-tracer-sampled": "true",
    "ot-baggage-a": "1",
}
ODD = [
    "",
    "-",
    "=",
    ",",
    ";",
    ":",
    "%",
    "0",
    "f",
    "F",
    "\x00",
    "\r\n",
    "\u0661",
    "\u00e9",
    "\udcff",
    "_",
    "+",
    " ",
]
ODD += ["0" * 16, "0" * 32, ",,,", "%%%"]
ALIEN = [None, 7, b"00", [None], [b"1"], {}, ("1",), [["1"]], []]


def damaged(value):
    """`value` with a piece replaced, in all ways."""
    for start in range(len(value) + 1):
        for end in {start, start + 1, start + 8, len(value)}:
            for odd in ODD:
                yield value[:start] + odd + value[end:]


# Lists instead of nested strategies: Hypothesis takes one draw per header and half the time.
SOUND = list(GOOD.items())
DAMAGED = [(name, text) for name, value in GOOD.items() for text in damaged(value)]
MISPLACED = [(name, text) for name in GOOD for text in [*GOOD.values(), *ODD]]
REPEATED = [(name, [value] * count) for name, value in GOOD.items() for count in (1, 2, 3)]
ALIENS = [(name, value) for name in GOOD for value in ALIEN]
CHANGES = st.lists(
    st.one_of(
        st.sampled_from(SOUND),
        st.sampled_from(SOUND),
        st.sampled_from(DAMAGED),
        st.sampled_from(MISPLACED),
        st.sampled_from(REPEATED),
        st.sampled_from(ALIENS),
        st.tuples(st.sampled_from(sorted(GOOD)), st.text(max_size=60)),
    ),
    max_size=10,
).map(dict)
COMPLETE = [
    {name: value for name, value in GOOD.items() if name.lower().startswith(prefix)}
    for prefix in ("trace", "b3", "x-b3", "uber", "x-amzn", "ot-", "baggage", "jaeger", "nothing")
]
HEADERS = st.builds(lambda complete, changes: {**complete, **changes}, st.sampled_from(COMPLETE), CHANGES)
BEFORE = with_span(UnsampledSpan(1, 2, 0, None), Context({"k": "v"}))
KNOWN = {
    SPAN_KEY,
    DECISION_KEY,
    DEBUG_KEY,
    ROOT_ATTRIBUTES_KEY,
    next(iter(baggage.set_baggage("a", "b", Context()))),
}


@pytest.mark.parametrize(
    "examples", [pytest.param(500, id="quick"), pytest.param(10_000, id="thorough", marks=pytest.mark.slow)]
)
def test_hostile_headers_never_raise_nor_half_parse(examples):
    parsed = set()

    @settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(HEADERS, st.booleans())
    def check(headers, with_parent):
        before = context = BEFORE if with_parent else Context()
        # The members themselves: the composite would absorb what they raise.
        for name, member in zip(BUILT_IN, ALL.propagators):
            after = member.extract(headers, context)
            assert set(after) - set(context) <= KNOWN
            if after.get(SPAN_KEY) is not context.get(SPAN_KEY):
                assert ids(after) is not None
                parsed.add(name)
            context = after
        assert ALL.extract(headers, before).keys() == context.keys()
        if before is BEFORE:
            assert context["k"] == "v"
            assert get_current_span(context).get_span_context().is_valid
        for member in ALL.propagators:
            written = injected(member, context)
            assert all(type(key) is str and type(value) is str for key, value in written.items())
            assert all(
                "\n" not in value and value.isprintable() and value.isascii() for value in written.values()
            )

    check()
    assert parsed == set(FORMATS)  # or the headers are too hostile to test anything but refusal


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("through", ["headers", "environment"])
@given(trace_ids, span_ids, st.integers(0, 3), st.booleans(), st.booleans())
def test_what_is_written_is_read_again(name, through, trace_id, span_id, flags, debug, deferred):
    propagator = build([name])
    deferred = deferred and not flags & 1 and name in {"b3", "b3multi", "xray", "ottrace"}
    state = TraceState([("a@", "1")])
    added = {DEBUG_KEY: True} if debug and name in {"b3", "b3multi", "jaeger"} else {}
    sent = with_span(RemoteSpan(trace_id, span_id, flags, state, deferred), Context(added))
    if through == "headers":
        received = propagator.extract(injected(propagator, sent))
    else:
        received = read(for_child({}, propagator, sent), propagator)

    expected_id = trace_id & (2**64 - 1) if name == "ottrace" else trace_id
    if not expected_id:
        assert received == {}
        return
    expected_flags = flags if name == "tracecontext" else flags & 1
    if added:
        expected_flags, deferred = 1, False
    assert ids(received) == (expected_id, span_id, expected_flags, deferred)
    assert (received[SPAN_KEY].trace_state == state) is (name == "tracecontext")
    assert (DEBUG_KEY in received) is bool(added)


@pytest.mark.parametrize("name", ["baggage", "jaeger", "ottrace"])
def test_baggage_is_read_again(name):
    propagator = build([name])
    context = with_span(RemoteSpan(1, 2, 1), Context())
    for key, value in {"a": "1", "user.id": "x=y; z", "empty": ""}.items():
        context = baggage.set_baggage(key, value, context)
    received = propagator.extract(injected(propagator, context))
    assert dict(baggage.get_all(received)) == dict(baggage.get_all(context))
