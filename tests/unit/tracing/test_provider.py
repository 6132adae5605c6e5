"""What the tracers of a process share: processors, ids, resource, and handing over to somebody else."""

from __future__ import annotations

import io
import json
import threading

import opentelemetry.sdk.trace as sdk
import pytest
from forks import in_child
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanKind, StatusCode

from autotrace.sampling.standard import AlwaysOff, AlwaysOn, ParentBased
from autotrace.tracing.context import SPAN_KEY
from autotrace.tracing.limits import Limits
from autotrace.tracing.provider import TracerProvider
from autotrace.tracing.remote import ROOT_ATTRIBUTES_KEY, RemoteSpan
from autotrace.tracing.resource import Resource
from autotrace.tracing.span import Span
from autotrace.tracing.unsampled import UnsampledSpan


class Sink(list):
    """Takes finished spans; `provider` feeds it."""

    def __init__(self, sampler=None, **arguments):
        super().__init__()
        self.provider = TracerProvider(
            Resource({"service.name": "shop"}), sampler or ParentBased(AlwaysOn()), self.append, **arguments
        )
        self.tracer = self.provider.get_tracer("lib", "1.0")


@pytest.fixture
def sink():
    return Sink()


def finish_one(tracer):
    """A trace of two spans."""
    with tracer.start_as_current_span("parent", kind=SpanKind.SERVER, attributes={"a": 1}) as parent:
        with tracer.start_as_current_span("child") as child:
            child.add_event("e", {"b": (1, 2)})
        parent.set_status(StatusCode.ERROR, "broken")
    return parent, child


# Span processors of the SDK.


def test_a_simple_processor_with_an_exporter_of_the_sdk(sink):
    exporter = InMemorySpanExporter()
    sink.provider.add_span_processor(SimpleSpanProcessor(exporter))
    parent, child = finish_one(sink.tracer)
    assert exporter.get_finished_spans() == (child, parent)
    assert list(sink) == [child, parent], "ours goes on beside it"


def test_a_batch_processor_of_the_sdk(sink):
    exporter = InMemorySpanExporter()
    sink.provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=60_000))
    parent, child = finish_one(sink.tracer)
    assert exporter.get_finished_spans() == ()
    assert sink.provider.force_flush() is True
    assert exporter.get_finished_spans() == (child, parent)
    sink.provider.shutdown()


def test_the_console_exporter_of_the_sdk_prints_what_it_prints_for_its_own(sink):
    printed = io.StringIO()
    sink.provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=printed)))
    parent, child = finish_one(sink.tracer)
    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(printed.getvalue())
    second, _ = decoder.raw_decode(printed.getvalue()[end:].lstrip())
    assert first["parent_id"] == second["context"]["span_id"] == f"0x{parent.span_id:016x}"
    assert first["context"] == {
        "trace_id": f"0x{child.trace_id:032x}",
        "span_id": f"0x{child.span_id:016x}",
        "trace_state": "[]",
    }
    assert second["kind"] == "SpanKind.SERVER"
    assert second["status"] == {"status_code": "ERROR", "description": "broken"}
    assert second["attributes"] == {"a": 1}
    assert first["events"][0]["attributes"] == {"b": [1, 2]}
    assert second["resource"] == {"attributes": {"service.name": "shop"}, "schema_url": ""}


class Recorder(sdk.SpanProcessor):
    """Writes down what it is told, and fails where it shall."""

    def __init__(self, fails=()):
        self.told = []
        self.fails = fails

    def _hear(self, what):
        self.told.append(what)
        if what[0] in self.fails:
            raise RuntimeError(f"{what[0]} is broken")

    def on_start(self, span, parent_context=None):
        span.set_attribute("seen", True)
        self._hear(("on_start", span.name, parent_context))

    def on_end(self, span):
        self._hear(("on_end", span.name))

    def shutdown(self):
        self._hear(("shutdown",))

    def force_flush(self, timeout_millis=30000):
        self._hear(("force_flush", timeout_millis))
        return True


def test_a_processor_sees_the_parent_context_and_may_write(sink):
    processor = Recorder()
    sink.provider.add_span_processor(processor)
    context = Context({"baggage": "b"})
    sink.tracer.start_span("a", context).end()
    assert processor.told == [("on_start", "a", context), ("on_end", "a")]
    assert sink[0].attributes == {"seen": True}


def test_what_a_processor_drops_at_the_start_is_counted():
    sink = Sink(limits=Limits(attributes=1))
    sink.provider.add_span_processor(Recorder())
    sink.tracer.start_span("a", attributes={"x": 1, "y": 2}).end()
    assert sink[0].attributes == {"x": 1}
    assert sink[0].dropped_attributes == 2


