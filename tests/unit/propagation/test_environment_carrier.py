from __future__ import annotations

import os
import subprocess
import sys

import pytest
from headers import SPAN, SPAN_ID, TRACE, TRACE_ID, current_span, ids
from opentelemetry import baggage
from opentelemetry.context import Context

from autotrace.propagation.environment import GETTER, SETTER, for_child, normal_name, read
from autotrace.propagation.registry import BUILT_IN, build
from autotrace.tracing.context import SPAN_KEY
from autotrace.tracing.remote import DECISION_KEY

TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
XRAY = f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN};Sampled=1"
DEFAULT = build(["tracecontext", "baggage"])


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("traceparent", "TRACEPARENT"),
        ("tracestate", "TRACESTATE"),
        ("baggage", "BAGGAGE"),
        ("b3", "B3"),
        ("x-b3-traceid", "X_B3_TRACEID"),
        ("X-B3-TraceId", "X_B3_TRACEID"),
        ("uber-trace-id", "UBER_TRACE_ID"),
        ("X-Amzn-Trace-Id", "X_AMZN_TRACE_ID"),
        ("ot-tracer-spanid", "OT_TRACER_SPANID"),
        ("", "_"),
        ("3b", "_3B"),
        ("_a", "_A"),
        ("a.b c=d", "A_B_C_D"),
        ("\u00e9\u00df\u0131\u0661", "____"),
    ],
)
def test_key_normalisation(key, name):
    assert normal_name(key) == name
    assert normal_name(name) == name


def test_only_normal_names_are_read_and_listed():
    environ = {
        "traceparent": TRACEPARENT,
        "Path": "x",
        "3B": "x",
        "_A1": "x",
        "UBERCTX_A": "1",
        "uberctx-a": "1",
        "": "",
    }
    assert GETTER.get(environ, "traceparent") is None
    assert GETTER.keys(environ) == ["_A1", "UBERCTX_A"]
    assert read(environ, build(list(BUILT_IN))) == {}


def test_setter_normalises():
    environ = {}
    SETTER.set(environ, "x-b3-traceid", "1")
    assert environ == {"X_B3_TRACEID": "1"}


def test_read():
    context = read({"TRACEPARENT": TRACEPARENT, "TRACESTATE": "a@=1", "BAGGAGE": "k=v"}, DEFAULT)
    assert ids(context) == (TRACE_ID, SPAN_ID, 1, False)
    assert context[SPAN_KEY].trace_state.to_header() == "a@=1"
    assert dict(baggage.get_all(context)) == {"k": "v"}
    assert read({"B3": "0"}, build(["b3"])) == {DECISION_KEY: False}
    assert read({"TRACEPARENT": "garbage", "BAGGAGE": "\udcff"}, DEFAULT) == {}


def test_the_variable_of_lambda_counts_when_nothing_else_does():
    both = build(["xray", "tracecontext"])
    assert ids(read({"_X_AMZN_TRACE_ID": XRAY}, both)) == (TRACE_ID, SPAN_ID, 1, False)
    assert ids(read({"_X_AMZN_TRACE_ID": XRAY, "TRACEPARENT": f"00-{1:032x}-{2:016x}-00"}, both)) == (
        1,
        2,
        0,
        False,
    )
    other = "Root=1-00000000-000000000000000000000001;Parent=0000000000000002;Sampled=0"
    assert ids(read({"_X_AMZN_TRACE_ID": XRAY, "X_AMZN_TRACE_ID": other}, both)) == (1, 2, 0, False)
    assert read({"_X_AMZN_TRACE_ID": XRAY}, DEFAULT) == {}
    assert read({"_X_AMZN_TRACE_ID": "garbage"}, both) == {}


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name != "baggage"])
@pytest.mark.parametrize("flags", [0, 1])
def test_round_trip_through_the_environment(name, flags):
    propagator = build([name])
    environ = {"PATH": "/bin"}
    child = for_child(environ, propagator, current_span(0xABC, 0xDEF, flags))
    assert environ == {"PATH": "/bin"}
    assert child["PATH"] == "/bin"
    assert ids(read(child, propagator)) == (0xABC, 0xDEF, flags, False)


def test_a_new_context_replaces_all_of_an_inherited_one():
    inherited = {"TRACEPARENT": "old", "TRACESTATE": "old=1", "BAGGAGE": "old=1", "B3": "old", "OTHER": "1"}
    assert for_child(inherited, DEFAULT, current_span()) == {
        "TRACEPARENT": TRACEPARENT,
        "BAGGAGE": "old=1",
        "B3": "old",
        "OTHER": "1",
    }
    assert for_child(inherited, DEFAULT, Context()) == inherited


def test_a_child_process_finds_its_parent():
    program = """
import os
from autotrace.propagation.environment import read
from autotrace.propagation.registry import build
from autotrace.tracing.context import SPAN_KEY
span = read(os.environ, build(["tracecontext"]))[SPAN_KEY]
print(f"{span.trace_id:032x} {span.span_id:016x} {os.environ['TRACEPARENT']}")
"""
    before = dict(os.environ)
    child = for_child(os.environ, DEFAULT, current_span())
    output = subprocess.run(
        [sys.executable, "-c", program], env=child, check=True, capture_output=True, timeout=60
    )
    assert output.stdout.decode().split() == [TRACE, SPAN, TRACEPARENT]
    assert dict(os.environ) == before
