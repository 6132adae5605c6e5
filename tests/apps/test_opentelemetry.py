"""Applications that use OpenTelemetry themselves: one trace, nothing twice, a line about who does what."""

from __future__ import annotations

import json

import pytest

APP = """
import os, sqlite3
import flask, requests
from opentelemetry import trace

def make_app():
    app = flask.Flask("shop")
    tracer = trace.get_tracer("shop")

    @app.get("/products/<int:number>")
    def product(number):
        with tracer.start_as_current_span("look up"):
            connection = sqlite3.connect(":memory:")
            found = connection.execute("SELECT 42").fetchone()
            connection.close()
            return [*found, requests.get(os.environ["ECHO"] + "/status/204", timeout=10).status_code]

    return app

def visit(app):
    with app.test_client().get("/products/7") as answer:
        print(answer.status_code, answer.json)
"""

OWN_PROVIDER = """
import json
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

class FileExporter(SpanExporter):
    def export(self, spans):
        with open("theirs.jsonl", "a") as file:
            for span in spans:
                parent = span.parent and f"{span.parent.span_id:016x}"
                context = span.get_span_context()
                ids = [f"{context.trace_id:032x}", f"{context.span_id:016x}", parent or ""]
                scope = span.instrumentation_scope.name
                print(json.dumps([span.name, span.kind.name, scope, *ids]), file=file)
        return SpanExportResult.SUCCESS

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(FileExporter()))
"""


@pytest.fixture
def run(sandbox, arrivals):
    """Run a program made of these parts, and check that it got its answers."""

    def start(*parts, out="200 [42, 204]\n", **variables):
        sandbox.write("app.py", "".join(parts))
        done = sandbox.run("app.py", **{**arrivals.environ, **variables})
        assert (done.code, done.out, done.err) == (0, out, "")
        return done

    return start


def theirs(sandbox):
    """What the application's own provider has exported: name, kind, scope, trace, span, parent."""
    path = sandbox.directory / "theirs.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


OURS = """\
app autotrace.flask SERVER GET /products/<int:number>
  app shop INTERNAL look up
    app autotrace.sqlite3 CLIENT SELECT
    app autotrace.urllib3 CLIENT GET
"""


def test_manual_spans_nest_with_ours(run, arrivals):
    done = run(APP, "visit(make_app())")
    assert done.said == []
    assert arrivals.tree == OURS


def test_manual_spans_arrive_from_a_program_that_imports_nothing_we_know(run, arrivals):
    program = """
from opentelemetry import trace
tracer = trace.get_tracer("shop")

@tracer.start_as_current_span("work")
def work():
    trace.get_current_span().set_attribute("n", 7)

work()
try:
    with tracer.start_as_current_span("fail"):
        raise ValueError("no")
except ValueError:
    print("caught")
"""
    assert run(program, out="caught\n").said == []
    assert arrivals.tree == "app shop INTERNAL work\napp shop INTERNAL fail ERROR\n"
    assert arrivals.named("work").attributes == {"n": 7}


SET_PROVIDER = OWN_PROVIDER + "trace.set_tracer_provider(provider)\n"
MAKE = "app = make_app()\n"


@pytest.mark.parametrize(
    "steps",
    [[SET_PROVIDER, APP, MAKE], [APP, MAKE, SET_PROVIDER], [APP, MAKE, "visit(app)\n", SET_PROVIDER]],
    ids=["first thing", "after its tracer was made", "after a request"],
)
def test_an_application_with_a_provider_of_its_own(run, sandbox, arrivals, steps):
    """Its spans go where it sends them, ours go on, and both are one trace."""
    early = "visit(app)\n" in steps
    done = run(*steps, "visit(app)\n", out="200 [42, 204]\n" * (1 + early))
    (line,) = done.said
    assert line.startswith("the application has set its own tracer provider (opentelemetry.sdk.trace.Tracer")
    (manual,) = theirs(sandbox)
    server, select, get = spans = arrivals.spans[4 * early :]
    assert manual == ["look up", "INTERNAL", "shop", server.trace_id, manual[4], server.span_id]
    assert [span.name for span in spans] == ["GET /products/<int:number>", "SELECT", "GET"]
    assert {select.parent_id, get.parent_id} == {manual[4]}
    assert {span.trace_id for span in spans} == {server.trace_id}


def test_processors_of_the_sdk_on_our_provider(run, arrivals):
    program = """
import io, json
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

class Marking(SpanProcessor):
    def on_start(self, span, parent_context=None):
        span.set_attribute("marked", True)

memory, text = InMemorySpanExporter(), io.StringIO()
console = ConsoleSpanExporter(out=text, formatter=lambda span: span.to_json(indent=None) + "\\n")
provider = trace.get_tracer_provider()
provider.add_span_processor(Marking())
provider.add_span_processor(SimpleSpanProcessor(memory))
provider.add_span_processor(BatchSpanProcessor(console))
visit(make_app())
provider.force_flush()
names = sorted(span.name for span in memory.get_finished_spans())
assert names == sorted(json.loads(line)["name"] for line in text.getvalue().splitlines())
assert all(span.attributes["marked"] for span in memory.get_finished_spans())
print(*names, sep="; ")
"""
    names = "GET; GET /products/<int:number>; SELECT; look up\n"
    assert run(APP, program, out=f"200 [42, 204]\n{names}").said == []
    assert arrivals.tree == OURS
    assert all(span.attributes["marked"] for span in arrivals.spans)