def test_a_failing_processor_is_contained(sink, capsys):
    every = ("on_start", "on_end", "shutdown", "force_flush")
    broken, sound = Recorder(every), Recorder()
    sink.provider.add_span_processor(broken)
    sink.provider.add_span_processor(sound)
    sink.tracer.start_span("a").end()
    assert sink.provider.force_flush(1000) is False
    sink.provider.shutdown()
    assert [what[0] for what in broken.told] == [what[0] for what in sound.told]
    assert [what[0] for what in sound.told] == ["on_start", "on_end", "force_flush", "shutdown"]
    assert [span.name for span in sink] == ["a"]
    assert "Recorder.force_flush failed: RuntimeError('force_flush is broken')" in capsys.readouterr().err


def test_an_object_that_is_no_processor_is_contained(sink, capsys):
    sink.provider.add_span_processor(object())
    sink.tracer.start_span("a").end()
    sink.provider.shutdown()
    assert [span.name for span in sink] == ["a"]
    assert "span processor object.on_start failed" in capsys.readouterr().err


def test_processors_see_spans_that_are_recorded_only():
    """An SDK sampler may ask for a span that only processors see."""
    from opentelemetry.sdk.trace import sampling

    from autotrace.sampling.plugin import PluginSampler

    class RecordOnly(sampling.Sampler):
        def should_sample(self, *span, **more):
            return sampling.SamplingResult(sampling.Decision.RECORD_ONLY)

        def get_description(self):
            return "RecordOnly"

    sink = Sink(PluginSampler(RecordOnly()))
    processor, exporter = Recorder(), InMemorySpanExporter()
    sink.provider.add_span_processor(processor)
    sink.provider.add_span_processor(SimpleSpanProcessor(exporter))
    sink.tracer.start_span("a").end()
    assert [what[0] for what in processor.told] == ["on_start", "on_end"]
    assert exporter.get_finished_spans() == ()
    assert list(sink) == []


def test_a_span_that_began_before_the_processor_ends_without_it(sink):
    span = sink.tracer.start_span("a")
    processor = Recorder()
    sink.provider.add_span_processor(processor)
    span.end()
    assert processor.told == []
    assert list(sink) == [span]


# Limits on what instrumentation hands over unchecked.


def test_attributes_of_instrumentation_are_bounded_at_the_end():
    sink = Sink(limits=Limits(attributes=2, attribute_length=3))
    span = sink.tracer.start("a", SpanKind.CLIENT, {"x": "12345", "y": 1, "z": 2}, Context())
    span.end()
    assert sink[0].attributes == {"x": "123", "y": 1}
    assert sink[0].dropped_attributes == 1


# Flush and shutdown.


def test_flush_passes_on_the_time_that_is_left(sink):
    asked = []
    sink.provider.flush_with(lambda seconds: asked.append(seconds) or len(asked) > 1)
    assert sink.provider.force_flush(500) is False
    assert sink.provider.force_flush() is True
    sink.provider.shutdown()
    assert 0 < asked[0] <= 0.5
    assert 0.5 < asked[1] <= 30
    assert 0.5 < asked[2] <= 30


def test_without_processors_and_queue_there_is_nothing_to_flush(sink):
    assert sink.provider.force_flush() is True


# Ids and resource.


def test_ids_are_random_and_say_so(sink):
    spans = [sink.tracer.start_span("a", Context()) for _ in range(100)]
    assert len({span.trace_id for span in spans}) == len({span.span_id for span in spans}) == 100
    assert max(span.trace_id for span in spans).bit_length() > 120
    assert all(span.get_span_context().trace_flags == 3 for span in spans)


def test_ids_do_not_follow_the_seed_of_the_application(sink):
    import random

    ids = set()
    for _ in range(2):
        random.seed(42)
        ids.add(sink.tracer.start_span("a", Context()).trace_id)
    assert len(ids) == 2


class OldIds:
    """The protocol before `is_trace_id_random`."""

    def generate_span_id(self):
        return 7

    def generate_trace_id(self):
        return 8


class NewIds(OldIds):
    def is_trace_id_random(self):
        return True


@pytest.mark.parametrize(("generator", "flags"), [(OldIds(), 1), (NewIds(), 3)])
def test_an_id_generator_of_the_sdks_protocol(generator, flags):
    span = Sink(id_generator=generator).tracer.start_span("a")
    assert (span.trace_id, span.span_id) == (8, 7)
    assert span.get_span_context().trace_flags == flags


