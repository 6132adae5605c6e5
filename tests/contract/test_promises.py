"""The promises of the design, one test for each: it fails when the promise is broken."""

from __future__ import annotations

import re
import resource
import subprocess

import pytest
from programs import BOOTSTRAP, LAUNCHER, PYTHON, collector

from autotrace.cli.run import python_path

# 1. The application always wins.

OBSERVING = """
import concurrent.futures, copy, http.client, inspect, logging, os, pickle, sqlite3, sys, threading, traceback
import urllib.request, warnings
import flask, requests, urllib3
warnings.simplefilter("error")
echo = os.environ["ECHO"]

def failing(function, *arguments, **named):
    try:
        return function(*arguments, **named)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame.line for frame in frames if frame.filename == __file__]
        return type(error).__mro__, str(error)[:60], own, error.__context__ is None

# What they are.
for door in (flask.Flask.wsgi_app, flask.Flask.handle_exception, requests.Session.send, sqlite3.connect,
             urllib3.PoolManager.urlopen, urllib3.HTTPConnectionPool.urlopen, logging.Logger.handle,
             http.client.HTTPConnection.getresponse, urllib.request.OpenerDirector.open,
             threading.Thread.start, concurrent.futures.ThreadPoolExecutor.submit):
    print(door.__name__, door.__qualname__, (door.__doc__ or "")[:40], failing(inspect.signature, door))
    assert pickle.loads(pickle.dumps(door)) is door is copy.deepcopy(door)

# What they do: each thing once, in its order.
app = flask.Flask("shop")
seen = []

@app.before_request
def count():
    seen.append(flask.request.path)

@app.get("/users/<int:number>")
def user(number):
    return f"user {number}"

@app.get("/broken")
def broken():
    raise ValueError("no such thing")

app.config["PROPAGATE_EXCEPTIONS"] = True
client = app.test_client()
with client.get("/users/7") as answer:
    print(answer.status, answer.text, dict(answer.headers))
print(failing(client.get, "/broken"), seen)

statements = []
connection = sqlite3.connect(":memory:", isolation_level=None)
connection.set_trace_callback(statements.append)
print(isinstance(connection, sqlite3.Connection), type(connection).__name__, repr(type(connection)))
cursor = connection.execute("CREATE TABLE users (name TEXT UNIQUE)")
print(isinstance(cursor, sqlite3.Cursor), cursor.connection is connection, cursor.description)
print(cursor.executemany("INSERT INTO users VALUES (?)", ([name] for name in ("ada", "bob"))) is cursor)
print(failing(connection.execute, "INSERT INTO users VALUES ('ada')"), failing(connection.execute))
print(failing(connection.execute, ""), failing(connection.execute, "-- nothing"), failing(sqlite3.connect))
print(connection.execute("SELECT name FROM users").fetchall(), statements)
backup = sqlite3.connect(":memory:")
connection.backup(backup)
print(list(backup.iterdump()))

headers = {"x-mine": "1"}
with requests.Session() as session:
    answer = session.get(echo + "/redirect/2", headers=headers, timeout=10)
    print(answer.status_code, len(answer.history), headers, dict(answer.json())["x-mine"])
print(failing(requests.get, "http://127.0.0.1:1/", timeout=10)[0], failing(requests.get, "nonsense"))
print(failing(urllib.request.urlopen, echo + "/status/404"), failing(urllib.request.urlopen, 7))

def late():
    print(threading.current_thread().name, failing(lambda: 1 / 0))

thread = threading.Thread(target=late, name="helper")
thread.start()
thread.join()
with concurrent.futures.ThreadPoolExecutor(1) as pool:
    print(pool.submit(int, "7").result(), failing(pool.submit(int, "x").result), failing(pool.submit))
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
logging.warning("sold %s", "out")
print(failing(logging.warning, "x", extra={"message": 1}))
sys.exit(5)
"""

SABOTAGE = """
import importlib

def broken(*_arguments, **_named):
    raise RuntimeError("broken on purpose")

for place in %r:
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    target = importlib.import_module("autotrace." + module)
    for owner in owners:
        target = getattr(target, owner)
    assert hasattr(target, name), place
    setattr(target, name, broken)
"""

