"""`autotrace doctor`, started as users start it, against real backends and interpreters."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sysconfig
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from http_backend import answer, backend
from programs import PYTHON, Sandbox

DOCTOR = str(Path(PYTHON).with_name("autotrace"))


class Report:
    """What the doctor printed with `--json`."""

    def __init__(self, done):
        self.code = done.returncode
        self.text = done.stdout
        assert done.stderr == ""
        content = json.loads(done.stdout)
        self.sections = content["sections"]
        self.problems = {fact["name"]: fact["value"] for fact in content["problems"]}
        assert content["ok"] == (not self.problems)
        assert self.code == (1 if self.problems else 0)
        assert all(fact["advice"] for fact in content["problems"])

    def facts(self, section):
        return {fact["name"]: fact["value"] for fact in self.sections[section]}


def run(sandbox, *words, **variables):
    return subprocess.run(
        [DOCTOR, "doctor", *words],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**sandbox.environ, "PYTHONIOENCODING": "utf-8", **variables},
        cwd=sandbox.directory,
        timeout=100,
    )


def report(sandbox, *words, **variables):
    return Report(run(sandbox, "--json", *(words or (sandbox.python,)), **variables))


NEEDED = ("opentelemetry", "wrapt", "typing_extensions", "importlib_metadata", "zipp")


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """An environment that has what autotrace needs, and no library to trace."""
    directory = tmp_path_factory.mktemp("venv")
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(directory)], check=True)
    (site,) = directory.glob("lib/python*/site-packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name.startswith(NEEDED):
            (site / path.name).symlink_to(path)
    return directory


@pytest.fixture
def sandbox(tmp_path, venv):
    sandbox = Sandbox(tmp_path)
    sandbox.python = str(venv / "bin" / "python")
    return sandbox


@contextmanager
def refusing_port():
    """Nobody listens there, and nobody else gets it meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def script(path, first_lines):
    path.write_text(f"{first_lines}\nraise SystemExit('the program was run')\n")
    path.chmod(0o755)
    return str(path)


# All is well.


def test_one_span_is_sent_by_the_program_s_interpreter_and_the_report_says_so(sandbox, arrivals, venv):
    command = ["autotrace-run", "--service_name", "shop", str(venv / "bin" / "python"), "app.py", "--json"]
    done = run(sandbox, *command, **arrivals.environ)
    (span,) = arrivals.spans
    assert (span.name, span.service, span.scope) == ("autotrace doctor", "shop", "autotrace.doctor")
    assert span.resource["process.executable.name"] == "python"
    assert (done.returncode, done.stderr) == (0, "")
    lines = {" ".join(line.split()) for line in done.stdout.splitlines()}
    endpoint = f"{arrivals.environ['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/traces"
    assert lines >= {
        "Interpreter",
        f"interpreter {venv}/bin/python",
        f"environment {venv}",
        "OTEL_SERVICE_NAME shop (launcher option)",
        "OTEL_TRACES_EXPORTER otlp (environment)",
        f"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT {endpoint} (environment: OTEL_EXPORTER_OTLP_ENDPOINT)",
        "OTEL_PROPAGATORS tracecontext,baggage (default)",
        f"otlp {endpoint}: accepts connections, answers in HTTP (GET: 200)",
        f"otlp {endpoint}: the test span was accepted, trace {span.trace_id}",
        "Nothing is wrong, as far as can be seen from here.",
    }
    assert any(line.startswith("standard library") and "sqlite3" in line for line in lines)


def test_without_a_command_or_a_backend_the_local_store_is_tried(sandbox):
    found = Report(run(sandbox, "--json"))
    (flask,) = [value for name, value in found.facts("libraries").items() if name.startswith("flask 3")]
    assert flask == "instrumented"
    assert "no command given" in found.facts("interpreter")["interpreter"]
    store = str(sandbox.directory / "home" / "traces.db")
    (fact,) = found.facts("test span").values()
    assert fact.startswith(f"{store}: the test span was written and read back, trace ")
    assert "endpoints" not in found.sections