def test_the_id_generator_of_the_sdk():
    tracer = Sink(id_generator=RandomIdGenerator()).tracer
    assert len({tracer.start_span("a", Context()).trace_id for _ in range(10)}) == 10


def test_an_application_that_takes_the_provider_for_the_sdks(sink):
    provider = sink.tracer.provider
    public = {name for name in dir(sdk.TracerProvider()) if not name.startswith("_")}
    assert public <= set(dir(provider))
    ids = provider.id_generator
    assert 0 < ids.generate_span_id() < 2**64 and 0 < ids.generate_trace_id() < 2**128
    assert ids.is_trace_id_random()


def test_a_forked_child_makes_other_ids(sink):
    # The parent draws first: a child that shared the state would repeat what the parent draws next.
    sink.tracer.start_span("a")
    children = [in_child(lambda: sink.tracer.start_span("a", Context()).trace_id) for _ in range(2)]
    ours = sink.tracer.start_span("a", Context()).trace_id
    assert len({ours, *children}) == 3


def test_a_forked_child_has_another_resource(sink):
    import os

    sink.provider.resource_after_fork = lambda: Resource({"process.pid": os.getpid()})
    pid, seen = in_child(
        lambda: (os.getpid(), sink.tracer.start_span("a").resource.attributes["process.pid"])
    )
    assert pid == seen != os.getpid()
    assert sink.tracer.start_span("a").resource.attributes == {"service.name": "shop"}


def test_a_child_forked_while_a_lock_is_held_goes_on(sink):
    locked, done = threading.Event(), threading.Event()

    def hold():
        with sink.provider._lock:
            locked.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait(30)
    try:
        assert in_child(lambda: sink.provider.get_tracer("new").start_span("a").name) == "a"
    finally:
        done.set()
        holder.join()


# Parents.


def test_what_started_the_process_is_the_parent_of_what_it_does_by_itself():
    starter = RemoteSpan(0xABC, 0xDEF, 1)
    sink = Sink(process_parent=starter)
    for kind in SpanKind:
        span = sink.tracer.start_span("a", Context(), kind)
        from_outside = kind in {SpanKind.SERVER, SpanKind.CONSUMER}
        assert span.parent_id == (0 if from_outside else 0xDEF)
        assert (span.trace_id == 0xABC) is not from_outside
        assert span.parent_is_remote is not from_outside


def test_spans_nest_with_those_of_another_provider(sink):
    """The application's own SDK and ours share the context, so they share traces."""
    exporter = InMemorySpanExporter()
    theirs = sdk.TracerProvider(shutdown_on_exit=False)
    theirs.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = theirs.get_tracer("app")
    with (
        tracer.start_as_current_span("outer") as outer,
        sink.tracer.start_as_current_span("middle") as middle,
    ):
        tracer.start_span("inner").end()
    inner, _ = exporter.get_finished_spans()
    assert middle.parent == outer.get_span_context()
    assert inner.parent == middle.get_span_context()
    assert inner.context.trace_id == outer.get_span_context().trace_id
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_foreign_object_in_the_place_of_the_span_is_no_parent(sink):
    span = sink.tracer.start_span("a", Context({SPAN_KEY: "no span"}))
    assert span.parent is None


def test_attributes_that_came_with_the_request_are_put_on_the_root_alone(sink):
    context = Context({ROOT_ATTRIBUTES_KEY: {"jaeger-debug-id": "x"}})
    root = sink.tracer.start_span("root", context, attributes={"a": 1})
    child = sink.tracer.start_span("child", trace.set_span_in_context(root, context))
    assert root.attributes == {"a": 1, "jaeger-debug-id": "x"}
    assert child.attributes == {}


# Doors for instrumentation.


def test_attributes_are_described_only_when_somebody_reads_them():
    described = []

    def describe(subject):
        described.append(subject)
        return {"subject": subject}

    on, off = Sink(AlwaysOn()), Sink(AlwaysOff())
    span = on.tracer.start("a", SpanKind.SERVER, {}, Context(), describe, "kept")
    assert span.attributes == {"subject": "kept"}
    unsampled = off.tracer.start("a", SpanKind.SERVER, {}, Context(), describe, "dropped")
    assert type(unsampled) is UnsampledSpan
    assert described == ["kept"]


def test_a_leaf_is_none_where_there_is_nothing_to_record(sink):
    suppressed = otel_context.set_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY, True, Context())
    assert sink.tracer.start_leaf("a", SpanKind.CLIENT, {}, suppressed) is None
    assert Sink(AlwaysOff()).tracer.start_leaf("a", SpanKind.CLIENT, {}, Context()) is None
    assert type(sink.tracer.start_leaf("a", SpanKind.CLIENT, {}, Context())) is Span