AT_THE_START = ["bootstrap.start:start"]
INSTALLERS = [
    f"instrumentation.{name}:install" for name in ("flask", "requests", "urllib3", "sqlite3", "threading")
]
WHEN_SPANS_BEGIN = [
    "tracing.tracer:Tracer.start",
    "instrumentation.sqlite3:namespace",
    "instrumentation.logging:correlate",
    "instrumentation.threading:current",
    "instrumentation.concurrent_futures:current",
]
WHEN_SPANS_END = [
    "tracing.span:Span.end",
    "propagation.tracecontext:TraceContext.inject",
    "instrumentation.http_server:HttpServer.finish",
    "instrumentation.http_client:HttpClient.finish",
]


@pytest.mark.parametrize(
    "broken",
    [[], AT_THE_START, INSTALLERS, WHEN_SPANS_BEGIN, WHEN_SPANS_END],
    ids=["whole", "at the start", "installers", "when spans begin", "when spans end"],
)
def test_promise_1_the_application_always_wins(sandbox, arrivals, broken):
    """Whole or broken, we make no difference to what a program sees and says."""
    sandbox.write("app.py", OBSERVING)
    plain = sandbox.run("app.py", traced=False)
    assert plain.code == 5, plain.err
    if broken:  # not before the program has it, as the launcher's interpreter would run it too
        sandbox.write("sabotage/sitecustomize.py", SABOTAGE % broken)
        path = python_path(BOOTSTRAP, str(sandbox.directory / "sabotage"))
        traced = sandbox.run("app.py", traced=False, **arrivals.environ, PYTHONPATH=path)
    else:
        traced = sandbox.run("app.py", **arrivals.environ)
    address = re.compile(r"0x[0-9a-f]+")
    assert address.sub("", traced.out).splitlines() == address.sub("", plain.out).splitlines()
    assert address.sub("", traced.err).splitlines() == address.sub("", plain.err).splitlines()
    assert traced.code == plain.code
    if broken:
        assert traced.said
        assert all("broken on purpose" in line for line in traced.said), traced.said
        assert len(traced.said) <= len(broken) + 1
    else:
        assert traced.said == []
        assert {span.kind for span in arrivals.spans} == {"SERVER", "CLIENT"}


# 2. Nothing is shadowed.


def test_promise_2_nothing_is_shadowed(sandbox, arrivals):
    """The program has packages with names that occur in ours, and a `sitecustomize`: they count."""
    for name in ("wrapt", "notices", "bootstrap"):
        sandbox.write(f"own/{name}.py", "whose = 'the application'")
    sandbox.write("own/sitecustomize.py", "import os; os.environ['STARTED'] = 'by the application'")
    sandbox.write(
        "app.py",
        """
        import os, sys, sitecustomize
        import flask, wrapt, notices, bootstrap
        print(sys.path, sitecustomize.__file__, os.environ["STARTED"])
        print([module.whose for module in (wrapt, notices, bootstrap)])
        child = "import sys, sitecustomize; print(sys.path, sitecustomize.__file__)"
        os.execl(sys.executable, sys.executable, "-c", child)
        """,
    )
    own = str(sandbox.directory / "own")
    plain = sandbox.run("app.py", traced=False, PYTHONPATH=own)
    traced = sandbox.run("app.py", **arrivals.environ, PYTHONPATH=own)
    assert plain.code == 0, plain.err
    assert traced[:4] == plain[:4]


# 3. Import nothing the program did not ask for.

AT_START = {
    "autotrace",
    "autotrace.bootstrap",
    "autotrace.bootstrap.ending",
    "autotrace.instrumentation",
    "autotrace.instrumentation.hooks",
    "autotrace.notices",
    "autotrace.patching",
    "autotrace.patching.finder",
    "autotrace.patching.hook",
    "autotrace.patching.registry",
    "autotrace.settings",
}
"""Besides `__future__`, in a program that imports no library we know."""

BUILT_IN = {"atexit"}
"""Part of the interpreter itself: nothing is read."""

