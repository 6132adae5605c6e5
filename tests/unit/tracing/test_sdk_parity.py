"""The same program, told to the OpenTelemetry SDK and to us: the spans are the same.

What we mean to do otherwise stands in `DIFFERENCES`, each with its reason. Where the difference is in
what is recorded, it is applied to the SDK before the comparison, so that all else still has to agree.
"""

from __future__ import annotations

import enum
import itertools
import json
from importlib.metadata import version

import opentelemetry.attributes
import opentelemetry.sdk.trace as sdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF as SDK_ALWAYS_OFF
from opentelemetry.sdk.trace.sampling import ALWAYS_ON as SDK_ALWAYS_ON
from opentelemetry.sdk.trace.sampling import ParentBased as SdkParentBased
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from autotrace.sampling.standard import AlwaysOff, AlwaysOn, ParentBased
from autotrace.tracing import span as our_span
from autotrace.tracing.limits import Limits
from autotrace.tracing.provider import TracerProvider
from autotrace.tracing.resource import Resource

pytestmark = pytest.mark.skipif(
    tuple(int(part) for part in version("opentelemetry-sdk").split(".")[:2]) < (1, 45),
    reason="the rules for attribute values are those of SDK 1.45",
)

# What is meant to differ.


def _drop_the_newest_attribute(attributes, key, value):
    if (
        key not in attributes._dict
        and attributes.maxlen is not None
        and len(attributes._dict) >= attributes.maxlen
    ):
        attributes.dropped += 1
    else:
        attributes._dict[key] = value


def _one_by_one(attributes, items):
    for key, value in items.items():
        attributes[key] = value


def _drop_the_newest_element(elements, element):
    if elements._dq.maxlen is not None and len(elements._dq) >= elements._dq.maxlen:
        elements.dropped += 1
    else:
        elements._dq.append(element)


def _extend_by_one_each(elements, more):
    for element in more:
        elements.append(element)


_sdk_clean = opentelemetry.attributes._clean_attribute_value


def _bounded_in_length(value, length):
    cleaned = _sdk_clean(value, length)
    return cleaned[:length] if isinstance(cleaned, (str, bytes)) else cleaned


_sdk_record_exception = sdk.Span.record_exception


def _escaped_where_it_left_the_block(span, exception, attributes=None, timestamp=None, escaped=False):
    _sdk_record_exception(
        span, exception, attributes, timestamp, escaped or isinstance(exception, LeavesBlock)
    )


_sdk_exit = sdk.Span.__exit__


def _no_error_without_exception(span, kind, error, traceback):
    if isinstance(error, Exception):
        _sdk_exit(span, kind, error, traceback)
    else:
        _sdk_exit(span, None, None, None)


DIFFERENCES = [
    (
        (
            "A full span drops what comes after; the SDK drops the oldest attribute. The specification: "
            "'if adding it would exceed the limit, the SDK MUST discard that attribute'."
        ),
        (opentelemetry.attributes.BoundedAttributes, "_setitem_locked", _drop_the_newest_attribute),
    ),
    (
        (
            "A key that is no string is dropped wherever it comes from; the SDK drops it in set_attribute, "
            "and makes text of it in set_attributes, events, links and at the start."
        ),
        (opentelemetry.attributes.BoundedAttributes, "_set_items", _one_by_one),
    ),
    (
        (
            "A full span drops the events and links that come after; the SDK the oldest. As for attributes: "
            "what led to the trouble is worth more than its thousandth repetition."
        ),
        (BoundedList, "append", _drop_the_newest_element),
    ),
    ("The same, for links given at the start.", (BoundedList, "extend", _extend_by_one_each)),
    (
        (
            "The length limit holds for byte strings and for what became text, too, as the specification "
            "says; in the SDK for what was text alone."
        ),
        (opentelemetry.attributes, "_clean_attribute_value", _bounded_in_length),
    ),
    (
        (
            "exception.escaped is true for what leaves the block, as its definition says; the SDK says so "
            "for `with span`, not for start_as_current_span."
        ),
        (sdk.Span, "record_exception", _escaped_where_it_left_the_block),
    ),
    (
        (
            "GeneratorExit, KeyboardInterrupt and SystemExit are no errors for `with span` either; the SDK "
            "makes them one there, but not in start_as_current_span."
        ),
        (sdk.Span, "__exit__", _no_error_without_exception),
    ),
    (
        (
            "A stack trace keeps its last 32768 characters: attributes are bounded (see `told`, and "
            "test_misuse.py)."
        ),
        None,
    ),
    ("Subclasses of str, int, float, bytes lose their class, and what it overrides (see `bare`).", None),
    ("An OK status has no description; the SDK keeps an empty one (see `told`).", None),
    ("What makes the SDK raise into the application is ignored (see test_misuse.py).", None),
    ("Byte strings in to_json are base64, where the SDK raises TypeError (see test_misuse.py).", None),
    ("Nesting deeper than 20 is cut, where the SDK recurses (see test_misuse.py).", None),
]


