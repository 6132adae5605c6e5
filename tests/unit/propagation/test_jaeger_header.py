from __future__ import annotations

import pytest
from headers import SPAN, SPAN_ID, TRACE, TRACE_ID, current_span, extracted, ids, injected
from opentelemetry import baggage
from opentelemetry.context import Context

from autotrace.propagation.jaeger import MAX_DEBUG_ID, Jaeger
from autotrace.tracing.context import SPAN_KEY
from autotrace.tracing.remote import DEBUG_KEY, DECISION_KEY, ROOT_ATTRIBUTES_KEY

FORMAT = Jaeger()


@pytest.mark.parametrize(
    ("header", "expected", "debug"),
    [
        (f"{TRACE}:{SPAN}:0:1", (TRACE_ID, SPAN_ID, 1, False), False),
        (f"{TRACE}:{SPAN}:0:0", (TRACE_ID, SPAN_ID, 0, False), False),
        (f"{TRACE}:{SPAN}:0:01", (TRACE_ID, SPAN_ID, 1, False), False),
        (f"{TRACE}:{SPAN}:0:2", (TRACE_ID, SPAN_ID, 1, False), True),
        (f"{TRACE}:{SPAN}:0:3", (TRACE_ID, SPAN_ID, 1, False), True),
        (f"{TRACE}:{SPAN}:0:4", (TRACE_ID, SPAN_ID, 0, False), False),
        (f"{TRACE}:{SPAN}:0:9", (TRACE_ID, SPAN_ID, 1, False), False),
        (f"{TRACE}:{SPAN}:0:fd", (TRACE_ID, SPAN_ID, 1, False), False),
        (f"{TRACE}:{SPAN}:0:10", (TRACE_ID, SPAN_ID, 0, False), False),
        (f"{TRACE.upper()}:{SPAN.upper()}:ABC:1", (TRACE_ID, SPAN_ID, 1, False), False),
        (f"{TRACE}:{SPAN}:00000000000000a1:1", (TRACE_ID, SPAN_ID, 1, False), False),
        ("123456789abcdef:a1:0:1", (0x123456789ABCDEF, 0xA1, 1, False), False),
        ("1:2:0:1", (1, 2, 1, False), False),
        (f"{TRACE}%3A{SPAN}%3a0%3A1", (TRACE_ID, SPAN_ID, 1, False), False),
        (f" {TRACE}:{SPAN}:0:1 ", (TRACE_ID, SPAN_ID, 1, False), False),
    ],
)
def test_extract(header, expected, debug):
    context = FORMAT.extract({"uber-trace-id": header})
    assert ids(context) == expected
    assert (DEBUG_KEY in context) is debug


@pytest.mark.parametrize(
    "header",
    [
        "",
        ":",
        ":::",
        "%",
        f"{TRACE}",
        f"{TRACE}:{SPAN}",
        f"{TRACE}:{SPAN}:0",
        f"{TRACE}:{SPAN}:0:1:1",
        f"{TRACE}:{SPAN}:0:",
        f"{TRACE}:{SPAN}::1",
        f"0:{SPAN}:0:1",
        f"{'0' * 32}:{SPAN}:0:1",
        f"{TRACE}:0:0:1",
        f"{TRACE}0:{SPAN}:0:1",
        f"{TRACE}:{SPAN}0:0:1",
        f"{TRACE}:{SPAN}:0:100",
        f"{TRACE}:{SPAN}:0:-1",
        f"{TRACE}:{SPAN}:0:g",
        f"{TRACE}:{SPAN}:g:1",
        f"x{TRACE[1:]}:{SPAN}:0:1",
        f"{TRACE[:-1]}\u017f:{SPAN}:0:1",
        f"0x1:{SPAN}:0:1",
        f"1_1:{SPAN}:0:1",
        [f"{TRACE}:{SPAN}:0:1"] * 2,
    ],
)
def test_garbage_changes_nothing(header):
    before = current_span()
    assert FORMAT.extract({"uber-trace-id": header}, before) is before