WITH_THE_FIRST_LIBRARY = {
    *AT_START,
    *(
        f"autotrace.bootstrap.{name}"
        for name in ("instrumentors", "opentelemetry_api", "others", "plugins", "resource", "start")
    ),
    "autotrace.forks",
    *(f"autotrace.export{name}" for name in ("", ".build", ".pipeline", ".threads")),
    *(f"autotrace.patching.{name}" for name in ("around", "call", "guard", "patcher", "versions")),
    "autotrace.propagation",
    *(
        f"autotrace.propagation.{name}"
        for name in (
            "baggage",
            "carrier",
            "composite",
            "environment",
            "outgoing",
            "percent",
            "registry",
            "tracecontext",
            "tracestate",
            "xray",
        )
    ),
    *(f"autotrace.sampling{name}" for name in ("", ".build", ".plugin", ".sampler", ".standard")),
    *(
        f"autotrace.settings.{name}"
        for name in ("dependent", "ignored", "kinds", "lists", "model", "names", "reading", "variable")
    ),
    "autotrace.tracing",
    *(
        f"autotrace.tracing.{name}"
        for name in (
            "attributes",
            "block",
            "context",
            "exceptions",
            "ids",
            "limits",
            "provider",
            "remote",
            "resource",
            "scope",
            "span",
            "tracer",
            "unsampled",
        )
    ),
    # Python and the OpenTelemetry API import these libraries, which wake nobody by themselves.
    "autotrace.instrumentation.logging",
    "autotrace.instrumentation.opentelemetry",
    "autotrace.instrumentation.os",
    "autotrace.instrumentation.subprocess",
    "autotrace.instrumentation.threading",
}

_FOR_HTTP = {"http", "http_client", "semconv", "urls"}
_FOR_HTTP_CLIENT = {*_FOR_HTTP, "http_dot_client"}
FOR_ONE_LIBRARY = {
    "flask": {
        *_FOR_HTTP_CLIENT,
        "flask",
        "wsgi",
        "wsgi_server",
        "werkzeug",
        "http_server",
        "urllib",
        "concurrent_futures",
        "carried",
    },
    "wsgiref.handlers": {"http", "semconv", "urls", "wsgiref", "wsgi", "http_server"},
    "requests": {*_FOR_HTTP_CLIENT, "requests", "urllib3", "urllib", "concurrent_futures", "carried"},
    "urllib3": {*_FOR_HTTP_CLIENT, "urllib3", "urllib", "concurrent_futures", "carried"},
    "http.client": _FOR_HTTP_CLIENT,
    "urllib.request": {*_FOR_HTTP_CLIENT, "urllib"},
    "sqlite3": {"sqlite3", "database", "sql", "sql_summary", "sql_tokens"},
    "opentelemetry.trace": set(),
}
"""Instrumentations, by library; some import others that we trace too."""

STANDARD_LIBRARY = {
    "__future__",
    "atexit",
    "bisect",
    "contextlib",
    "dataclasses",
    "math",
    "platform",
    "random",
    "re",
}
"""What else we bring, beyond the OpenTelemetry API and what it imports."""

NEVER = {
    "requests",
    "urllib3",
    "ssl",
    "socket",
    "asyncio",
    "wrapt",
    "opentelemetry.sdk",
    "http.client",
    "sqlite3",
}
"""Unless the library brings it itself."""


def modules(sandbox, statement, traced):
    """What is in `sys.modules` of an interpreter that runs `statement`."""
    code = f"{statement}\nimport sys; print(*sys.modules)"
    environ = {"PYTHONPATH": BOOTSTRAP} if traced else {}
    done = sandbox.run("-c", code, traced=False, **environ, OTEL_TRACES_EXPORTER="otlp")
    assert (done.code, done.err, done.said) == (0, "", [])
    return set(done.out.split())


def test_promise_3_import_nothing_the_program_did_not_ask_for(sandbox):
    added = modules(sandbox, "pass", True) - modules(sandbox, "pass", False)
    assert added - BUILT_IN == {"__future__", *AT_START}


@pytest.mark.parametrize(
    "statement", ["import logging, threading", "import concurrent.futures.thread", "import json"]
)
def test_promise_3_libraries_that_nearly_every_program_imports_wake_nobody(sandbox, statement):
    added = modules(sandbox, statement, True) - modules(sandbox, statement, False)
    assert added - BUILT_IN == {"__future__", *AT_START}