def test_a_decision_and_ids_of_the_applications_own_asking(run, arrivals):
    """Airflow decides so on a run before anything of it is there; the spans of its tasks follow."""
    program = """
from opentelemetry.sdk.trace.sampling import Decision

provider = trace.get_tracer_provider()
ids = provider.id_generator
trace_id = ids.generate_trace_id()
asked = provider.sampler.should_sample(parent_context=None, trace_id=trace_id, name="run", attributes={})
sampled = asked.decision == Decision.RECORD_AND_SAMPLE
flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if sampled else 0)
state = asked.trace_state or trace.TraceState()
run = trace.SpanContext(trace_id, ids.generate_span_id(), False, flags, state.update("detail", "2"))
parent = trace.set_span_in_context(trace.NonRecordingSpan(run))
with trace.get_tracer("airflow").start_as_current_span("task", parent):
    pass
print(sampled, provider.resource.attributes["service.name"], provider.sampler.get_description()[:32])
"""
    assert run(APP, program, out="True app ParentBased{root:AlwaysOnSampler\n").said == []
    (task,) = arrivals.spans
    assert task.name == "task" and task.parent_id


FLASK = "from opentelemetry.instrumentation.flask import FlaskInstrumentor\n"
REQUESTS = "from opentelemetry.instrumentation.requests import RequestsInstrumentor\n"
INSTRUMENT_FLASK = FLASK + "FlaskInstrumentor().instrument()\n"
INSTRUMENT_REQUESTS = REQUESTS + "RequestsInstrumentor().instrument()\n"
INSTRUMENTED = {
    "flask before its import": (["flask"], [INSTRUMENT_FLASK, APP, MAKE]),
    "flask after its import": (["flask"], [APP, INSTRUMENT_FLASK, MAKE]),
    "one application": (["flask"], [APP, MAKE, FLASK, "FlaskInstrumentor().instrument_app(app)\n"]),
    "one application, by the class": (
        ["flask"],
        [FLASK, APP, MAKE, "FlaskInstrumentor.instrument_app(app)\n"],
    ),
    "requests before its import": (["requests"], [INSTRUMENT_REQUESTS, APP, MAKE]),
    "requests after its import": (["requests"], [APP, MAKE, INSTRUMENT_REQUESTS]),
    "both": (["flask", "requests"], [APP, INSTRUMENT_REQUESTS, INSTRUMENT_FLASK, MAKE]),
}


@pytest.mark.parametrize("own_provider", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", INSTRUMENTED)
def test_instrumented_by_the_application_nothing_is_doubled(run, sandbox, arrivals, how, own_provider):
    libraries, steps = INSTRUMENTED[how]
    done = run(*[SET_PROVIDER][:own_provider], *steps, "visit(app)\n")
    by = {library: f"opentelemetry.instrumentation.{library}" for library in libraries}
    assert sorted(line for line in done.said if "provider" not in line) == [
        f"the application instruments {library} with {by[library]}: autotrace leaves {library} to it"
        for library in libraries
    ]
    ours = [
        [span.name, span.kind, span.scope, span.trace_id, span.span_id, span.parent_id]
        for span in arrivals.spans
    ]
    spans = sorted([*ours, *theirs(sandbox)])
    get, server, select, manual = spans
    assert [span[:3] for span in spans] == [
        ["GET", "CLIENT", by.get("requests", "autotrace.urllib3")],
        ["GET /products/<int:number>", "SERVER", by.get("flask", "autotrace.flask")],
        ["SELECT", "CLIENT", "autotrace.sqlite3"],
        ["look up", "INTERNAL", "shop"],
    ]
    assert [span[5] for span in spans] == [manual[4], "", manual[4], server[4]]
    assert {span[3] for span in spans} == {get[3]}
    assert select in ours


SERVED = """
import logging, threading, urllib.request
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)

def serve(app):
    server = make_server("127.0.0.1", 0, app)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/products/7") as answer:
        print(answer.status, answer.read().decode().strip())
    server.shutdown()
"""
INSTRUMENT_THIS = FLASK + "FlaskInstrumentor().instrument_app(app)\n"
MIDDLEWARE = """
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
app.wsgi_app = OpenTelemetryMiddleware(app.wsgi_app)
"""


@pytest.mark.parametrize(
    ("steps", "scope"),
    [
        ([APP, MAKE, INSTRUMENT_THIS, SERVED], "opentelemetry.instrumentation.flask"),
        ([SERVED, APP, MAKE, INSTRUMENT_THIS], "opentelemetry.instrumentation.flask"),
        ([SERVED, APP, MAKE], "autotrace.werkzeug"),
    ],
    ids=["before the server is known", "after it", "not at all"],
)
def test_a_server_leaves_the_requests_to_the_instrumentor_of_a_framework(run, arrivals, steps, scope):
    left_out = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "urllib,http.client"}
    run(*steps, "serve(app)\n", out="200 [42,204]\n", **left_out)
    name = "GET /products/<int:number>"
    assert [(span.scope, span.name) for span in arrivals.spans if span.kind == "SERVER"] == [(scope, name)]
    assert len(arrivals.spans) == 4
    assert arrivals.named(name).parent_id == ""


