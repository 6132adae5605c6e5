from __future__ import annotations

import pytest
from headers import SPAN, SPAN_ID, TRACE, TRACE_ID, current_span, extracted, ids, injected
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace import TraceState as ApiTraceState
from spans import make_span

from autotrace.propagation.tracecontext import TraceContext
from autotrace.propagation.tracestate import TraceState
from autotrace.tracing.context import SPAN_KEY, attach, detach, with_span
from autotrace.tracing.remote import RemoteSpan

FORMAT = TraceContext()
IDS = f"{TRACE}-{SPAN}"


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        pytest.param(f"00-{IDS}-01", 1, id="sampled"),
        pytest.param(f"00-{IDS}-00", 0, id="not sampled"),
        pytest.param(f"00-{IDS}-02", 2, id="random id, not sampled"),
        pytest.param(f"00-{IDS}-03", 3, id="random id, sampled"),
        pytest.param(f"00-{IDS}-ff", 3, id="unknown flags are not kept"),
        pytest.param(f"00-{IDS}-fc", 0, id="unknown flags alone"),
        pytest.param(f" \t00-{IDS}-01\t ", 1, id="blanks around"),
        pytest.param(f"01-{IDS}-01", 1, id="next version"),
        pytest.param(f"cc-{IDS}-01", 1, id="future version, as long as 00"),
        pytest.param(f"cc-{IDS}-01-what-the-future-will-be-like", 1, id="future version, longer"),
        pytest.param(f"cc-{IDS}-01-", 1, id="future version, empty rest"),
        pytest.param(f"fe-{IDS}-01", 1, id="last version"),
    ],
)
def test_valid_traceparent(header, flags):
    assert extracted(FORMAT, {"traceparent": header}) == (TRACE_ID, SPAN_ID, flags, False)


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "-",
        "00",
        f"ff-{IDS}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"cc-{'0' * 32}-{SPAN}-01-x",
        f"00-{IDS}-01-extra",
        f"00-{IDS}-01-",
        f"00-{IDS}-01.",
        f"00-{IDS}-01x",
        f"cc-{IDS}-01.extra",
        f"cc-{IDS}-011",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"0A-{IDS}-01",
        f"CC-{IDS}-01",
        f"00-{IDS}-0A",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-0{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}-01",
        f"00-{TRACE}-0{SPAN}-01",
        f"00-{TRACE[:-1]}.-{SPAN}-01",
        f"00-{TRACE[:-2]}_1-{SPAN}-01",
        f"00-+{TRACE[1:]}-{SPAN}-01",
        f"00- {TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE[:-1]}\u0661-{SPAN}-01",
        f"00-{TRACE[:-1]}\uff11-{SPAN}-01",
        f"00-{IDS}-1",
        f"00-{IDS}-",
        f"00-{IDS}",
        f"0-{IDS}-01",
        f"000-{IDS}-01",
        f"--{IDS}-01",
        f"00_{IDS}-01",
        f"00-{TRACE}_{SPAN}-01",
        f"00-{IDS}_01",
        f"00-{IDS}-01\n",
        f"\n00-{IDS}-01",
        f"\x0b00-{IDS}-01",
        f"00-{IDS}-01,00-{IDS}-01",
        f"cc-{IDS}-01-a,00-{IDS}-01",
        "\udcff" * 55,
        "00-" * 100_000,
    ],
    ids=lambda header: repr(header[:70]),
)
def test_invalid_traceparent_starts_a_new_trace_and_takes_tracestate_with_it(header):
    before = Context({"k": "v"})
    assert FORMAT.extract({"traceparent": header, "tracestate": "a=b"}, before) is before


@pytest.mark.parametrize("lines", [[f"00-{IDS}-01"] * 2, [f"00-{IDS}-01", ""], [f"cc-{IDS}-01-a", "b"]])
def test_repeated_traceparent_is_invalid(lines):
    assert extracted(FORMAT, {"traceparent": lines}) is None


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("foo=1,bar=2", "foo=1,bar=2"),
        (["foo=1", "bar=2"], "foo=1,bar=2"),
        (["foo=1,", "", ",bar=2"], "foo=1,bar=2"),
        ("foo@=1,foo@@bar=2,0a=3", "foo@=1,foo@@bar=2,0a=3"),
        ("@foo=1,bar=2", None),
        ("", None),
        (",,\t,", None),
    ],
)
def test_tracestate_goes_with_traceparent(given, written):
    context = FORMAT.extract({"traceparent": f"cc-{IDS}-ff-x", "tracestate": given})
    expected = {"traceparent": f"00-{IDS}-03"}
    if written:
        expected["tracestate"] = written
    assert injected(FORMAT, context) == expected


def test_tracestate_without_traceparent_is_ignored():
    assert FORMAT.extract({"tracestate": "a=b"}) == {}


def test_extraction_keeps_the_rest_of_the_context_and_replaces_the_span():
    before = current_span(1, 2, k="v")
    after = FORMAT.extract({"traceparent": f"00-{IDS}-01"}, before)
    assert ids(after) == (TRACE_ID, SPAN_ID, 1, False)
    assert after["k"] == "v"
    assert before[SPAN_KEY].trace_id == 1


EXPECTED = {"traceparent": f"00-{TRACE}-{SPAN}-03", "tracestate": "a=1"}


@pytest.mark.parametrize(
    "span",
    [
        make_span(trace_id=TRACE_ID, span_id=SPAN_ID, trace_flags=0xFF, trace_state=TraceState([("a", "1")])),
        RemoteSpan(TRACE_ID, SPAN_ID, 0xFF, TraceState([("a", "1")])),
        NonRecordingSpan(
            SpanContext(TRACE_ID, SPAN_ID, False, TraceFlags(0xFF), ApiTraceState([("a", "1")]))
        ),
    ],
    ids=lambda span: type(span).__name__,
)
def test_every_kind_of_span_is_injected(span):
    assert injected(FORMAT, with_span(span, Context())) == EXPECTED


@pytest.mark.parametrize(
    "context",
    [
        Context(),
        Context({SPAN_KEY: "no span"}),
        with_span(NonRecordingSpan(SpanContext(0, 0, False)), Context()),
        with_span(NonRecordingSpan(SpanContext(TRACE_ID, 0, False)), Context()),
        with_span(NonRecordingSpan(SpanContext(0, SPAN_ID, False)), Context()),
    ],
)
def test_an_invalid_context_writes_nothing(context):
    assert injected(FORMAT, context) == {}


def test_a_retry_overwrites_and_small_ids_are_padded():
    headers = {"traceparent": "old"}
    FORMAT.inject(headers, current_span(1, 2, 0))
    assert headers == {"traceparent": f"00-{1:032x}-{2:016x}-00"}


def test_the_current_context_is_the_default():
    token = attach(current_span())
    try:
        assert injected(FORMAT, None) == {"traceparent": f"00-{IDS}-01"}
    finally:
        detach(token)
    assert injected(FORMAT, None) == {}
