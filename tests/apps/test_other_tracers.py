"""Beside the tracers of others, as their users attach them: every span once, and a line that says whose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from programs import Sandbox
from required import missing

pytestmark = pytest.mark.slow

CACHE = Path(__file__).parents[2] / ".cache" / "other tracers"
PACKAGES = (
    "ddtrace>=4",
    "newrelic>=10",
    "elastic-apm>=6.20",
    "logfire[flask,requests]>=4",
    "sentry-sdk>=2",
    "flask>=3",
)
STAYS_OFF = "traces this program: autotrace stays off; start it with one of them alone"

PROGRAM = """
    import os, requests
    from flask import Flask

    app = Flask("web")

    @app.get("/users/<int:number>")
    def user(number):
        return requests.get(os.environ["ECHO"]).text

    with app.test_client() as client, client.get("/users/7") as response:
        print(response.status_code)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The `bin` of an environment that has them all, and autotrace as users install it: not editable."""
    place = CACHE / f"{sys.version_info[0]}.{sys.version_info[1]}"
    python = place / "bin" / "python"
    root = Path(__file__).parents[2]
    if not (place / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        done = subprocess.run([*pip, *PACKAGES], check=False, capture_output=True, text=True, timeout=600)
        if done.returncode:
            missing(f"the other tracers cannot be installed: {done.stderr[-500:]}")
        (place / "complete").touch()
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--force-reinstall", str(root)], check=True, timeout=300)
    return place / "bin"


@pytest.fixture
def beside(environment, tmp_path, echo_url):
    """A sandbox whose commands are those of that environment."""
    sandbox = Sandbox(
        tmp_path,
        ECHO=echo_url,
        OTEL_SERVICE_NAME="web",
        DD_TRACE_AGENT_URL="http://127.0.0.1:9",
        DD_TRACE_STARTUP_LOGS="false",
        DD_REMOTE_CONFIGURATION_ENABLED="false",
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
        NEW_RELIC_DEVELOPER_MODE="true",
        NEW_RELIC_LICENSE_KEY="0123456789012345678901234567890123456789",
        NEW_RELIC_APP_NAME="web",
        ELASTIC_APM_SERVER_URL="http://127.0.0.1:9",
        ELASTIC_APM_CLOUD_PROVIDER="none",
    )
    sandbox.environ["PATH"] = f"{environment}:{sandbox.environ['PATH']}"
    sandbox.write("program.py", PROGRAM)
    return sandbox


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("autotrace-run ddtrace-run", f"autotrace: ddtrace {STAYS_OFF}"),
        ("ddtrace-run autotrace-run", f"autotrace: ddtrace {STAYS_OFF}"),
        ("autotrace-run newrelic-admin run-program", f"autotrace: newrelic {STAYS_OFF}"),
        ("newrelic-admin run-program autotrace-run", f"autotrace: newrelic {STAYS_OFF}"),
        ("elasticapm-run autotrace-run", f"autotrace: elasticapm {STAYS_OFF}"),
        (
            "autotrace-run elasticapm-run",
            "autotrace-run: not traced: elasticapm-run keeps other tracers out; ",
        ),
        ("autotrace-run opentelemetry-instrument", f"autotrace: opentelemetry-instrument {STAYS_OFF}"),
    ],
)
def test_where_another_is_attached_we_stay_off_and_say_so(command, line, beside, arrivals):
    variables = dict(arrivals.environ)
    if "opentelemetry-instrument" in command:
        variables["OTEL_TRACES_EXPORTER"] = variables["OTEL_METRICS_EXPORTER"] = "none"
    done = beside.execute(*command.split(), "python", "program.py", **variables)
    assert (done.code, done.out.splitlines()[-1]) == (0, "200"), done.err
    said = [f"autotrace: {text}" for text in done.said] + done.err.splitlines()
    assert sum(text.startswith(line) for text in said) == 1, said
    assert not [span for span in arrivals.spans if span.scope.startswith("autotrace")]


SENTRY = """
    import os, requests, sentry_sdk
    from flask import Flask

    events = []
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        traces_sample_rate=1.0,
        before_send_transaction=lambda event, hint: events.append(event["transaction"]),
    )
    app = Flask("web")

    @app.get("/users/<int:number>")
    def user(number):
        return requests.get(os.environ["ECHO"]).text

    with app.test_client() as client, client.get("/users/7") as response:
        pass
    print(response.status_code, events)
"""


def test_sentry_beside_us(beside, arrivals):
    beside.write("program.py", SENTRY)
    done = beside.execute("autotrace-run", "python", "program.py", **arrivals.environ)
    assert (done.code, done.out.splitlines()[-1]) == (0, "200 ['user']"), done.err
    assert [(span.kind, span.name) for span in arrivals.spans] == [
        ("SERVER", "GET /users/<int:number>"),
        ("CLIENT", "GET"),
    ]


LOGFIRE = """
    import logfire, os, requests
    from flask import Flask

    logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False)
    app = Flask("web")
    logfire.instrument_flask(app)

    @app.get("/users/<int:number>")
    def user(number):
        with logfire.span("look up"):
            return requests.get(os.environ["ECHO"]).text

    with app.test_client() as client, client.get("/users/7") as response:
        print(response.status_code)
"""


def test_logfire_beside_us(beside, arrivals):
    """It sets a provider of its own, which serves its spans; ours go on beside it, in the same trace."""
    beside.write("program.py", LOGFIRE)
    done = beside.execute(
        *("autotrace-run", "python", "program.py"), **arrivals.environ, OTEL_METRICS_EXPORTER="none"
    )
    assert (done.code, done.out) == (0, "200\n"), done.err
    spans = arrivals.spans
    assert [span.kind for span in spans].count("SERVER") == 1
    assert len({span.trace_id for span in spans}) == 1
    assert ("CLIENT", "GET") in {(span.kind, span.name) for span in spans}
    assert len({(span.kind, span.name) for span in spans}) == len(spans), "nothing twice"