@pytest.fixture(autouse=True)
def _silent_sdk(caplog):
    caplog.set_level("CRITICAL", "opentelemetry")


@pytest.fixture(autouse=True, scope="module")
def _sdk_with_differences():
    with pytest.MonkeyPatch.context() as patch:
        for _reason, amendment in DIFFERENCES:
            if amendment is not None:
                patch.setattr(*amendment)
        yield


# The two worlds: the same ids, the same clock.


class Ids(IdGenerator):
    """1, 2, 3, ... for traces and, from another start, for spans."""

    def __init__(self, random):
        self._next = itertools.count(1)
        self._random = random

    def generate_span_id(self):
        return next(self._next)

    def generate_trace_id(self):
        return (0xAB << 64) + next(self._next)

    def is_trace_id_random(self):
        return self._random


class Clock:
    """Stands still but for one tick at each step of a program."""

    now = START = 1_700_000_000_000_000_000

    def tick(self):
        self.now += 1_001


clock = Clock()


class World:
    """A tracer, and what it has finished."""

    def __init__(self, patch, limits, sampled=True, random_ids=True):
        self.finished = []
        clock.now = clock.START
        patch.setattr(*self.clock_of(), lambda: clock.now)
        self.make(limits, Ids(random_ids), sampled)


class Sdk(World):
    def clock_of(self):
        return sdk, "time_ns"

    def make(self, limits, ids, sampled):
        exporter = InMemorySpanExporter()
        provider = sdk.TracerProvider(
            sampler=SdkParentBased(SDK_ALWAYS_ON if sampled else SDK_ALWAYS_OFF),
            resource=SdkResource({"service.name": "shop", "ports": (1, 2)}),
            id_generator=ids,
            shutdown_on_exit=False,
            span_limits=sdk.SpanLimits(
                max_events=limits.events,
                max_links=limits.links,
                max_span_attributes=limits.attributes,
                max_event_attributes=limits.event_attributes,
                max_link_attributes=limits.link_attributes,
                max_attribute_length=sdk.SpanLimits.UNSET
                if limits.member_length is None
                else limits.member_length,
                max_span_attribute_length=sdk.SpanLimits.UNSET
                if limits.attribute_length is None
                else limits.attribute_length,
            ),
        )
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        self.tracer = provider.get_tracer("lib", "1.0", "https://schema", {"scope": "attribute"})
        self.spans = exporter.get_finished_spans


class Ours(World):
    def clock_of(self):
        return our_span, "time_ns"

    def make(self, limits, ids, sampled):
        provider = TracerProvider(
            Resource({"service.name": "shop", "ports": (1, 2)}),
            ParentBased(AlwaysOn() if sampled else AlwaysOff()),
            self.finished.append,
            limits,
            ids,
        )
        self.tracer = provider.get_tracer("lib", "1.0", "https://schema", {"scope": "attribute"})
        self.spans = lambda: self.finished


def told(span):
    """Every field of a ReadableSpan, as plain values."""
    return {
        "name": span.name,
        "context": ids(span.context),
        "get_span_context": ids(span.get_span_context()),
        "parent": ids(span.parent),
        "kind": span.kind,
        "start_time": span.start_time,
        "end_time": span.end_time,
        "status": (
            span.status.status_code,
            span.status.description if span.status.status_code is StatusCode.ERROR else None,
        ),
        "attributes": bare(span.attributes),
        "events": [
            (event.name, event.timestamp, without_frames(bare(event.attributes)), event.dropped_attributes)
            for event in span.events
        ],
        "links": [(ids(link.context), bare(link.attributes), link.dropped_attributes) for link in span.links],
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "resource": (dict(span.resource.attributes), span.resource.schema_url),
        "scope": (
            span.instrumentation_scope.name,
            span.instrumentation_scope.version,
            span.instrumentation_scope.schema_url,
            dict(span.instrumentation_scope.attributes),
        ),
        "json": without_frames(json_of(span)),
    }


def ids(context):
    if context is None:
        return None
    flags = int(context.trace_flags)
    return (context.trace_id, context.span_id, context.is_remote, flags, context.trace_state.to_header())


