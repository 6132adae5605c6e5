"""Which valid settings the doctor takes for mistakes, and which it leaves alone."""

from __future__ import annotations

import pytest

from autotrace.cli.doctor.mistakes import mistakes, names_in_vain
from autotrace.settings import parse

OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
JAEGER = "OTEL_EXPORTER_JAEGER_ENDPOINT"
ZIPKIN = "OTEL_EXPORTER_ZIPKIN_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"


def found(**environ):
    return {fact.name: fact.advice for fact in mistakes(parse(environ))}


@pytest.mark.parametrize(
    ("environ", "name", "advice"),
    [
        ({OTLP: "http://b:4317"}, "wrong port", "Use port 4318, or OTEL_EXPORTER_OTLP_PROTOCOL=grpc."),
        ({OTLP: "b:4318", PROTOCOL: "grpc"}, "wrong port", f"Use port 4317, or {PROTOCOL}=http/protobuf."),
        (
            {JAEGER: "http://b:6831/api/traces"},
            "wrong port",
            "Use OTEL_EXPORTER_JAEGER_AGENT_PORT=6831, or a collector's port for HTTP (14268).",
        ),
        (
            {OTLP: "http://b:6832"},
            "wrong port",
            "Use OTEL_EXPORTER_JAEGER_AGENT_PORT=6832, or a collector's port for HTTP (4318).",
        ),
        ({JAEGER: "http://b:14250/api/traces"}, "wrong port", "Use port 14268."),
        ({JAEGER: "http://b:14268"}, "wrong path", f"Set {JAEGER} to the URL with /api/traces at its end."),
        ({ZIPKIN: "http://b:9411"}, "wrong path", f"Set {ZIPKIN} to the URL with /api/v2/spans at its end."),
        ({TRACES: "http://b:4318"}, "wrong path", f"Set {TRACES} to the URL with /v1/traces at its end."),
        ({OTLP: "http://b/v1/traces"}, "path given twice", f"Leave /v1/traces out of {OTLP}."),
        ({TRACES: "http://b/v1/traces/v1/traces/"}, "path given twice", f"Leave /v1/traces out of {TRACES}."),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, "switched off", None),
        ({"OTEL_TRACES_EXPORTER": "none"}, "switched off", None),
        ({"OTEL_SDK_DISABLED": "true"}, "switched off", None),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"}, "switched off", None),
    ],
)
def test_a_mistake_is_named_with_what_to_do(environ, name, advice):
    (variable,) = [variable for variable in environ if variable != PROTOCOL]
    assert found(**environ) == {name: advice or f"Remove {variable}, if you want traces."}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {OTLP: "http://b:4318"},
        {OTLP: "http://b:4317", PROTOCOL: "grpc"},
        {OTLP: "https://b/otlp"},
        {OTLP: "http://b:4317", "OTEL_TRACES_EXPORTER": "local"},
        {TRACES: "http://b:4318/v1/traces"},
        {JAEGER: "http://b:14268/api/traces"},
        {"OTEL_EXPORTER_JAEGER_AGENT_HOST": "b", "OTEL_EXPORTER_JAEGER_AGENT_PORT": "6831"},
        {ZIPKIN: "http://b:9411/api/v2/spans"},
        {ZIPKIN: "https://b/zipkin"},
    ],
)
def test_what_is_right_is_left_alone(environ):
    assert found(**environ) == {}


def test_names_that_nobody_knows():
    environ = dict.fromkeys(
        [
            "OTEL_SERVICE_NAMES",
            "OTEL_PYTHON_FLASK_EXCLUDED_URLS",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            "OTEL_BLRP_SCHEDULE_DELAY",
            "OTEL_METRICS_EXPORTER",
            "OTEL_QQQ",
            "SERVICE_NAME",
        ],
        "x",
    )
    assert [(fact.value, fact.wrong) for fact in names_in_vain(environ)] == [
        ("OTEL_QQQ is unknown to autotrace", False),
        ("OTEL_SERVICE_NAMES: did you mean OTEL_SERVICE_NAME?", True),
    ]