def test_every_exporter_sends_its_span(sandbox, arrivals):
    with backend() as zipkin, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        agent.settimeout(30)
        found = report(
            sandbox,
            OTEL_TRACES_EXPORTER="otlp,zipkin,jaeger,console",
            OTEL_EXPORTER_OTLP_ENDPOINT=arrivals.environ["OTEL_EXPORTER_OTLP_ENDPOINT"],
            OTEL_EXPORTER_ZIPKIN_ENDPOINT=zipkin.url("/api/v2/spans"),
            OTEL_EXPORTER_JAEGER_AGENT_HOST="127.0.0.1",
            OTEL_EXPORTER_JAEGER_AGENT_PORT=str(agent.getsockname()[1]),
        )
        assert b"autotrace doctor" in agent.recv(65000)
        assert [json.loads(request.body)[0]["name"] for request in zipkin.received if request.body] == [
            "autotrace doctor"
        ]
    assert found.problems == {}
    assert list(found.facts("endpoints")) == ["otlp", "zipkin", "jaeger"]
    assert list(found.facts("test span")) == ["otlp", "zipkin", "jaeger", "console"]
    assert "datagrams are not answered" in found.facts("test span")["jaeger"]
    assert len(arrivals.spans) == 1


# The backend.


def test_a_port_where_nobody_listens_is_named_once(sandbox):
    with refusing_port() as port:
        found = report(sandbox, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
    url = f"http://127.0.0.1:{port}/v1/traces"
    assert found.problems == {"otlp": f"{url}: connection refused"}
    assert found.facts("test span")["otlp"] == f"{url}: the test span did not arrive: connection refused"


def test_a_backend_that_refuses_the_span_is_quoted(sandbox):
    refusal = answer(404, b"no such page", content_type="text/plain")
    with backend(refusal) as served:
        found = report(sandbox, OTEL_EXPORTER_OTLP_ENDPOINT=served.url(""))
        done = run(sandbox, sandbox.python, OTEL_EXPORTER_OTLP_ENDPOINT=served.url(""))
    assert found.problems == {"otlp": f"{served.url()}: the test span did not arrive: http 404"}
    assert done.returncode == 1
    assert done.stdout.endswith(
        "One thing is wrong.\n"
        f"1. otlp: {served.url()}: the test span did not arrive: http 404\n"
        f"   {served.url()} answered 404: no such page. "
        "The backend knows no such path: correct the path of the endpoint.\n"
    )


@pytest.mark.parametrize(
    ("greeting", "seen"),
    [
        (b"\0\0\0\x04\0\0\0\0\0", "the port speaks HTTP/2 alone, as gRPC does"),
        (
            answer(400, b"Client sent an HTTP request to an HTTPS server."),
            "http, but the port speaks TLS",
        ),
        (b"", "accepts connections, and closes them without an answer"),
        (b"220 mail.example ESMTP\r\n", "answers, but not in HTTP"),
    ],
)
def test_who_answers_in_another_protocol_is_recognised(sandbox, greeting, seen):
    with backend(lambda connection: connection.sendall(greeting)) as served:
        found = report(sandbox, OTEL_EXPORTER_ZIPKIN_ENDPOINT=served.url("/api/v2/spans"))
    assert found.problems == {"zipkin": f"{served.url('/api/v2/spans')}: {seen}"}


def test_https_against_a_plain_port_is_recognised(sandbox):
    with backend() as served:
        found = report(sandbox, OTEL_EXPORTER_OTLP_ENDPOINT=served.url("", scheme="https"))
    seen = "https, but the port speaks plain HTTP"
    assert found.problems == {"otlp": f"{served.url(scheme='https')}: {seen}"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_a_port_that_speaks_tls_is_recognised_and_its_certificate_examined(sandbox):
    words = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    alt = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", *words.split(), *alt], cwd=sandbox.directory, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = str(sandbox.directory / "cert.pem")
    context.load_cert_chain(certificate, sandbox.directory / "key.pem")
    with backend(tls=context) as served:
        plain, secure = (served.url("", scheme, "localhost") for scheme in ("http", "https"))
        trusted = {"OTEL_EXPORTER_OTLP_CERTIFICATE": certificate}
        missing = {"OTEL_EXPORTER_OTLP_CERTIFICATE": "gone.pem"}
        seen = [
            report(sandbox, OTEL_EXPORTER_OTLP_ENDPOINT=url, **more).problems.get("otlp", "fine")
            for url, more in [(plain, {}), (secure, {}), (secure, missing), (secure, trusted)]
        ]
    assert seen[:2] == [
        f"{plain}/v1/traces: http, but the port speaks TLS",
        f"{secure}/v1/traces: certificate not trusted",
    ]
    assert seen[2].startswith(f"{secure}/v1/traces: certificate files cannot be used: ")
    assert seen[3] == "fine"


@pytest.mark.slow
def test_a_black_hole_costs_seconds_and_is_named(sandbox):
    over = threading.Event()
    with backend(lambda _connection: over.wait(60)) as served:
        found = report(sandbox, OTEL_EXPORTER_OTLP_ENDPOINT=served.url(""))
        over.set()
    assert found.problems == {"otlp": f"{served.url()}: timed out"}
    assert "did not arrive: timed out" in found.facts("test span")["otlp"]


def test_a_store_that_cannot_be_written_and_an_exporter_that_nobody_knows(sandbox):
    blocked = sandbox.write("blocked", "a file, where a directory is to be")
    found = report(sandbox, AUTOTRACE_HOME=str(blocked), OTEL_TRACES_EXPORTER="local,datadog")
    assert sorted(found.problems) == ["datadog", "local"]
    assert "did not arrive" in found.problems["local"]
    assert "not known" in found.problems["datadog"]


def test_no_secret_is_printed(sandbox):
    with backend(answer(401)) as served:
        address = f"127.0.0.1:{served.port}"
        done = run(
            sandbox,
            sandbox.python,
            "app.py",
            "--api-key=s3cret",
            "--password",
            "s3cret",
            "--db=postgres://me:s3cret@db/shop?key=s3cret",
            OTEL_TRACES_EXPORTER="otlp,jaeger,zipkin",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://user:s3cret@{address}/?token=s3cret",
            OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer s3cret,s3cret",
            OTEL_EXPORTER_JAEGER_ENDPOINT=f"http://user:s3cret@{address}/api/traces?token=s3cret",
            OTEL_EXPORTER_JAEGER_USER="user",
            OTEL_EXPORTER_JAEGER_PASSWORD="s3cret",
            OTEL_EXPORTER_ZIPKIN_ENDPOINT=f"http://user:s3cret@{address}/api/v2/spans",
        )
    assert done.returncode == 1
    assert "http 401" in done.stdout
    assert "app.py '--api-key=***' --password *** --db=postgres://db/shop\n" in done.stdout
    assert "OTEL_EXPORTER_JAEGER_PASSWORD" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


# The settings.


def test_mistakes_are_named_with_what_was_meant(sandbox):
    with refusing_port() as port:
        done = run(
            sandbox,
            sandbox.python,
            AUTOTRACE_ENABLED="false",
            AUTOTRACE_HOEM="elsewhere",
            OTEL_SERVCE_NAME="shop",
            OTEL_METRIC_EXPORT_INTERVAL="1000",
            OTEL_BSP_MAX_QUEUE_SIZE="many",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}/v1/traces",
        )
    assert done.returncode == 1
    advice = done.stdout.partition("things are wrong.\n")[2]
    assert "AUTOTRACE_ENABLED keeps all spans back" in advice
    assert "AUTOTRACE_HOEM is not a setting: did you mean AUTOTRACE_HOME?" in advice
    assert "OTEL_SERVCE_NAME: did you mean OTEL_SERVICE_NAME?" in advice
    assert "OTEL_BSP_MAX_QUEUE_SIZE='many' is not an integer" in advice
    assert "Leave /v1/traces out of OTEL_EXPORTER_OTLP_ENDPOINT." in advice
    assert "METRIC" not in done.stdout


def test_names_that_only_the_program_s_plug_ins_could_know_are_looked_up_there(sandbox):
    done = run(sandbox, sandbox.python, OTEL_TRACES_SAMPLER="ratio", OTEL_PROPAGATORS="b4,tracecontext")
    assert done.returncode == 1
    advice = done.stdout.partition("wrong.\n")[2]
    assert "not valid: OTEL_TRACES_SAMPLER='ratio' is not known: parentbased_always_on is used" in advice
    assert "not valid: OTEL_PROPAGATORS: 'b4' is not known: tracecontext is used" in advice


# The interpreter.


@pytest.mark.parametrize("long", [False, True], ids=["short", "as pip writes for long paths"])
def test_the_interpreter_of_a_console_script_is_looked_at(sandbox, venv, long):
    python = venv / "bin" / "python"
    if long:
        venv = sandbox.directory / "with blanks"
        venv.symlink_to(python.parent.parent)
        python = venv / "bin" / "python"
    first = f"#!/bin/sh\n'''exec' \"{python}\" -E \"$0\" \"$@\"\n' '''" if long else f"#!{python} -E"
    tool = script(sandbox.directory / "gunicorn", first)
    variables = {"PATH": f"{sandbox.directory}{os.pathsep}{sandbox.environ['PATH']}"}
    found = report(sandbox, "gunicorn", "app:app", **variables)
    assert found.problems == {"option": "-E keeps autotrace out"}
    assert found.facts("interpreter")["interpreter"] == f"{python} (from the first line of {tool})"
    assert found.facts("interpreter")["environment"] == str(venv)
    assert "standard library" in found.facts("libraries")


def test_a_command_that_cannot_be_run(sandbox):
    orphan = script(sandbox.directory / "orphan", f"#!{sandbox.directory}/gone/bin/python3")
    script(sandbox.directory / "serve.sh", "#!/bin/bash")
    assert report(sandbox, "no-such-tool").problems == {"interpreter": "no-such-tool: command not found"}
    assert report(sandbox, orphan).problems == {
        "interpreter": f"{sandbox.directory}/gone/bin/python3: command not found"
    }
    shell = report(sandbox, "./serve.sh")
    assert "interpreter" not in shell.problems
    assert shell.facts("interpreter")["interpreter"] == "unknown: ./serve.sh is a script for /bin/bash"


def test_an_interpreter_that_lacks_what_autotrace_needs(sandbox):
    bare = sandbox.directory / "bare"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(bare)], check=True)
    found = report(sandbox, str(bare / "bin" / "python"), "app.py")
    assert found.problems["autotrace"].startswith("could not start, the program runs untraced: ")
    assert "No module named 'opentelemetry" in found.problems["autotrace"]
    assert "libraries" not in found.sections