def test_a_middleware_of_the_application_makes_the_only_server_span(run, arrivals):
    run(APP, MAKE, MIDDLEWARE, "visit(app)\n")
    (server,) = [span for span in arrivals.spans if span.kind == "SERVER"]
    assert server.scope == "opentelemetry.instrumentation.wsgi"
    assert len(arrivals.spans) == 4


PLUGINS = """
import json
from opentelemetry import trace
from opentelemetry.propagators.textmap import TextMapPropagator, default_setter
from opentelemetry.sdk.resources import Resource, ResourceDetector
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

class Exporter(SpanExporter):
    def export(self, spans):
        with open("plugin.jsonl", "a") as file:
            for span in spans:
                print(span.to_json(indent=None), file=file)
        return SpanExportResult.SUCCESS

class Choosy(Sampler):
    def __init__(self, unwanted):
        self.unwanted = unwanted

    def should_sample(self, parent_context, trace_id, name, *rest, **more):
        if name == self.unwanted:
            return SamplingResult(Decision.DROP)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, {"chosen": True})

    def get_description(self):
        return "Choosy"

class Counting(IdGenerator):
    last = 0

    def generate_span_id(self):
        Counting.last += 1
        return Counting.last

    def generate_trace_id(self):
        return 0xABC

class Shelf(ResourceDetector):
    def detect(self):
        return Resource({"shelf": 7})

class Header(TextMapPropagator):
    fields = {"x-shop"}

    def extract(self, carrier, context=None, getter=None):
        return context

    def inject(self, carrier, context=None, setter=default_setter):
        setter.set(carrier, "x-shop", str(trace.get_current_span(context).get_span_context().span_id))
"""

ENTRY_POINTS = """
[opentelemetry_traces_exporter]
shop = shop_plugins:Exporter
[opentelemetry_traces_sampler]
choosy = shop_plugins:Choosy
[opentelemetry_id_generator]
counting = shop_plugins:Counting
[opentelemetry_resource_detector]
shelf = shop_plugins:Shelf
[opentelemetry_propagator]
shop = shop_plugins:Header
"""


def test_plug_ins_by_entry_point(run, sandbox, arrivals):
    program = """
import json, os, urllib.request
from opentelemetry import trace
with trace.get_tracer("shop").start_as_current_span("work"):
    answer = dict(json.load(urllib.request.urlopen(os.environ["ECHO"] + "/echo")))
    print("traceparent" in answer, answer["x-shop"])
    with trace.get_tracer("shop").start_as_current_span("dull"):
        pass
"""
    done = run(
        program,
        out="False 2\n",
        PYTHONPATH=sandbox.install("shop_plugins", ENTRY_POINTS, PLUGINS),
        OTEL_TRACES_EXPORTER="shop,otlp",
        OTEL_TRACES_SAMPLER="choosy",
        OTEL_TRACES_SAMPLER_ARG="dull",
        OTEL_PYTHON_ID_GENERATOR="counting",
        OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="otel,shelf",
        OTEL_PROPAGATORS="shop",
    )
    assert done.said == []
    work, get = arrivals.spans
    assert (work.trace_id, work.span_id, work.parent_id) == (f"{0xABC:032x}", f"{1:016x}", "")
    assert (get.trace_id, get.span_id, get.parent_id) == (f"{0xABC:032x}", f"{2:016x}", f"{1:016x}")
    assert work.attributes == {"chosen": True}
    assert work.resource["shelf"] == 7
    assert work.resource["telemetry.sdk.name"] == "autotrace"
    lines = (sandbox.directory / "plugin.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["GET", "work"]


@pytest.mark.parametrize("text", ["1 / 0", "", "Exporter = Choosy = Counting = Shelf = Header = 7"])
def test_plug_ins_that_are_broken_cost_a_warning_and_nothing_else(sandbox, arrivals, text):
    sandbox.write("app.py", APP + "visit(make_app())")
    done = sandbox.run(
        "app.py",
        **{
            **arrivals.environ,
            "PYTHONPATH": sandbox.install("shop_plugins", ENTRY_POINTS, text),
            "OTEL_TRACES_EXPORTER": "shop,otlp",
            "OTEL_TRACES_SAMPLER": "choosy",
            "OTEL_PYTHON_ID_GENERATOR": "counting",
            "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel,shelf",
            "OTEL_PROPAGATORS": "tracecontext,shop",
        },
    )
    assert (done.code, done.out, done.err) == (0, "200 [42, 204]\n", "")
    assert arrivals.tree == OURS, done.said
    for word in (
        "'choosy'",
        "'counting'",
        "'shelf'",
        "OTEL_PROPAGATORS",
        "shop exporter" if "7" in text else "'shop'",
    ):
        assert word in "".join(done.said)
