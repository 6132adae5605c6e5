"""Samplers set by the operator, in programs started as users start them."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from http_backend import answer
from programs import backend, collector

SHOP = """
    import sqlite3, sys
    from flask import Flask

    app = Flask("shop")

    @app.get("/health")
    def health():
        return str(sqlite3.connect(":memory:").execute("SELECT 1").fetchone())

    @app.get("/users/<int:number>")
    def user(number):
        return str(sqlite3.connect(":memory:").execute("SELECT 2").fetchone())

    client = app.test_client()
    for path in sys.argv[1:]:
        assert client.get(path).status_code == 200
"""


def names(arrivals):
    return Counter(span.name for span in arrivals.spans)


def test_rules_drop_requests_with_all_that_is_below_them(sandbox, arrivals):
    sandbox.write("shop.py", SHOP)
    done = sandbox.run(
        *("shop.py", "/health", "/users/1", "/health", "/users/2"),
        **arrivals.environ,
        OTEL_TRACES_SAMPLER="rules",
        OTEL_TRACES_SAMPLER_ARG="drop=/health; ratio=1@/users/{id}; fallback=always_off",
    )
    assert (done.code, done.said) == (0, [])
    assert names(arrivals) == {"GET /users/<int:number>": 2, "SELECT": 2}


def test_a_bad_rule_is_one_line(sandbox, arrivals):
    sandbox.write("shop.py", SHOP)
    done = sandbox.run(
        *("shop.py", "/health"),
        **arrivals.environ,
        OTEL_TRACES_SAMPLER="rules",
        OTEL_TRACES_SAMPLER_ARG="dorp=/health",
    )
    assert done.code == 0
    (line,) = done.said
    assert line.startswith(
        "OTEL_TRACES_SAMPLER_ARG: the rule 'dorp=/health' is left out: 'dorp' is none of drop,"
    )
    assert names(arrivals) == {"GET /health": 1, "SELECT": 1}


def test_a_rate_keeps_whole_traces(sandbox, arrivals):
    sandbox.write("shop.py", SHOP)
    done = sandbox.run(
        *("shop.py", *["/users/1"] * 200),
        **arrivals.environ,
        OTEL_TRACES_SAMPLER="rate_limited",
        OTEL_TRACES_SAMPLER_ARG="5",
    )
    assert (done.code, done.said) == (0, [])
    found = names(arrivals)
    assert found["GET /users/<int:number>"] == found["SELECT"]
    assert sum(found.values()) / 2 <= 5 * (1 + done.seconds)


def strategies(**operations: float) -> bytes:
    listed = [
        {"operation": name, "probabilisticSampling": {"samplingRate": rate}}
        for name, rate in operations.items()
    ]
    text = {
        "strategyType": "PROBABILISTIC",
        "operationSampling": {"defaultSamplingProbability": 0, "perOperationStrategies": listed},
    }
    return answer(200, json.dumps(text).encode())


PATIENT = """
    import sys, time
    import shop
    from opentelemetry import trace

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with trace.get_tracer("test").start_as_current_span("kept") as span:
            if span.is_recording():
                break
        time.sleep(0.01)
    shop.client.get("/users/1")
    shop.client.get("/health")
"""


@pytest.mark.parametrize("prefix", ["", "parentbased_"])
def test_a_jaeger_backend_decides(sandbox, arrivals, prefix):
    sandbox.write("shop.py", SHOP)
    sandbox.write("patient.py", PATIENT)
    with backend(strategies(**{"GET /users/{id}": 1, "kept": 1})) as jaeger:
        done = sandbox.run(
            "patient.py",
            **arrivals.environ,
            OTEL_TRACES_SAMPLER=f"{prefix}jaeger_remote",
            OTEL_TRACES_SAMPLER_ARG=f"endpoint={jaeger.url('')},initialSamplingRate=0",
        )
    assert (done.code, done.said) == (0, [])
    assert names(arrivals) == {"kept": 1, "GET /users/<int:number>": 1, "SELECT": 1}
    (request,) = jaeger.received
    assert request.line == "GET /sampling?service=app HTTP/1.1"
    assert "traceparent" not in request.headers
    (span,) = [span for span in arrivals.spans if span.kind == "SERVER"]
    assert (span.attributes["sampler.type"], span.attributes["sampler.param"]) == ("probabilistic", 1.0)


FORKING = """
    import os, time
    from opentelemetry import trace

    def wait_for(name):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with trace.get_tracer("test").start_as_current_span(name) as span:
                if span.is_recording():
                    return
            time.sleep(0.01)

    wait_for("parent")
    child = os.fork()
    if not child:
        wait_for("child")
        raise SystemExit
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_child_asks_for_itself(sandbox, arrivals):
    sandbox.write("forking.py", FORKING)
    with backend(strategies(parent=1), strategies(child=1)) as jaeger:
        done = sandbox.run(
            *("-W", "error", "forking.py"),
            **arrivals.environ,
            OTEL_TRACES_SAMPLER="jaeger_remote",
            OTEL_TRACES_SAMPLER_ARG=f"endpoint={jaeger.url('')},initialSamplingRate=0",
        )
    assert (done.code, done.said, done.err) == (0, [], "")
    assert names(arrivals) == {"parent": 1, "child": 1}
    assert len(jaeger.received) == 2


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (answer(500), "http 500"),
        (answer(404, b"<html>"), "http 404"),
        (answer(200, b"<html>"), "the answer is not JSON"),
        (answer(200, b'{"strategyType":"NEW"}'), "the answer is of an unknown strategyType"),
        (b"", "connection closed by the backend"),
    ],
)
def test_a_bad_answer_is_one_line_and_the_initial_rate_stays(sandbox, arrivals, given, reason):
    sandbox.write(
        "program.py",
        """
        import time
        from opentelemetry import trace

        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            trace.get_tracer("test").start_span("kept").end()
            time.sleep(0.01)
        """,
    )
    with backend(given) as jaeger:
        done = sandbox.run(
            "program.py",
            **arrivals.environ,
            OTEL_TRACES_SAMPLER="jaeger_remote",
            OTEL_TRACES_SAMPLER_ARG=f"endpoint={jaeger.url('')},initialSamplingRate=1,pollingIntervalMs=50",
        )
    url = jaeger.url("/sampling")
    assert (done.code, done.err) == (0, "")
    assert done.said == [f"no sampling strategy from {url}: {reason}; what was in force stays"]
    assert len(jaeger.received) > 1
    assert set(names(arrivals)) == {"kept"}


def test_a_backend_that_never_answers_delays_nothing(sandbox):
    def silence(connection):
        connection.recv(1)
        jaeger.over.wait(60)

    sandbox.write(
        "program.py", "from opentelemetry import trace; trace.get_tracer('t').start_span('a').end()"
    )
    with collector() as arrivals, backend(silence) as jaeger:
        done = sandbox.run(
            "program.py",
            **arrivals.environ,
            OTEL_TRACES_SAMPLER="jaeger_remote",
            OTEL_TRACES_SAMPLER_ARG=f"endpoint={jaeger.url('')},initialSamplingRate=1",
        )
    assert (done.code, done.said) == (0, [])
    assert done.seconds < 8
    assert names(arrivals) == {"a": 1}