def test_a_failure_is_event_attribute_and_status(sink):
    span = sink.tracer.start_leaf("a", SpanKind.CLIENT, {}, Context())
    try:
        raise LookupError("nothing there")
    except LookupError as error:
        span.fail(error)
    (event,) = span.events
    assert event.attributes["exception.type"] == "LookupError"
    assert event.attributes["exception.message"] == "nothing there"
    assert "raise LookupError" in event.attributes["exception.stacktrace"]
    assert span.attributes == {"error.type": "LookupError"}
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "nothing there")


# Scopes.


def test_the_same_scope_has_the_same_tracer(sink):
    again = sink.provider.get_tracer("lib", "1.0")
    assert again is sink.tracer
    assert sink.provider.get_tracer("lib", "1.1") is not sink.tracer
    assert sink.provider.get_tracer("lib", "1.0", attributes={"a": [1]}) is not sink.tracer
    assert sink.provider.get_tracer(None).scope.name == ""


# Handing over.


def test_tracers_of_the_application_follow_it_to_its_own_provider(sink):
    exporter = InMemorySpanExporter()
    theirs = sdk.TracerProvider(resource=SdkResource({"service.name": "theirs"}), shutdown_on_exit=False)
    theirs.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentation = sink.provider.get_tracer("autotrace.flask")
    early = sink.provider.get_tracer("app", "2.0", "https://schema", {"part": "a"})
    decorated = early.start_as_current_span("decorated")(trace.get_current_span)

    sink.provider.hand_over(theirs, keep="autotrace.")

    with instrumentation.start_as_current_span("GET /") as server:
        with early.start_as_current_span("work", kind=SpanKind.CLIENT, attributes={"a": 1}) as work:
            pass
        inner = decorated()
    assert [span.name for span in sink] == ["GET /"]
    assert [span.name for span in exporter.get_finished_spans()] == ["work", "decorated"]
    assert isinstance(work, sdk.Span)
    assert isinstance(inner, sdk.Span)
    scope = exporter.get_finished_spans()[0].instrumentation_scope
    assert (scope.name, scope.version, scope.schema_url) == ("app", "2.0", "https://schema")
    assert scope.attributes == {"part": "a"}
    assert work.parent == server.get_span_context()
    assert work.kind is SpanKind.CLIENT
    assert work.attributes == {"a": 1}


def test_handing_over_to_a_provider_that_knows_no_scope_attributes(sink):
    class OldProvider(trace.NoOpTracerProvider):
        def get_tracer(self, name, version=None, schema_url=None):
            self.asked = (name, version, schema_url)
            return trace.NoOpTracer()

    old = OldProvider()
    sink.provider.hand_over(old, keep="autotrace.")
    assert old.asked == ("lib", "1.0", None)
    assert not sink.tracer.start_span("a").is_recording()


# Switched off.


@pytest.fixture
def passive():
    return Sink(disabled=True)


def test_a_disabled_provider_makes_no_spans(passive):
    with passive.tracer.start_as_current_span("a", attributes={"x": 1}) as span:
        assert span is trace.INVALID_SPAN
    assert list(passive) == []
    assert passive.tracer.start_leaf("a", SpanKind.CLIENT, {}, Context()) is None


def test_a_disabled_provider_passes_the_parent_on(passive):
    parent = RemoteSpan(0xABC, 0xDEF, 1)
    context = Context({SPAN_KEY: parent})
    assert passive.tracer.start_span("a", context) is parent
    assert passive.tracer.start("a", SpanKind.SERVER, {}, context) is parent


def test_a_disabled_provider_passes_a_recording_parent_on(passive, sink):
    parent = sink.tracer.start_span("parent")
    span = passive.tracer.start_span("a", trace.set_span_in_context(parent))
    assert not span.is_recording()
    assert span.get_span_context() == parent.get_span_context()
    span.end()
    assert parent.is_recording()


# Decorators keep what they decorate.


def test_a_decorated_function_is_what_it_was(sink):
    def original(a, *, b=2):
        """Docs."""
        return a + b

    decorated = sink.tracer.start_as_current_span("a")(original)
    assert decorated.__wrapped__ is original
    assert (decorated.__name__, decorated.__doc__) == ("original", "Docs.")
    assert decorated(1, b=5) == 6
    assert decorated(1) == 3
    assert [span.name for span in sink] == ["a", "a"]


def test_a_context_left_elsewhere_is_no_error(sink):
    """An async generator that is closed late leaves its block in another context."""
    import contextvars

    block = sink.tracer.start_as_current_span("a")
    contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)
    assert [span.name for span in sink] == ["a"]
