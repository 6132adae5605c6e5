"""`AUTOTRACE_DIAGNOSTICS=true`: what a program's operator is told while it runs."""

from __future__ import annotations

import re
import socket

import pytest

QUERY = "import sqlite3; print(sqlite3.connect(':memory:').execute('SELECT 42').fetchone())"
ON = {"AUTOTRACE_DIAGNOSTICS": "true"}


def facts(done):
    assert (done.code, done.err) == (0, "")
    told = [re.fullmatch(r"diagnostics of \d+: (.+)", line) for line in done.said]
    return [line[1] for line in told if line]


def test_start_libraries_and_counts_are_told_in_this_order(sandbox, arrivals):
    secrets = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=s3cret"}
    disabled = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "threading"}
    done = sandbox.run("-c", QUERY, **arrivals.environ, **ON, **secrets, **disabled)
    told = facts(done)
    assert len(done.said) == len(told)
    assert re.fullmatch(r"autotrace [\d.]+ in cpython 3\.[\d.]+, \S+python\S*", told[0])
    assert told[1] == f"spans go to otlp: {arrivals.environ['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/traces"
    assert "OTEL_SERVICE_NAME=app" in told
    assert "OTEL_EXPORTER_OTLP_TRACES_HEADERS=***, because of OTEL_EXPORTER_OTLP_HEADERS" in told
    assert "sqlite3: instrumented (sqlite3)" in told
    assert "threading: disabled: OTEL_PYTHON_DISABLED_INSTRUMENTATIONS" in told
    assert told[-1] == "otlp: 1 made, 1 sent, 0 dropped"
    assert "s3cret" not in str(done)
    assert len(arrivals.spans) == 1


def test_what_was_dropped_is_told_by_reason_and_for_each_exporter(sandbox, arrivals):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = sandbox.run(
            "-c",
            QUERY,
            **ON,
            OTEL_TRACES_EXPORTER="otlp,zipkin",
            OTEL_EXPORTER_OTLP_ENDPOINT=arrivals.environ["OTEL_EXPORTER_OTLP_ENDPOINT"],
            OTEL_EXPORTER_ZIPKIN_ENDPOINT=f"http://127.0.0.1:{taken.getsockname()[1]}/api/v2/spans",
        )
    assert facts(done)[-2:] == [
        "otlp: 1 made, 1 sent, 0 dropped",
        "zipkin: 1 made, 0 sent, 1 dropped (1 connection refused)",
    ]


def test_a_program_without_anything_to_trace_says_so(sandbox):
    start, end = facts(sandbox.run("-c", "print(42)", **ON))
    assert start.startswith("autotrace ")
    assert end == "nothing was instrumented: the program imported no library that autotrace traces"


@pytest.mark.parametrize("setting", ["false", ""])
def test_switched_off_nothing_is_told_and_nothing_loaded(sandbox, arrivals, setting):
    code = f"{QUERY}; import sys; print('autotrace.bootstrap.diagnostics' in sys.modules)"
    done = sandbox.run("-c", code, **arrivals.environ, AUTOTRACE_DIAGNOSTICS=setting)
    assert (done.code, done.out, done.err, done.said) == (0, "(42,)\nFalse\n", "", [])