def test_an_interpreter_that_does_not_answer_as_one(sandbox):
    """Nor one that is too old: all that is known of it is what it tells."""
    (sandbox.directory / "bin").mkdir()
    old = "supported", "version", "environment"
    told = json.dumps(dict(zip(old, (False, "3.8.18", ""))))
    python = sandbox.directory / "bin" / "python3.8"
    python.write_text(f"#!/bin/sh\necho 'autotrace-doctor: {told}'\n")
    python.chmod(0o755)
    found = report(sandbox, str(python), "app.py")
    assert found.problems == {"version": "3.8.18"}
    python.write_text(f'#!/bin/sh\nexec "{sandbox.python}" -E "$@"\n')
    found = report(sandbox, str(python), "app.py", AUTOTRACE_HOEM="x")
    # "not run", or that of the distribution, as Debian has one.
    assert found.problems["autotrace"].startswith("is not started: sitecustomize is ")
    python.write_text("#!/bin/sh\necho no >&2; exit 3\n")
    found = report(sandbox, str(python), "app.py")
    assert found.problems == {"answer": "ended with code 3: no"}


# The libraries.


def test_why_a_library_is_not_traced(sandbox):
    site = "site of flask/flask-1.0.dist-info"
    sandbox.write(f"{site}/METADATA", "Metadata-Version: 2.1\nName: flask\nVersion: 1.0\n")
    sandbox.write("site of flask/flask/app.py", "class Flask: pass")
    sandbox.write("site of flask/flask/__init__.py", "")
    sandbox.write("site of flask/urllib3/__init__.py", "raise SystemExit('broken')")
    found = report(
        sandbox,
        PYTHONPATH=str(sandbox.directory / "site of flask"),
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="sqlite3",
    )
    libraries = found.facts("libraries")
    reason = "unsupported version: version 1.0 is installed, >=2.0 is supported"
    assert found.problems == {"flask 1.0": reason}
    assert libraries["sqlite3"] == "disabled: OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
    assert "sqlite3" not in libraries["standard library"]
    (urllib3,) = [value for name, value in libraries.items() if name.startswith("urllib3")]
    assert urllib3 == "not instrumented: cannot be imported: SystemExit('broken')"


