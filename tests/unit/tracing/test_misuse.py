"""What the application does wrong with a span costs it an attribute, and never an exception."""

from __future__ import annotations

import enum
import json

import pytest
from opentelemetry.trace import Status, StatusCode

from autotrace.sampling.standard import AlwaysOn
from autotrace.tracing.exceptions import MAX_STACKTRACE
from autotrace.tracing.provider import TracerProvider
from autotrace.tracing.resource import Resource


class Sink(list):
    """Finished spans, and the tracer that makes them."""

    def __init__(self):
        super().__init__()
        provider = TracerProvider(Resource({"service.name": "svc"}), AlwaysOn(), self.append)
        self.tracer = provider.get_tracer("lib")


@pytest.fixture
def sink():
    return Sink()


def test_stack_trace_is_bounded(sink):
    error = ValueError("x" * 100_000)
    span = sink.tracer.start_span("a")
    span.record_exception(error)
    stacktrace = span.events[0].attributes["exception.stacktrace"]
    assert len(stacktrace) == MAX_STACKTRACE
    assert stacktrace.endswith("xxx\n")


class Hostile:
    """Raises whatever is done with it."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class HostileMapping(dict):
    def items(self):
        raise RuntimeError("no items")


class HostileError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def _endless():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "misuse",
    [
        lambda span: span.set_attribute("a", Hostile()),
        lambda span: span.set_attribute("a", _endless()),
        lambda span: span.set_attribute("a", [HostileMapping(b=1)]),
        lambda span: span.set_attribute(Hostile(), 1),
        lambda span: span.set_attributes([("a", 1)]),
        lambda span: span.set_attributes(None),
        lambda span: span.set_attributes(HostileMapping(a=1)),
        lambda span: span.add_event("e", ["a"]),
        lambda span: span.add_event("e", HostileMapping(a=1)),
        lambda span: span.add_link("no context"),
        lambda span: span.add_link(None, {"a": 1}),
        lambda span: span.set_status(Status("ERROR", "no code")),
        lambda span: span.record_exception(HostileError()),
        lambda span: span.record_exception("no exception"),
        lambda span: span.set_status(Hostile()),
    ],
)
def test_misuse_does_not_raise(sink, misuse):
    span = sink.tracer.start_span("a", attributes={"kept": 1})
    misuse(span)
    span.end()
    assert span.attributes["kept"] == 1
    assert span.status.status_code is StatusCode.UNSET
    assert json.loads(span.to_json())["name"] == "a"


@pytest.mark.parametrize("attributes", [HostileMapping(a=1), ["a"], {"a": Hostile()}, 5])
def test_misuse_at_start_does_not_raise(sink, attributes):
    with sink.tracer.start_as_current_span("a", attributes=attributes) as span:
        assert span.is_recording()
    assert sink == [span]


def test_hostile_error_leaves_the_block_as_it_is(sink):
    error = HostileError("x")
    with pytest.raises(HostileError) as raised, sink.tracer.start_as_current_span("a"):
        raise error
    assert raised.value is error
    assert sink[0].status.description == "HostileError: <unprintable HostileError>"


def test_bytes_in_json(sink):
    span = sink.tracer.start_span("a", attributes={"raw": b"\xff", "list": [b"a"], "map": {"k": b"b"}})
    assert json.loads(span.to_json(None))["attributes"] == {
        "raw": "/w==",
        "list": ["YQ=="],
        "map": {"k": "Yg=="},
    }


def test_times_beyond_the_calendar_in_json(sink):
    span = sink.tracer.start_span("a", start_time=2**80)
    assert json.loads(span.to_json())["start_time"] == f"{2**80} ns"


def test_values_cannot_be_changed_afterwards(sink):
    given = {"list": [1, [2]], "map": {"k": [3]}}
    span = sink.tracer.start_span("a", attributes=given)
    given["list"][1].append(5)
    given["map"]["k"].append(5)
    assert span.attributes == {"list": (1, (2,)), "map": {"k": (3,)}}
    with pytest.raises(TypeError):
        span.attributes["x"] = 1


class Text(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError("no text")


class Number(int):
    def __int__(self):
        return 7


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Real(float):
    def __float__(self):
        return 7.0


class Blob(bytes):
    def __getitem__(self, index):
        return b"other"


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        (Text("x"), "x"),
        (Number(5), 5),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Real(2.5), 2.5),
        (Blob(b"blob"), b"blob"),
        (True, True),
        ([Colour.RED, [Level.HIGH]], ("red", (3,))),
        ({Colour.RED: 1, Text("k"): 2}, {"red": 1, "k": 2}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_subclasses_of_scalars_lose_their_class(sink, given, recorded):
    """They may answer anything to the exporter's thread, which asks without a guard."""
    span = sink.tracer.start_span("a", attributes={"at start": given})
    span.set_attribute("later", given)
    for value in span.attributes.values():
        assert value == recorded
        assert type(value) is type(recorded)


def test_keys_that_are_subclasses_of_text(sink):
    span = sink.tracer.start_span("a", attributes={Colour.RED: 1})
    span.set_attribute(Text("x"), 2)
    assert span.attributes == {"red": 1, "x": 2}
    assert {type(key) for key in span.attributes} == {str}


def test_what_has_no_text_is_none(sink):
    """The text would be an address, another one each time."""
    span = sink.tracer.start_span("a", attributes={"x": object(), "y": [object(), {1}]})
    assert span.attributes == {"x": None, "y": (None, "{1}")}


def test_values_that_refer_to_themselves_are_cut(sink):
    span = sink.tracer.start_span("a")
    span.set_attribute("x", _endless())
    assert repr(span.attributes["x"]) == "(" * 20 + "None" + ",)" * 20