@pytest.mark.parametrize(
    ("context", "header"),
    [
        (current_span(), f"{TRACE}:{SPAN}:0:1"),
        (current_span(flags=3), f"{TRACE}:{SPAN}:0:1"),
        (current_span(flags=0), f"{TRACE}:{SPAN}:0:0"),
        (current_span(flags=2), f"{TRACE}:{SPAN}:0:0"),
        (current_span(**{DEBUG_KEY: True}), f"{TRACE}:{SPAN}:0:3"),
        (current_span(1, 2), f"{1:032x}:{2:016x}:0:1"),
    ],
)
def test_inject(context, header):
    assert injected(FORMAT, context) == {"uber-trace-id": header}


def test_debug_id_starts_a_sampled_debug_trace():
    context = FORMAT.extract({"jaeger-debug-id": "ticket 7"})
    assert SPAN_KEY not in context
    assert context[DECISION_KEY] is True
    assert context[DEBUG_KEY] is True
    assert context[ROOT_ATTRIBUTES_KEY] == {"jaeger-debug-id": "ticket 7"}
    long = FORMAT.extract({"jaeger-debug-id": "x" * 10_000})[ROOT_ATTRIBUTES_KEY]
    assert long == {"jaeger-debug-id": "x" * MAX_DEBUG_ID}


def test_debug_id_does_not_count_where_there_is_a_trace():
    assert set(FORMAT.extract({"jaeger-debug-id": "x", "uber-trace-id": "1:2:0:1"})) == {SPAN_KEY}
    before = current_span()
    assert FORMAT.extract({"jaeger-debug-id": "x"}, before) is before
    assert FORMAT.extract({"jaeger-debug-id": ""}) == {}


def test_baggage_is_one_header_per_entry():
    context = baggage.set_baggage(
        "user", "J\u00f6 %+,;\r\n", baggage.set_baggage("bad key", "1", current_span())
    )
    headers = injected(FORMAT, context)
    assert headers == {
        "uber-trace-id": f"{TRACE}:{SPAN}:0:1",
        "uberctx-user": "J%C3%B6%20%25%2B%2C%3B%0D%0A",
    }
    assert dict(baggage.get_all(FORMAT.extract(headers))) == {"user": "J\u00f6 %+,;\r\n"}


def test_baggage_goes_without_a_span():
    assert injected(FORMAT, baggage.set_baggage("a", "1", Context())) == {"uberctx-a": "1"}


@pytest.mark.parametrize(
    ("headers", "entries"),
    [
        ({"UberCtx-key": "a%20b"}, {"key": "a b"}),
        ({"uberctx-a": "1", "Uberctx-b": "2", "other": "3"}, {"a": "1", "b": "2"}),
        ({"uberctx-": "1", "uberctx-a b": "2", 3: "4"}, {}),
        ({"uberctx-a": "1+2%ff"}, {"a": "1+2\ufffd"}),
        ({"jaeger-baggage": "k1=v1, k2=v2"}, {"k1": "v1", "k2": "v2"}),
        ({"jaeger-baggage": "k1=v1, broken, =x,k 2=y", "uberctx-k1": "w"}, {"k1": "w"}),
        ({"uberctx-big": "x" * 9000, "uberctx-small": "1"}, {"small": "1"}),
        ({f"uberctx-{i}": "v" for i in range(1000)}, {str(i): "v" for i in range(180)}),
    ],
)
def test_baggage_received(headers, entries):
    assert dict(baggage.get_all(FORMAT.extract(headers))) == entries


def test_a_getter_that_cannot_list_is_enough_for_the_span():
    class Getter:
        def get(self, carrier, key):
            return carrier.get(key)

    headers = {"uber-trace-id": "1:2:0:1", "uberctx-a": "1"}
    context = FORMAT.extract(headers, getter=Getter())
    assert set(context) == {SPAN_KEY}
    assert extracted(FORMAT, headers) == (1, 2, 1, False)