def bare(value):
    """With the types told apart: 1, True and 1.0 are equal, and NaN is not equal to itself."""
    if isinstance(value, str):
        return str.__str__(value)
    if hasattr(value, "items"):
        return {bare(key): bare(member) for key, member in value.items()}
    if isinstance(value, tuple):
        return tuple(bare(member) for member in value)
    for scalar in (bool, int, float, bytes):
        if isinstance(value, scalar):
            return (scalar.__name__, repr(scalar(value)))
    return (type(value).__name__, repr(value))


def json_of(span):
    try:
        return json.loads(span.to_json())
    except TypeError:
        return "bytes"  # see test_bytes_in_json


def without_frames(value):
    """The frames of a stack trace name the tracer's own files; its last line is the error."""
    if isinstance(value, dict):
        return {
            key: member.strip().rsplit("\n", 1)[-1]
            if key == "exception.stacktrace"
            else without_frames(member)
            for key, member in value.items()
        }
    if isinstance(value, list):
        return [without_frames(member) for member in value]
    return value


def compare(program, limits=None, **world):
    limits = limits or Limits()
    told_by = []
    for kind in (Sdk, Ours):
        with pytest.MonkeyPatch.context() as patch:
            it = kind(patch, limits, **world)
            token = otel_context.attach(otel_context.Context())
            try:
                program(it.tracer)
            finally:
                otel_context.detach(token)
            told_by.append([told(span) for span in it.spans()])
    theirs, ours = told_by
    for span in theirs:
        if span["json"] == "bytes":
            for other in ours:
                if other["context"] == span["context"]:
                    other["json"] = "bytes"
    assert ours == theirs
    return ours


# Programs: trees of operations on spans.


class LeavesBlock(Exception):
    """Raised by programs to leave a block, and by nothing else."""


class LeavesWithoutError(BaseException):
    """As KeyboardInterrupt does."""


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Celsius(float):
    pass


class Blob(bytes):
    pass


class Nameless:
    pass


class Named:
    def __str__(self):
        return "a named thing"


names = st.one_of(st.sampled_from(["GET /", "", "käse \ud800"]), st.text(max_size=5))
keys = st.one_of(
    st.sampled_from(["a", "b", "http.route", Colour.RED]),
    st.text(max_size=3),
    st.sampled_from([7, None, b"k"]),
)
scalars = st.one_of(
    st.text(max_size=12),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.none(),
    st.binary(max_size=8),
    st.sampled_from(
        [
            Colour.RED,
            Level.HIGH,
            Celsius(2.5),
            Blob(b"blob-blob"),
            Nameless(),
            Nameless,
            Named(),
            {1},
            2j,
            range(3),
        ]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(
            st.one_of(st.text(max_size=2), st.sampled_from([5, Colour.RED, 0])), inner, max_size=2
        ),
        st.binary(max_size=4).map(bytearray),
    ),
    max_leaves=5,
)
attributes = st.one_of(st.none(), st.dictionaries(keys, values, max_size=5))
times = st.one_of(st.none(), st.integers(min_value=0, max_value=2**61))
kinds = st.sampled_from(list(SpanKind))
codes = st.sampled_from(list(StatusCode))
descriptions = st.one_of(st.none(), st.text(max_size=6), st.sampled_from([5, b"no text"]))
states = st.sampled_from([None, TraceState(), TraceState([("a", "1"), ("b", "2")])])
contexts = st.builds(
    SpanContext,
    trace_id=st.sampled_from([0, 1, 2**127 + 5]),
    span_id=st.sampled_from([0, 9, 2**64 - 1]),
    is_remote=st.booleans(),
    trace_flags=st.sampled_from([0, 1, 2, 3]).map(TraceFlags),
    trace_state=states,
)
errors = st.sampled_from([ValueError("bad", 1), KeyError("käse"), OSError(2, "x"), Exception()])
leaving = st.sampled_from([None, None, None, LeavesBlock, LeavesWithoutError])


def op(name, *arguments, **named):
    return st.tuples(st.just(name), st.tuples(*arguments), st.fixed_dictionaries(named))


