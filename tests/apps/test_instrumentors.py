"""OpenTelemetry's instrumentors for libraries that autotrace has no module for, in an unmodified program."""

from __future__ import annotations

import importlib.util

import pytest

LIBRARY = """
def boil(what):
    return f"boiled {what}"
"""

INSTRUMENTOR = """
print("the instrumentor is imported")
import kettle
from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

class KettleInstrumentor(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return ("kettle >= 1.0",)

    def _instrument(self, **kwargs):
        tracer = trace.get_tracer("kettle_tracing", "1.0", kwargs.get("tracer_provider"))
        original = self.original = kettle.boil
        def boil(what):
            with tracer.start_as_current_span("boil " + kwargs.get("how", "")):
                return original(what)
        kettle.boil = boil

    def _uninstrument(self, **kwargs):
        kettle.boil = self.original
"""

ENTRY_POINTS = "[opentelemetry_instrumentor]\nkettle = {}\n"

PROGRAM = """
import sqlite3
import kettle
connection = sqlite3.connect(":memory:")
print(kettle.boil("water"), *connection.execute("SELECT 1"))
connection.close()
"""


@pytest.fixture
def install(sandbox):
    """Install a package with its metadata; what it returns goes on `PYTHONPATH`."""

    def install(name, code, version="1.0", entry_points="", requires=""):
        site = sandbox.directory / "site"
        about = f"site/{name.replace('-', '_')}-{version}.dist-info"
        module = name.replace("-", "_")
        sandbox.write(f"site/{module}/__init__.py", code)
        sandbox.write(
            f"{about}/RECORD", f"{module}/__init__.py,,\n{about[5:]}/METADATA,,\n../../bin/{module},,\n"
        )
        sandbox.write(
            f"{about}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + (
                f"Provides-Extra: instruments\nRequires-Dist: {requires}; extra == 'instruments'\n"
                if requires
                else ""
            ),
        )
        if entry_points:
            sandbox.write(f"{about}/entry_points.txt", entry_points)
        return {"PYTHONPATH": str(site)}

    return install


@pytest.fixture
def site(install):
    install("kettle", LIBRARY)
    return install(
        "kettle-tracing",
        INSTRUMENTOR,
        entry_points=ENTRY_POINTS.format("kettle_tracing:KettleInstrumentor"),
        requires="kettle<2,>=1.0",
    )


def test_it_runs_when_its_library_is_imported(sandbox, arrivals, site):
    sandbox.write("app.py", PROGRAM)
    done = sandbox.run("app.py", **site, **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (
        0,
        "the instrumentor is imported\nboiled water (1,)\n",
        "",
        [],
    )
    assert arrivals.tree == "app kettle_tracing INTERNAL boil \napp autotrace.sqlite3 CLIENT SELECT\n"


@pytest.mark.parametrize("program", ["pass", "import flask"])
def test_it_does_not_run_before(sandbox, site, program):
    done = sandbox.run("-c", f"{program}\nimport sys; print('kettle' in sys.modules)", **site)
    assert (done.code, done.out, done.err) == (0, "False\n", "")


def test_it_can_be_switched_off(sandbox, arrivals, site):
    sandbox.write("app.py", PROGRAM)
    environ = {**site, **arrivals.environ, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "kettle"}
    done = sandbox.run("app.py", **environ)
    assert (done.code, done.out, done.err, done.said) == (0, "boiled water (1,)\n", "", [])
    assert arrivals.tree == "app autotrace.sqlite3 CLIENT SELECT\n"


@pytest.mark.parametrize(
    ("code", "version", "reason"),
    [
        ("raise ImportError('no such thing')", "1.0", "ImportError('no such thing')"),
        (
            INSTRUMENTOR.replace("original = self.original = kettle.boil", "raise KeyError('broken')"),
            "1.0",
            "KeyError('broken')",
        ),
        (INSTRUMENTOR, "0.5", "DependencyConflictError"),
    ],
    ids=["at its import", "at work", "for another version"],
)
def test_one_that_fails_costs_one_line(sandbox, arrivals, install, code, version, reason):
    install("kettle", LIBRARY, version)
    site = install(
        "kettle-tracing",
        code.replace('print("the instrumentor is imported")', ""),
        entry_points=ENTRY_POINTS.format("kettle_tracing:KettleInstrumentor"),
        requires="kettle",
    )
    sandbox.write("app.py", PROGRAM)
    done = sandbox.run("app.py", **site, **arrivals.environ)
    assert (done.code, done.out, done.err) == (0, "boiled water (1,)\n", "")
    (line,) = done.said
    assert line.startswith(f"kettle is not traced: its instrumentation failed with {reason}")
    assert arrivals.tree == "app autotrace.sqlite3 CLIENT SELECT\n"


def test_the_application_may_run_it_itself(sandbox, arrivals, site):
    program = """
import kettle
from kettle_tracing import KettleInstrumentor
KettleInstrumentor().instrument(how="slowly")
print(kettle.boil("water"))
KettleInstrumentor().uninstrument()
print(kettle.boil("water"))
"""
    sandbox.write("app.py", program)
    plain = sandbox.run("app.py", traced=False, **site)
    done = sandbox.run("app.py", **site, **arrivals.environ)
    assert (done.code, done.out, done.err) == (plain.code, plain.out, plain.err)
    assert arrivals.tree == "app kettle_tracing INTERNAL boil slowly\n"


def test_its_spans_stay_with_us_when_the_application_sets_a_provider(sandbox, arrivals, site):
    program = """
from opentelemetry import trace
import kettle
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
print(kettle.boil("water"))
"""
    sandbox.write("app.py", program)
    done = sandbox.run("app.py", **site, **arrivals.environ)
    assert (done.code, done.err) == (0, "")
    assert arrivals.tree == "app kettle_tracing INTERNAL boil \n"


def test_where_both_know_a_library_ours_serves(sandbox, arrivals):
    """opentelemetry-instrumentation-flask is installed in every environment of the tests."""
    assert importlib.util.find_spec("opentelemetry.instrumentation.flask")
    program = """
import sys
import flask
app = flask.Flask("shop")
app.get("/")(lambda: "hello")
print(app.test_client().get("/").text, "opentelemetry.instrumentation" in sys.modules)
"""
    sandbox.write("app.py", program)
    done = sandbox.run("app.py", **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, "hello False\n", "", [])
    assert arrivals.tree == "app autotrace.flask SERVER GET /\n"
