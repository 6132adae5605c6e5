"""`autotrace-run python app.py` on whole programs: what arrives, and that the program does not notice."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest
from programs import BOOTSTRAP, PYTHON, Sandbox, backend

from autotrace.cli.run import python_path

SERVER = """
import os, sqlite3, sys, threading
import flask, requests
from werkzeug.serving import make_server

app = flask.Flask("shop")

@app.get("/products/<int:number>")
def product(number):
    answer = requests.get(f"{os.environ['INVENTORY']}/stock/{number}", timeout=10)
    return answer.text, answer.status_code

@app.get("/stock/<int:number>")
def stock(number):
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE products (id INTEGER, name TEXT)")
        connection.execute("INSERT INTO products VALUES (?, 'kettle')", (number,))
        (name,) = connection.execute(f"SELECT name FROM products WHERE id = {number}").fetchone()
    connection.close()
    return name

if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"http://127.0.0.1:{server.port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()
"""

QUERY = """
import sqlite3, sys
connection = sqlite3.connect(":memory:")
print(connection.execute("SELECT 42").fetchone())
connection.close()
"""
"""One span, and one library to import."""

MODULES = "import sys; print(*sorted(name for name in sys.modules if name.startswith('autotrace')))"


@pytest.fixture
def sandbox(tmp_path):
    return Sandbox(tmp_path)


def get(url, **headers):
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


# What arrives.


def test_one_trace_through_two_programs_in_two_formats(sandbox, arrivals):
    sandbox.write("app.py", SERVER)
    with backend() as zipkin:
        environ = {
            **arrivals.environ,
            "OTEL_TRACES_EXPORTER": "otlp,zipkin",
            "OTEL_EXPORTER_ZIPKIN_ENDPOINT": zipkin.url("/api/v2/spans"),
        }
        with sandbox.serve("app.py", **environ, OTEL_SERVICE_NAME="inventory") as inventory:
            environ = {**environ, "INVENTORY": inventory, "OTEL_SERVICE_NAME": "storefront"}
            with sandbox.serve("app.py", **environ) as storefront:
                assert get(f"{storefront}/products/7") == "kettle"
        in_json = [span for request in zipkin.received for span in json.loads(request.body)]
    assert arrivals.tree == (
        "storefront autotrace.werkzeug SERVER GET /products/<int:number>\n"
        "  storefront autotrace.urllib3 CLIENT GET\n"
        "    inventory autotrace.werkzeug SERVER GET /stock/<int:number>\n"
        "      inventory autotrace.sqlite3 CLIENT CREATE TABLE products\n"
        "      inventory autotrace.sqlite3 CLIENT INSERT products\n"
        "      inventory autotrace.sqlite3 CLIENT SELECT products\n"
    )
    assert len({span.trace_id for span in arrivals.spans}) == 1
    assert sorted((span["traceId"], span["id"], span.get("parentId", "")) for span in in_json) == sorted(
        (span.trace_id, span.span_id, span.parent_id) for span in arrivals.spans
    )
    select = arrivals.named("SELECT products")
    assert select.attributes["db.query.text"] == "SELECT name FROM products WHERE id = ?"


def test_with_nothing_configured_traces_stay_on_this_machine_and_one_line_says_so(sandbox):
    done = sandbox.run("-c", QUERY)
    (line,) = done.said
    home = str(sandbox.directory / "home")
    assert home in line
    assert "autotrace traces" in line
    assert (done.code, done.out, done.err) == (0, "(42,)\n", "")
    listing = subprocess.run(
        [PYTHON, "-m", "autotrace.cli.main", "traces"],
        check=True,
        capture_output=True,
        text=True,
        env=sandbox.environ,
    )
    assert "SELECT" in listing.stdout


def test_the_parent_of_the_process_is_the_parent_of_its_first_span(sandbox, arrivals, echo_url):
    program = """
        import json, sys, urllib.request
        answer = urllib.request.urlopen(sys.argv[1])
        print(dict(json.load(answer)).get("baggage"))
    """
    trace, span = "ff00aa11bb22cc330123456789abcdef", "fedcba9876543210"
    sandbox.write("app.py", program)
    environ = {"TRACEPARENT": f"00-{trace}-{span}-01", "BAGGAGE": "tenant=blue"}
    done = sandbox.run("app.py", f"{echo_url}/echo", **arrivals.environ, **environ)
    assert (done.code, done.out, done.err, done.said) == (0, "tenant=blue\n", "", [])
    (arrived,) = arrivals.spans
    assert (arrived.trace_id, arrived.parent_id, arrived.kind) == (trace, span, "CLIENT")


@pytest.mark.parametrize("how", ["os.fork()", "fork_a_process()"])
def test_spans_of_a_forked_child_arrive_and_none_twice(sandbox, arrivals, how):
    sandbox.write(
        "app.py",
        f"""
        import contextlib, multiprocessing, os, sqlite3, sys

        def query(name):
            sqlite3.connect(":memory:").execute(f"CREATE TABLE {{name}} (a)")

        def fork_a_process():
            process = multiprocessing.get_context("fork").Process(target=query, args=["by_child"])
            process.start()
            process.join()
            return process.pid

        query("before")
        child = {how}
        if child == 0:
            query("by_child")
            sys.exit(5)
        query("by_parent")
        if {how == "os.fork()"}:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
        print(os.getpid(), child)
        """,
    )
    # Python 3.12 and newer warn of a fork beside a thread, and the exporter has one.
    done = sandbox.run("-W", "ignore::DeprecationWarning", "app.py", **arrivals.environ)
    assert (done.code, done.err, done.said) == (0, "", [])
    parent, child = map(int, done.out.split())
    assert sorted((span.name, span.resource["process.pid"]) for span in arrivals.spans) == [
        ("CREATE TABLE before", parent),
        ("CREATE TABLE by_child", child),
        ("CREATE TABLE by_parent", parent),
    ]
    assert len({span.resource["service.instance.id"] for span in arrivals.spans}) == 2


# Switched off, or broken.


def test_switched_off_nothing_is_loaded(sandbox):
    done = sandbox.run("-c", f"import flask; {MODULES}", AUTOTRACE_ENABLED="false")
    assert (done.code, done.out, done.err, done.said) == (0, "\n", "", [])


def test_switched_off_where_the_launcher_has_no_say_nothing_is_armed(sandbox):
    """A container image may set PYTHONPATH for all its programs."""
    code = "import sys, flask; print([type(finder).__module__ for finder in sys.meta_path])"
    plain = sandbox.run("-c", code, traced=False)
    done = sandbox.run("-c", code, traced=False, PYTHONPATH=BOOTSTRAP, AUTOTRACE_ENABLED="false")
    assert done[:4] == plain[:4]


def test_disabled_no_span_is_made_and_incoming_headers_are_passed_on(sandbox, arrivals, echo_url):
    sandbox.write("app.py", SERVER.replace("/stock/{number}", "/echo"))
    environ = {**arrivals.environ, "INVENTORY": echo_url, "OTEL_SDK_DISABLED": "true"}
    headers = {
        "traceparent": "00-ff00aa11bb22cc330123456789abcdef-fedcba9876543210-01",
        "tracestate": "vendor=x",
        "baggage": "tenant=blue",
    }
    with sandbox.serve("app.py", **environ) as url:
        received = dict(json.loads(get(f"{url}/products/7", **headers)))
    assert {name: received.get(name) for name in headers} == headers
    assert arrivals.spans == []


BROKEN = {
    "broken": "raise RuntimeError('not today')",
    "something else": "",
    "of its own kind": "trace = None",
}


@pytest.mark.parametrize("what", BROKEN)
def test_when_a_dependency_fails_us_the_program_runs_untraced(sandbox, arrivals, what):
    sandbox.write("other/opentelemetry/__init__.py", BROKEN[what])
    sandbox.write("app.py", QUERY + "sys.exit(7)")
    done = sandbox.run("app.py", **arrivals.environ, PYTHONPATH=str(sandbox.directory / "other"))
    assert (done.code, done.out, done.err) == (7, "(42,)\n", "")
    (line,) = done.said
    assert line.startswith("could not start, the program runs untraced: ")
    assert arrivals.spans == []


def test_an_interpreter_without_our_dependencies_runs_untraced(sandbox):
    bare = sandbox.directory / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    # Not the launcher's interpreter, and not its site-packages.
    environ = {**sandbox.environ, "PYTHONPATH": BOOTSTRAP}
    done = subprocess.run(
        [str(bare / "bin" / "python"), "-c", QUERY + "sys.exit(7)"],
        check=False,
        capture_output=True,
        text=True,
        env=environ,
    )
    assert (done.returncode, done.stdout) == (7, "(42,)\n")
    (line,) = done.stderr.splitlines()
    assert line.startswith("autotrace: could not start, the program runs untraced: ")


# The program's own start-up is as it would be without us.

STARTED = """
import os, sys
try:
    import sitecustomize