@pytest.mark.parametrize("library", FOR_ONE_LIBRARY)
def test_promise_3_a_library_brings_what_is_listed_and_no_more(sandbox, library):
    traced = modules(sandbox, f"import {library}", True)
    plain = modules(sandbox, f"import {library}", False)
    with_api = modules(sandbox, f"import {library}, opentelemetry.trace", False)
    assert not NEVER & (traced - plain)
    ours = {name for name in traced if name.partition(".")[0] == "autotrace"}
    instrumentations = {f"autotrace.instrumentation.{name}" for name in FOR_ONE_LIBRARY[library]}
    assert ours <= WITH_THE_FIRST_LIBRARY | instrumentations
    assert instrumentations & ours or library == "opentelemetry.trace"
    added = {name.partition(".")[0] for name in traced - with_api} - {"autotrace", "opentelemetry"}
    assert {name for name in added if not name.startswith("_") or name == "__future__"} <= STANDARD_LIBRARY


# 4. One span per operation, named with low cardinality, in the right trace.


def test_promise_4_one_span_per_operation(sandbox, arrivals):
    sandbox.write(
        "app.py",
        """
        import http.client, os, sqlite3, urllib.request
        from urllib.parse import urlsplit
        from wsgiref.handlers import SimpleHandler
        from wsgiref.util import setup_testing_defaults
        import io
        import flask, requests, urllib3

        app = flask.Flask("shop")
        echo = os.environ["ECHO"]
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE users (id INTEGER)")

        @app.get("/users/<int:number>")
        def user(number):
            connection.execute(f"SELECT * FROM users WHERE id = {number}")
            requests.get(f"{echo}/status/200?user={number}", timeout=10)
            urllib3.PoolManager().request("GET", f"{echo}/status/201?user={number}")
            urllib.request.urlopen(f"{echo}/status/202?user={number}").close()
            peer = http.client.HTTPConnection(urlsplit(echo).netloc)
            peer.request("GET", f"/status/203?user={number}")
            peer.getresponse().read()
            peer.close()
            return "ok"

        for number in (1, 2):
            environ = {"PATH_INFO": f"/users/{number}"}
            setup_testing_defaults(environ)
            SimpleHandler(io.BytesIO(), io.BytesIO(), io.StringIO(), environ).run(app)
        """,
    )
    done = sandbox.run("app.py", **arrivals.environ)
    assert (done.code, done.err, done.said) == (0, "", [])
    one_request = """\
app autotrace.wsgiref SERVER GET /users/<int:number>
  app autotrace.sqlite3 CLIENT SELECT users
  app autotrace.urllib3 CLIENT GET
  app autotrace.urllib3 CLIENT GET
  app autotrace.http.client CLIENT GET
  app autotrace.http.client CLIENT GET
"""
    assert arrivals.tree == "app autotrace.sqlite3 CLIENT CREATE TABLE users\n" + one_request * 2
    traces = [span.trace_id for span in arrivals.spans]
    assert [len(set(traces[start : start + 6])) for start in (1, 7)] == [1, 1]
    assert len(set(traces)) == 3


# 5. Bounded everything.


def test_promise_5_bounded_everything(sandbox):
    """Spans of 200 MB in all, and a backend that takes none of it."""
    sandbox.write(
        "app.py",
        """
        import resource
        from opentelemetry import trace
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tracer = trace.get_tracer("app")
        for _ in range(2000):
            with tracer.start_as_current_span("work") as span:
                span.set_attribute("text", "x" * 100_000)
                for number in range(1000):
                    span.set_attribute(f"a{number}", number)
                    span.add_event("e")
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
        """,
    )
    with collector(lambda connection: connection.recv(1)) as dead:
        done = sandbox.run(
            "app.py", **dead.environ, AUTOTRACE_QUEUE_MAX_BYTES="4000000", AUTOTRACE_EXIT_TIMEOUT="300"
        )
    assert (done.code, done.err) == (0, "")
    assert int(done.out) < 60  # MiB
    (lost,) = [line for line in done.said if line.startswith("2000 spans")]
    assert "queue full" in lost
    assert len(done.said) <= 5


