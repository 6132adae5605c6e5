from __future__ import annotations

import pytest
from headers import SPAN, SPAN_ID, TRACE, TRACE_ID, current_span, extracted, injected
from opentelemetry import baggage
from opentelemetry.context import Context

from autotrace.propagation.ottrace import OtTrace
from autotrace.tracing.context import SPAN_KEY, with_span
from autotrace.tracing.remote import RemoteSpan

FORMAT = OtTrace()
IDS = {"ot-tracer-traceid": TRACE[16:], "ot-tracer-spanid": SPAN}
LOW_HALF = int(TRACE[16:], 16)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({**IDS, "ot-tracer-sampled": "true"}, (LOW_HALF, SPAN_ID, 1, False)),
        ({**IDS, "ot-tracer-sampled": "false"}, (LOW_HALF, SPAN_ID, 0, False)),
        ({**IDS, "ot-tracer-sampled": "True"}, (LOW_HALF, SPAN_ID, 0, False)),
        ({**IDS, "ot-tracer-sampled": "1"}, (LOW_HALF, SPAN_ID, 0, False)),
        ({**IDS, "ot-tracer-sampled": ""}, (LOW_HALF, SPAN_ID, 0, False)),
        (IDS, (LOW_HALF, SPAN_ID, 0, True)),
        ({**IDS, "ot-tracer-traceid": TRACE, "ot-tracer-sampled": "true"}, (TRACE_ID, SPAN_ID, 1, False)),
        ({"ot-tracer-traceid": "1", "ot-tracer-spanid": "2", "ot-tracer-sampled": "true"}, (1, 2, 1, False)),
        ({**IDS, "ot-tracer-spanid": SPAN.upper()}, (LOW_HALF, SPAN_ID, 0, True)),
    ],
)
def test_extract(headers, expected):
    assert extracted(FORMAT, headers) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ot-tracer-traceid": TRACE},
        {"ot-tracer-spanid": SPAN},
        {**IDS, "ot-tracer-traceid": ""},
        {**IDS, "ot-tracer-spanid": ""},
        {**IDS, "ot-tracer-traceid": "0"},
        {**IDS, "ot-tracer-spanid": "0" * 16},
        {**IDS, "ot-tracer-traceid": TRACE + "0"},
        {**IDS, "ot-tracer-spanid": SPAN + "0"},
        {**IDS, "ot-tracer-traceid": "x"},
        {**IDS, "ot-tracer-traceid": "1_0"},
        {**IDS, "ot-tracer-traceid": "1-1"},
        {**IDS, "ot-tracer-spanid": "\u0661"},
        {**IDS, "ot-tracer-spanid": [SPAN, SPAN]},
    ],
)
def test_garbage_changes_nothing_and_baggage_goes_with_it(headers):
    before = current_span()
    assert FORMAT.extract({**headers, "ot-tracer-sampled": "true", "ot-baggage-a": "1"}, before) is before


@pytest.mark.parametrize(
    ("context", "headers"),
    [
        (current_span(), {**IDS, "ot-tracer-sampled": "true"}),
        (current_span(flags=3), {**IDS, "ot-tracer-sampled": "true"}),
        (current_span(flags=2), {**IDS, "ot-tracer-sampled": "false"}),
        (with_span(RemoteSpan(TRACE_ID, SPAN_ID, 0, None, True), Context()), IDS),
        (
            current_span(0xA1, 0xB2, 0),
            {
                "ot-tracer-traceid": f"{0xA1:016x}",
                "ot-tracer-spanid": f"{0xB2:016x}",
                "ot-tracer-sampled": "false",
            },
        ),
        (current_span(1 << 64), {}),
        (baggage.set_baggage("a", "1", Context()), {}),
    ],
)
def test_inject(context, headers):
    assert injected(FORMAT, context) == headers


def test_baggage_travels_raw_and_only_as_legal_header_text():
    context = current_span()
    for key, value in {"a": "1 %41,;", "bad key": "2", "b": "\u00e9", "c": "x\r\nEvil: 1", "n": 7}.items():
        context = baggage.set_baggage(key, value, context)
    headers = injected(FORMAT, context)
    assert headers == {**IDS, "ot-tracer-sampled": "true", "ot-baggage-a": "1 %41,;", "ot-baggage-n": "7"}
    assert dict(baggage.get_all(FORMAT.extract(headers))) == {"a": "1 %41,;", "n": "7"}


def test_illegal_baggage_is_skipped_on_the_way_in():
    headers = {
        **IDS,
        "OT-Baggage-a": "1",
        "ot-baggage-b c": "2",
        "ot-baggage-d": "\u00e9\n",
        "ot-baggage-": "3",
    }
    assert dict(baggage.get_all(FORMAT.extract(headers))) == {"a": "1"}


def test_a_getter_that_cannot_list_is_enough_for_the_span():
    class Getter:
        def get(self, carrier, key):
            return [carrier[key]] if key in carrier else []

    assert set(FORMAT.extract({**IDS, "ot-baggage-a": "1"}, getter=Getter())) == {SPAN_KEY}