KETTLE_INSTRUMENTOR = """
class KettleInstrumentor:
    is_instrumented_by_opentelemetry = False

    def instrument(self, **kwargs):
        pass
"""


def test_who_serves_a_library_and_what_is_left_out(sandbox):
    """The environment has OpenTelemetry's instrumentors of the tests, and no library they are for."""
    site = sandbox.directory / "site"
    for library in ("kettle", "requests"):
        sandbox.write(f"site/{library}/__init__.py", "")
        sandbox.write(f"site/{library}-2.50.dist-info/METADATA", f"Name: {library}\nVersion: 2.50\n")
        sandbox.write(f"site/{library}-2.50.dist-info/RECORD", f"{library}/__init__.py,,\n")
    sandbox.write("site/kettle_tracing.py", KETTLE_INSTRUMENTOR)
    about = "site/kettle_tracing-1.0.dist-info"
    sandbox.write(f"{about}/METADATA", "Requires-Dist: kettle; extra == 'instruments'\n")
    entry_point = "kettle = kettle_tracing:KettleInstrumentor"
    sandbox.write(f"{about}/entry_points.txt", f"[opentelemetry_instrumentor]\n{entry_point}\n")
    functions = "shop.pricing:*,kettle:boil"
    told = report(sandbox, PYTHONPATH=str(site), AUTOTRACE_TRACE_FUNCTIONS=functions).facts("libraries")
    assert told["kettle 2.50"] == "instrumented: by kettle_tracing"
    served, absent = "opentelemetry-instrumentation-requests", "opentelemetry-instrumentation-flask"
    assert told[served] == "installed, not run: autotrace traces requests itself"
    assert told[absent] == "installed, not run: the library that it is for is not here"
    assert told["functions of shop.pricing"] == "not instrumented: there is no such module"
    assert told["functions of kettle"] == "not instrumented: doctor imports no module of the program"