simple = st.one_of(
    op("set_attribute", keys, values),
    op("set_attributes", attributes.filter(lambda given: given is not None)),
    op("add_event", names, attributes, times),
    op("add_link", st.one_of(contexts, st.none()), attributes),
    op("record_exception", errors, attributes, times, escaped=st.booleans()),
    op("set_status", codes, descriptions),
    op("set_status", st.builds(Status, codes, descriptions), st.sampled_from([None, "ignored"])),
    op("set_status", st.sampled_from(["ERROR", None, 2])),
    op("update_name", names),
    op("end", times),
    op("is_recording"),
)
block_options = st.fixed_dictionaries(
    {},
    optional={
        "kind": kinds,
        "attributes": attributes,
        "links": st.lists(st.one_of(st.tuples(contexts, attributes), st.none()), max_size=3),
        "start_time": times,
        "record_exception": st.booleans(),
        "set_status_on_exception": st.booleans(),
    },
)
styles = st.sampled_from(["current", "current-not-ended", "with", "manual", "decorator", "async decorator"])
operations = st.recursive(
    simple,
    lambda inner: st.tuples(
        st.just("block"), styles, names, block_options, st.lists(inner, max_size=4), leaving
    ),
    max_leaves=14,
)
programs = st.lists(operations, max_size=4).map(lambda body: [("block", "current", "root", {}, body, None)])
parents = st.one_of(st.none(), contexts)


def run(tracer, program, span):
    for step in program:
        clock.tick()
        if step[0] == "block":
            run_block(tracer, *step[1:])
        else:
            name, arguments, named = step
            getattr(span, name)(*arguments, **named)


def run_block(tracer, style, name, options, body, leave):
    options = dict(options)
    if "links" in options:  # new ones: the SDK writes into those it is given
        options["links"] = [link and Link(*link) for link in options["links"]]

    def inside():
        span = trace.get_current_span()
        run(tracer, body, span)
        if leave is not None:
            raise leave("left")

    async def inside_async():
        inside()

    try:
        if style == "current":
            with tracer.start_as_current_span(name, **options):
                inside()
        elif style == "current-not-ended":
            with tracer.start_as_current_span(name, end_on_exit=False, **options) as span:
                inside()
            span.set_attribute("after the block", 1)
            span.end()
        elif style == "decorator":
            decorated = tracer.start_as_current_span(name, **options)(inside)
            for _ in range(1 if "links" in options else 2):  # the SDK has written into the links by then
                decorated()
        elif style == "async decorator":
            decorated = tracer.start_as_current_span(name, **options)(inside_async)
            with pytest.raises(StopIteration):  # as a loop would run it, but inside of another one, too
                decorated().send(None)
        else:
            with_or_not(tracer, style, name, options, body, leave)
    except (LeavesBlock, LeavesWithoutError):
        pass


def with_or_not(tracer, style, name, options, body, leave):
    span = tracer.start_span(name, **options)
    if style == "manual":
        run(tracer, body, span)
        span.end()
        span.end()
        span.set_attribute("too", "late")
        return
    with span:
        run(tracer, body, span)
        if leave is not None:
            raise leave("left")


@settings(max_examples=150, deadline=None)
@given(programs)
def test_any_program(program):
    compare(lambda tracer: run(tracer, program, None))


limits = st.builds(
    Limits,
    attributes=st.integers(0, 3),
    attribute_length=st.one_of(st.none(), st.integers(0, 4)),
    events=st.integers(0, 2),
    event_attributes=st.integers(0, 5),
    links=st.integers(0, 2),
    link_attributes=st.integers(0, 2),
    member_length=st.one_of(st.none(), st.integers(0, 4)),
)


@settings(max_examples=150, deadline=None)
@given(programs, limits)
def test_any_program_within_limits(program, limits):
    compare(lambda tracer: run(tracer, program, None), limits)


@settings(max_examples=60, deadline=None)
@given(parents, st.booleans(), st.booleans(), kinds)
def test_any_parent(parent, sampled, random_ids, kind):
    """Trace id, flags, tracestate and the decision come down from the parent."""

    def program(tracer):
        context = None if parent is None else trace.set_span_in_context(NonRecordingSpan(parent))
        span = tracer.start_span("child", context, kind)
        contexts_made.append(ids(span.get_span_context()))
        recording.append(span.is_recording())
        grandchild = tracer.start_span("grandchild", trace.set_span_in_context(span))
        contexts_made.append(ids(grandchild.get_span_context()))
        grandchild.end()
        span.end()

    contexts_made, recording = [], []
    compare(program, sampled=sampled, random_ids=random_ids)
    assert contexts_made[:2] == contexts_made[2:]
    assert recording[0] == recording[1]


def test_the_comparison_sees_a_difference():
    """It would be easy to compare nothing at all."""
    told_once = compare(lambda tracer: tracer.start_span("a", attributes={"x": True}).end())
    (span,) = told_once
    assert span["attributes"] == {"x": ("bool", "True")}
    assert span["json"]["attributes"] == {"x": True}
    assert span["start_time"] == 1_700_000_000_000_000_000
    with pytest.raises(AssertionError):
        turns = itertools.count()
        compare(lambda tracer: tracer.start_span(f"turn {next(turns)}").end())