except Exception as error:
    where = type(error), str(error), getattr(error, "name", "")
else:
    where = sitecustomize.__file__, sitecustomize.__name__, sitecustomize.__spec__.origin
names = {name for name in sys.modules if "customize" in name}
path = [entry for entry in sys.path]
print(where, names, path, sys.argv, os.environ.get("MARK"), sys.flags.optimize)
sys.exit(3)
"""

OWN_SITECUSTOMIZE = {
    "none": {},
    "one": {"first/sitecustomize.py": "import os; os.environ['MARK'] = __file__"},
    "one that raises": {"first/sitecustomize.py": "import os; os.environ['MARK'] = 'x'; 1 / 0"},
    "a package": {"first/sitecustomize/__init__.py": "import os; os.environ['MARK'] = __name__"},
    "two": {
        "first/sitecustomize.py": "import os; os.environ['MARK'] = 'first'",
        "second/sitecustomize.py": "import os; os.environ['MARK'] = 'second'",
    },
    "one that looks at the path": {
        "first/sitecustomize.py": "import os, sys; os.environ['MARK'] = repr(sys.path)",
    },
}


@pytest.mark.parametrize("own", OWN_SITECUSTOMIZE)
def test_the_programs_own_sitecustomize_runs_and_is_what_is_imported(sandbox, own):
    for name, text in OWN_SITECUSTOMIZE[own].items():
        sandbox.write(name, text)
    path = os.pathsep.join(str(sandbox.directory / name) for name in ("first", "second"))
    sandbox.write("app.py", STARTED)
    # Not by the launcher: the interpreter that runs it runs the program's sitecustomize too.
    plain, traced = (
        sandbox.run("app.py", traced=False, PYTHONPATH=path) for path in (path, python_path(BOOTSTRAP, path))
    )
    assert plain.code == 3
    assert traced[:4] == plain[:4]


def test_sys_path_is_unchanged(sandbox):
    code = "import sys, flask; print(sys.path, sys.path_hooks, list(sys.path_importer_cache)[:0])"
    plain, traced = (sandbox.run("-c", code, traced=traced, PYTHONPATH="/a:/b") for traced in (False, True))
    strip = re.compile(r" at 0x\w+")
    assert strip.sub("", traced.out) == strip.sub("", plain.out)


@pytest.mark.parametrize(("position", "traced"), [(0, []), (1, ["SELECT"])])
def test_a_program_with_finders_of_its_own(sandbox, arrivals, position, traced):
    """As import hooks for coverage, encryption or type checks; one in front of ours serves past us."""
    sandbox.write(
        "app.py",
        f"""
        import importlib.abc, importlib.machinery, sys

        class Virtual(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, name, path=None, target=None):
                return importlib.machinery.ModuleSpec(name, self) if name == "virtual" else None

            def exec_module(self, module):
                module.answer = 42

        class OwnLoader(importlib.machinery.SourceFileLoader):
            def exec_module(self, module):
                super().exec_module(module)
                module.loaded = self

        class Loading:
            def find_spec(self, name, path=None, target=None):
                if name == "sqlite3":
                    spec = importlib.machinery.PathFinder.find_spec(name, path, target)
                    spec.loader = OwnLoader(spec.name, spec.origin)
                    return spec

        sys.meta_path.insert({position}, Loading())
        sys.meta_path.insert({position}, Virtual())
        import virtual, sqlite3
        assert virtual.answer == 42 and type(virtual.__loader__) is Virtual
        assert sqlite3.loaded is sqlite3.__loader__ is sqlite3.__spec__.loader
        assert type(sqlite3.loaded) is OwnLoader
        print(sqlite3.connect(":memory:").execute("SELECT 42").fetchone())
        """,
    )
    done = sandbox.run("app.py", **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, "(42,)\n", "", [])
    assert [span.name for span in arrivals.spans] == traced


def test_a_program_that_takes_our_finder_away(sandbox, arrivals):
    code = "import sys; sys.meta_path[:] = [finder for finder in sys.meta_path if isinstance(finder, type)]"
    done = sandbox.run("-c", code + QUERY, **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, "(42,)\n", "", [])


@pytest.mark.parametrize("options", [["-W", "error"], ["-O"], ["-X", "dev"], ["-B", "-u", "-s"]])
def test_options_of_the_interpreter(sandbox, arrivals, options):
    sandbox.write("app.py", f"import flask, requests{QUERY}print(sys.flags.optimize, __debug__, sys.argv)")
    traced = sandbox.run(*options, "app.py", "x", **arrivals.environ)
    plain = sandbox.run(*options, "app.py", "x", traced=False)
    assert traced[:4] == plain[:4]
    assert [span.name for span in arrivals.spans] == ["SELECT"]


def test_the_import_times_of_a_traced_program(sandbox, arrivals):
    done = sandbox.run("-X", "importtime", "-c", QUERY, **arrivals.environ)
    assert (done.code, done.out, done.said) == (0, "(42,)\n", [])
    assert {line[:12] for line in done.err.splitlines()} == {"import time:"}
    assert [span.name for span in arrivals.spans] == ["SELECT"]


# The exit.


@contextmanager
def refusing():
    """A port where nobody listens."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield nobody.getsockname()[1]