# Other tracers, as they lay themselves out.

LAYOUTS = {
    "ddtrace": "ddtrace/bootstrap",
    "newrelic": "newrelic/bootstrap",
    "elasticapm": "elasticapm/instrumentation/wrapper",
}
QUERY = "import sqlite3; print(sqlite3.connect(':memory:').execute('SELECT 42').fetchone())"


@pytest.mark.parametrize("tracer", LAYOUTS)
def test_autotrace_stays_off_where_another_tracer_is_attached(sandbox, arrivals, tracer):
    sandbox.write(f"site/{tracer}/__init__.py", "")
    bootstrap = sandbox.write(f"site/{LAYOUTS[tracer]}/sitecustomize.py", f"import {tracer}").parent
    path = f"{bootstrap}{os.pathsep}{sandbox.directory / 'site'}"
    done = sandbox.run("-c", QUERY, **arrivals.environ, PYTHONPATH=path)
    assert (done.code, done.out, done.err) == (0, "(42,)\n", "")
    assert done.said == [
        f"{tracer} traces this program: autotrace stays off; start it with one of them alone"
    ]
    assert arrivals.spans == []

    found = report(sandbox, PYTHONPATH=path)
    assert found.problems == {"other tracer": f"{tracer} is attached: autotrace stays off"}
    assert found.facts("libraries")["sqlite3"] == "not instrumented: another tracer is attached"

    # Its launcher has prepared it, but it has found itself switched off.
    (bootstrap / "sitecustomize.py").write_text("")
    done = sandbox.run("-c", QUERY, **arrivals.environ, PYTHONPATH=path)
    assert (done.out, done.said) == ("(42,)\n", [])
    assert [span.name for span in arrivals.spans] == ["SELECT"]


@pytest.mark.slow
def test_autotrace_stays_off_where_opentelemetry_instruments_everything(sandbox, arrivals):
    """The real one, chained behind our `sitecustomize`."""
    path = Path(sysconfig.get_path("purelib"), "opentelemetry/instrumentation/auto_instrumentation")
    variables = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "PYTHONPATH": str(path)}
    done = sandbox.run("-c", f"import flask; {QUERY}", **variables)
    assert (done.code, done.out) == (0, "(42,)\n")
    name = "opentelemetry-instrument"
    assert done.said == [f"{name} traces this program: autotrace stays off; start it with one of them alone"]
    found = report(sandbox, PYTHON, **variables)
    assert found.problems == {"other tracer": f"{name} is attached: autotrace stays off"}


def test_a_tracer_that_only_lies_there_is_no_obstacle(sandbox, arrivals):
    sandbox.write("site/ddtrace/__init__.py", "")
    done = sandbox.run("-c", f"import ddtrace; {QUERY}", **arrivals.environ, PYTHONPATH="site")
    assert (done.out, done.said, len(arrivals.spans)) == ("(42,)\n", [], 1)


def test_the_launcher_of_another_tracer_is_recognised(sandbox):
    tool = script(sandbox.directory / "ddtrace-run", f"#!{sandbox.python}")
    found = report(sandbox, tool, "python", "app.py")
    assert found.problems == {"other tracer": "ddtrace-run attaches ddtrace"}
