"""Log correlation: fields on every record, formats untouched."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

import pytest
from instrumented import instrumented

FORMAT = "%(message)s|%(otelTraceID)s|%(otelSpanID)s|%(otelServiceName)s|%(otelTraceSampled)s"


@pytest.fixture
def traced():
    with instrumented("logging") as traced:
        yield traced


@pytest.fixture
def output():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(FORMAT))
    logger = logging.getLogger("correlated")
    logger.addHandler(handler)
    logger.propagate = False
    yield stream
    logger.removeHandler(handler)


log = logging.getLogger("correlated")


def test_fields_inside_and_outside_a_span(traced, output):
    with traced.tracer.start_as_current_span("work") as span:
        log.warning("in")
    log.warning("out")
    inside, outside = output.getvalue().splitlines()
    assert inside == f"in|{span.trace_id:032x}|{span.span_id:016x}|test|True"
    assert outside == "out|0|0|test|False"


def test_extra_of_the_same_name_is_the_applications(traced, output):
    log.warning("mine", extra={"otelTraceID": "own", "trace_id": "x", "span_id": "y", "service": "z"})
    assert output.getvalue().startswith("mine|own|0|")


def test_application_with_its_own_record_factory(traced, output):
    original = logging.getLogRecordFactory()

    def factory(*args, **kwargs):
        return original(*args, **kwargs)

    logging.setLogRecordFactory(factory)
    try:
        log.warning("made")
    finally:
        logging.setLogRecordFactory(original)
    assert output.getvalue() == "made|0|0|test|False\n"


def test_configured_on_demand_only():
    program = (
        "import flask, logging\n"
        "logging.getLogger('a').warning('hello')\n"
        "print(len(logging.getLogger().handlers))\n"
    )
    from autotrace.cli.run import bootstrap_directory

    def run(**environ):
        return subprocess.run(
            [sys.executable, "-c", program],
            env={
                "PYTHONPATH": bootstrap_directory(),
                "OTEL_TRACES_EXPORTER": "none",
                "OTEL_SERVICE_NAME": "s",
                **environ,
            },
            capture_output=True,
            text=True,
            check=True,
        )

    plain = run()
    assert (plain.stdout, plain.stderr) == ("0\n", "hello\n")
    configured = run(OTEL_PYTHON_LOG_CORRELATION="true")
    assert configured.stdout == "1\n"
    assert "[trace_id=0 span_id=0 resource.service.name=s trace_sampled=False] - hello" in configured.stderr