@contextmanager
def black_hole():
    """A port where everything is accepted and nothing is answered."""
    with backend(lambda _connection: dead.over.wait()) as dead:
        try:
            yield dead.port
        finally:
            dead.over.set()


@pytest.mark.parametrize(
    ("dead", "budget"),
    [(refusing, 0.3), (black_hole, 0.3), pytest.param(black_hole, 2.0, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("exporter", ["otlp", "zipkin", "jaeger"])
def test_a_dead_backend_delays_the_exit_within_the_budget_and_changes_nothing_else(
    sandbox, dead, budget, exporter
):
    query = "connection.execute('SELECT 1')"
    program = (
        f"import sqlite3\nconnection = sqlite3.connect(':memory:')\nfor _ in range(100): {query}\nexit(7)"
    )
    plain = sandbox.run("-c", program, traced=False)
    with dead() as port:
        url = f"http://127.0.0.1:{port}"
        environ = {
            "OTEL_TRACES_EXPORTER": exporter,
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_ZIPKIN_ENDPOINT": f"{url}/api/v2/spans",
            "OTEL_EXPORTER_JAEGER_ENDPOINT": f"{url}/api/traces",
        }
        if budget != 2.0:  # the default
            environ["AUTOTRACE_EXIT_TIMEOUT"] = str(int(budget * 1000))
        done = sandbox.run("-c", program, **environ)
    assert done.code == 7
    assert (done.out, done.err) == (plain.out, plain.err)
    assert done.seconds - plain.seconds < budget + 0.7
    (line,) = [line for line in done.said if "100 spans lost" in line]
    assert exporter in line
