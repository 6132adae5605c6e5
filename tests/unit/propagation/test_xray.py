from __future__ import annotations

import pytest
from headers import SPAN, SPAN_ID, TRACE, TRACE_ID, current_span, extracted, injected
from opentelemetry.context import Context

from autotrace.propagation.tracestate import TraceState
from autotrace.propagation.xray import XRay
from autotrace.tracing.context import with_span
from autotrace.tracing.remote import RemoteSpan

FORMAT = XRay()
ROOT = f"Root=1-{TRACE[:8]}-{TRACE[8:]}"
PARENT = f"Parent={SPAN}"


@pytest.mark.parametrize(
    ("header", "flags", "deferred"),
    [
        (f"{ROOT};{PARENT};Sampled=1", 1, False),
        (f"{ROOT};{PARENT};Sampled=0", 0, False),
        (f"{ROOT};{PARENT};Sampled=?", 0, True),
        (f"{ROOT};{PARENT}", 0, True),
        (f"Sampled=1;{PARENT};{ROOT}", 1, False),
        (f" {ROOT} ; {PARENT} ; Sampled = 1 ; ", 1, False),
        (f"Self=1-67891234-12456789abcdef012345678;{ROOT};{PARENT};Sampled=1;Lineage=a:1|b:2", 1, False),
        (f"{ROOT};{PARENT};Sampled=1;novalue;k=a=b", 1, False),
        (f"{ROOT.replace(TRACE[8:], TRACE[8:].upper())};{PARENT};Sampled=1", 1, False),
    ],
)
@pytest.mark.parametrize("name", ["X-Amzn-Trace-Id", "x-amzn-trace-id"])
def test_extract(name, header, flags, deferred):
    assert extracted(FORMAT, {name: header}) == (TRACE_ID, SPAN_ID, flags, deferred)


@pytest.mark.parametrize(
    "header",
    [
        "",
        ";",
        "=",
        f"{ROOT};Sampled=1",
        f"{PARENT};Sampled=1",
        f"{ROOT};Parent=;Sampled=1",
        f"{ROOT};Parent={'0' * 16};Sampled=1",
        f"{ROOT};{PARENT}0;Sampled=1",
        f"{ROOT};{PARENT[:-1]};Sampled=1",
        f"{ROOT};{PARENT};Sampled=2",
        f"{ROOT};{PARENT};Sampled=true",
        f"{ROOT};{PARENT};Sampled=01",
        f"{ROOT}0;{PARENT};Sampled=1",
        f"{ROOT[:-1]};{PARENT};Sampled=1",
        f"Root=1-{'0' * 8}-{'0' * 24};{PARENT};Sampled=1",
        f"Root=2-{TRACE[:8]}-{TRACE[8:]};{PARENT};Sampled=1",
        f"Root=1{TRACE[:8]}{TRACE[8:]};{PARENT};Sampled=1",
        f"Root=1-{TRACE[:8]}-{TRACE[8:-1]}g;{PARENT};Sampled=1",
        f"Root=1-{TRACE[:8]}-+{TRACE[9:]};{PARENT};Sampled=1",
        f"Root=1-{TRACE[:8]}-{TRACE[8:-1]}\u0661;{PARENT};Sampled=1",
        f"{ROOT},{PARENT},Sampled=1",
        [f"{ROOT};{PARENT};Sampled=1", f"{ROOT};{PARENT};Sampled=1"],
        f"{ROOT};{PARENT};Sampled=1;Self={'x' * 5000}",
    ],
)
def test_garbage_changes_nothing(header):
    before = current_span()
    assert FORMAT.extract({"X-Amzn-Trace-Id": header}, before) is before


@pytest.mark.parametrize(
    ("context", "end"),
    [
        (current_span(), ";Sampled=1"),
        (current_span(flags=2), ";Sampled=0"),
        (current_span(trace_state=TraceState([("a", "1")])), ";Sampled=1"),
        (with_span(RemoteSpan(TRACE_ID, SPAN_ID, 0, None, True), Context()), ""),
    ],
)
def test_inject(context, end):
    assert injected(FORMAT, context) == {"X-Amzn-Trace-Id": f"{ROOT};{PARENT}{end}"}


def test_the_example_of_the_documentation():
    context = current_span(0x65538F00C0FFEE001122334455667788, 0x1)
    assert injected(FORMAT, context) == {
        "X-Amzn-Trace-Id": "Root=1-65538f00-c0ffee001122334455667788;Parent=0000000000000001;Sampled=1"
    }
