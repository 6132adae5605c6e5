"""Programs under autotrace-run that send to Jaeger as its users do, asked for through Jaeger's query API.

Once against `autotrace ui`, which speaks as Jaeger does, and once against a real Jaeger, v1 or v2, on the
host that `AUTOTRACE_TEST_JAEGER` names, with its usual ports.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any, NamedTuple

import pytest
from network_servers import wait_until
from ui_process import user_interface

from autotrace.backend import ports

VARIABLE = "AUTOTRACE_TEST_JAEGER"

PROGRAM = """
    import logging, sqlite3
    from opentelemetry import trace

    with trace.get_tracer("app").start_as_current_span("work") as span:
        span.set_attributes({"shelf": 7, "share": 0.25, "is_open": True, "name": "Grüße"})
        sqlite3.connect(":memory:").execute("SELECT 1")
        try:
            with trace.get_tracer("app").start_as_current_span("fails"):
                raise ValueError("out of stock")
        except ValueError:
            pass
"""


class Jaeger(NamedTuple):
    """Where it is."""

    host: str
    ports: dict[str, int]

    def get(self, port: str, path: str) -> tuple[int, Any]:
        """Status and decoded body."""
        url = f"http://{self.host}:{self.ports[port]}{path}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture(scope="module", params=["autotrace ui", "jaeger"])
def jaeger(request, tmp_path_factory):
    """The two of them in turn."""
    usual = {port.key: port.number for port in ports.PORTS}
    if request.param == "jaeger":
        if VARIABLE not in os.environ:
            pytest.skip(f"{VARIABLE} names no Jaeger")
        yield Jaeger(os.environ[VARIABLE], usual)
        return
    directory = tmp_path_factory.mktemp("ui")
    strategies = directory / "strategies.json"
    strategies.write_text(json.dumps({"default_strategy": {"type": "probabilistic", "param": 1}}))
    with user_interface(directory / "home", "--sampling-strategies", str(strategies)) as ui:
        yield Jaeger("127.0.0.1", {key: ui.port(key) for key in usual})


WAYS = {
    "thrift over http": (
        ports.JAEGER_HTTP,
        {
            "OTEL_TRACES_EXPORTER": "jaeger",
            "OTEL_EXPORTER_JAEGER_ENDPOINT": "http://{host}:{port}/api/traces",
        },
    ),
    "compact thrift over udp": (
        ports.JAEGER_COMPACT,
        {
            "OTEL_TRACES_EXPORTER": "jaeger",
            "OTEL_EXPORTER_JAEGER_AGENT_HOST": "{host}",
            "OTEL_EXPORTER_JAEGER_AGENT_PORT": "{port}",
        },
    ),
    "binary thrift over udp": (
        ports.JAEGER_BINARY,
        {
            "OTEL_TRACES_EXPORTER": "jaeger",
            "OTEL_EXPORTER_JAEGER_PROTOCOL": "udp/thrift.binary",
            "OTEL_EXPORTER_JAEGER_AGENT_HOST": "{host}",
            "OTEL_EXPORTER_JAEGER_AGENT_PORT": "{port}",
        },
    ),
    "otlp": (ports.OTLP, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://{host}:{port}"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_program_is_found_again(jaeger, way, sandbox):
    port, variables = WAYS[way]
    service = f"autotrace {uuid.uuid4().hex}"
    chosen = {
        name: text.format(host=jaeger.host, port=jaeger.ports[port]) for name, text in variables.items()
    }
    sandbox.write("program.py", PROGRAM)
    done = sandbox.run("program.py", OTEL_SERVICE_NAME=service, **chosen)
    assert (done.code, done.said) == (0, [])

    def found() -> Any:
        status, answer = jaeger.get(
            ports.VIEWER, f"/api/traces?service={urllib.parse.quote(service)}&lookback=1h"
        )
        traces = answer["data"] if status == 200 else []
        return traces if traces and len(traces[0]["spans"]) == 3 else None

    (trace,) = wait_until(found)
    spans = {span["operationName"]: span for span in trace["spans"]}
    assert spans.keys() == {"work", "SELECT", "fails"}
    work = spans["work"]
    for child in ("SELECT", "fails"):
        (reference,) = spans[child]["references"]
        assert (reference["refType"], reference["spanID"]) == ("CHILD_OF", work["spanID"])
    tags = {tag["key"]: tag["value"] for tag in work["tags"]}
    assert (tags["shelf"], tags["share"], tags["is_open"], tags["name"]) == (7, 0.25, True, "Grüße")
    assert {"key": "error", "type": "bool", "value": True} in spans["fails"]["tags"]
    (log,) = spans["fails"]["logs"]
    assert "out of stock" in str(log["fields"])
    assert {process["serviceName"] for process in trace["processes"].values()} == {service}
    assert service in jaeger.get(ports.VIEWER, "/api/services")[1]["data"]


def test_it_says_how_to_sample(jaeger, sandbox, arrivals):
    status, answer = jaeger.get(ports.SAMPLING, "/sampling?service=shop")
    assert status == 200
    rate = answer["probabilisticSampling"]["samplingRate"]
    sandbox.write(
        "program.py",
        """
        import time
        from opentelemetry import trace

        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with trace.get_tracer("app").start_as_current_span("work") as span:
                if span.is_recording():
                    break
            time.sleep(0.01)
        """,
    )
    port = jaeger.ports[ports.SAMPLING]
    done = sandbox.run(
        "program.py",
        **arrivals.environ,
        OTEL_TRACES_SAMPLER="parentbased_jaeger_remote",
        OTEL_TRACES_SAMPLER_ARG=f"endpoint=http://{jaeger.host}:{port},initialSamplingRate=0",
    )
    assert (done.code, done.said) == (0, [])
    (span,) = arrivals.spans
    assert (span.attributes["sampler.type"], span.attributes["sampler.param"]) == ("probabilistic", rate)