# 6. Safe by default.


def test_promise_6_safe_by_default(sandbox, arrivals):
    secrets = ["hunter2", "swordfish", "tOpSeCrEt", "opensesame", "xyzzy", "4111111111111111", "biscuit"]
    sandbox.write(
        "app.py",
        """
        import os, sqlite3, urllib.request
        import flask, requests
        app = flask.Flask("shop")

        @app.post("/pay")
        def pay():
            connection = sqlite3.connect(":memory:")
            connection.execute("CREATE TABLE cards (number TEXT)")
            connection.execute("INSERT INTO cards VALUES ('4111111111111111')")
            connection.execute("SELECT * FROM cards WHERE number = ?", ("4111111111111111",))
            connection.close()
            echo = os.environ["ECHO"].replace("//", "//user:hunter2@")
            requests.get(f"{echo}/status/200?api_key=swordfish&page=2", timeout=10)
            return "paid"

        headers = {"authorization": "tOpSeCrEt", "cookie": "session=biscuit", "x-api-key": "opensesame"}
        with app.test_client().post("/pay?token=xyzzy&page=2", headers=headers) as answer:
            print(answer.text)
        """,
    )
    environ = {
        f"OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_{side}": ".*"
        for side in ("SERVER_REQUEST", "CLIENT_REQUEST")
    }
    done = sandbox.run("app.py", **arrivals.environ, **environ)
    assert (done.code, done.out, done.err, done.said) == (0, "paid\n", "", [])
    assert [span.kind for span in arrivals.spans] == ["SERVER", "CLIENT", "CLIENT", "CLIENT", "CLIENT"]
    assert [secret for secret in secrets if secret.encode() in arrivals.raw] == []
    assert b"page=2" in arrivals.raw
    assert b"REDACTED" in arrivals.raw


# 7. It explains itself.


def test_promise_7_it_explains_itself(sandbox, tmp_path):
    """Each thing that is not as somebody may expect it is one line, that names it."""
    old = tmp_path / "old" / "requests-1.2.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: requests\nVersion: 1.2\n")
    program = """
        import flask, requests, sqlite3
        from opentelemetry.instrumentation.flask import FlaskInstrumentor
        app = flask.Flask("shop")
        FlaskInstrumentor().instrument_app(app)
        sqlite3.connect(":memory:").execute("SELECT 1")
        """
    sandbox.write("app.py", program)
    done = sandbox.run(
        "app.py",
        PYTHONPATH=str(old.parent),
        OTEL_TRACES_EXPORTER="otlp,nonsense",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_BSP_MAX_QUEUE_SIZE="many",
        AUTOTRACE_EXIT_TIMEOUT="300",
    )
    assert (done.code, done.out, done.err) == (0, "", "")
    expected = {
        "a setting": "OTEL_BSP_MAX_QUEUE_SIZE",
        "an exporter": "'nonsense'",
        "a version": "requests is not traced: version 1.2 is installed, >=2.20 is supported",
        "what the application does itself": "autotrace leaves flask to it",
        "that spans do not arrive": "lost on the way to otlp",
    }
    for what, text in expected.items():
        assert len([line for line in done.said if text in line]) == 1, (what, done.said)


def test_promise_7_it_says_where_traces_are(sandbox):
    done = sandbox.run("-c", "import sqlite3; sqlite3.connect(':memory:').execute('SELECT 1')")
    (line,) = done.said
    assert str(sandbox.directory / "home") in line


# 8. Cheap.


def test_promise_8_cheap(sandbox):
    """CPU time over the plain program, several times what is measured on an idle machine."""
    del sandbox.environ["PYTHONDONTWRITEBYTECODE"]

    def cost(*words):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [*words], check=True, env=sandbox.environ, cwd=sandbox.directory, stderr=subprocess.PIPE
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    for statement, bound in (("pass", 0.06), ("import flask, requests, sqlite3", 0.15)):
        words = [PYTHON, "-c", statement]
        runs = [(cost(*words), cost(LAUNCHER, *words)) for _ in range(4)]
        plain, traced = (min(column) for column in zip(*runs))
        assert traced - plain < bound, statement
