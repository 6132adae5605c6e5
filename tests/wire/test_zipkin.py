"""Zipkin JSON against OpenTelemetry's own encoder, span by span, and against a real Zipkin server."""

from __future__ import annotations

import base64
import ipaddress
import json
import math
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import zipkin_server as real
from http_backend import answer, backend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.zipkin.json.v2 import JsonV2Encoder
from opentelemetry.exporter.zipkin.node_endpoint import NodeEndpoint
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from spans import END, START, finished_spans, make_span

from autotrace import notices
from autotrace.export.zipkin import ZipkinExporter, encode, from_settings
from autotrace.tracing.resource import Resource
from autotrace.tracing.scope import Scope
from autotrace.tracing.span import Event, Link

zipkin_server = real.zipkin_server  # the fixture

LINK = Link(SpanContext(0xAB, 0xCD, True, TraceFlags(1), TraceState([("v", "1")])), {"k": "a|b"}, 2)


@pytest.fixture(autouse=True)
def _nothing_said_yet():
    notices._spoken.clear()


def no_duplicates(pairs):
    members = dict(pairs)
    assert len(members) == len(pairs), "a member occurs twice"
    return members


def encoded(*spans):
    return json.loads(encode(spans), object_pairs_hook=no_duplicates)


def encoded_span(**fields):
    (span,) = encoded(make_span(**fields))
    return span


def tags_of(**fields):
    """Without those of the scope."""
    scope_tags = ("otel.scope.name", "otel.library.name")
    return {
        key: value for key, value in encoded_span(**fields).get("tags", {}).items() if key not in scope_tags
    }


def test_worked_example():
    span = make_span(
        attributes={"http.request.method": "GET", "http.response.status_code": 500},
        events=[Event("cache.miss", START + 500_000, {"key": "k1"})],
        status_code=StatusCode.ERROR,
        resource=Resource({"service.name": "svc", "host.name": "h"}),
    )
    assert encoded(span) == [
        {
            "traceId": "ff00aa11bb22cc330123456789abcdef",
            "id": "fedcba9876543210",
            "parentId": "00000000000000a1",
            "kind": "SERVER",
            "name": "GET /a",
            "timestamp": 1700000000000000,
            "duration": 1500,
            "localEndpoint": {"serviceName": "svc"},
            "annotations": [{"timestamp": 1700000000000500, "value": '"cache.miss": {"key":"k1"}'}],
            "tags": {
                "http.request.method": "GET",
                "http.response.status_code": "500",
                "host.name": "h",
                "otel.scope.name": "autotrace",
                "otel.library.name": "autotrace",
                "otel.status_code": "ERROR",
                "error": "",
            },
        }
    ]


NAMES = [
    "peer.service",
    "service.peer.name",
    "server.address",
    "net.peer.name",
    "network.peer.address",
    "server.socket.domain",
    "server.socket.address",
    "net.sock.peer.name",
    "net.sock.peer.addr",
    "peer.hostname",
    "peer.address",
    "db.name",
]


# What we write otherwise than `opentelemetry-exporter-zipkin-json`, on purpose: how its span becomes ours.


def _as_text(value):
    """Theirs makes strings of an array's elements, and takes bytes for an array of integers."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return json.dumps(value, separators=(",", ":"))
    return value


class Reference(JsonV2Encoder):
    def _extract_tags_from_dict(self, tags_dict):
        return super()._extract_tags_from_dict({key: _as_text(value) for key, value in tags_dict.items()})


def _no_debug(theirs, span):
    """`debug` asks a B3 system to record against its sampling; sampled is not debug."""
    del theirs["debug"]


def _no_empty_kind(theirs, span):
    """An internal span has no kind; theirs is null, which the API does not allow."""
    if theirs["kind"] is None:
        del theirs["kind"]


def _no_service_name_tag(theirs, span):
    """It is the local endpoint's name already."""
    theirs["tags"].pop("service.name", None)


def _no_null_tags(theirs, span):
    """A scope without version: theirs is null, for which the server refuses the whole request."""
    for key in [key for key, value in theirs["tags"].items() if value is None]:
        del theirs["tags"][key]


def _at_least_a_microsecond(theirs, span):
    """0 means to Zipkin that the span has not ended."""
    theirs["duration"] = max(theirs["duration"], 1)


def _own_attributes_before_the_resource(theirs, span):
    """Theirs lets the resource win."""
    for key in span.attributes.keys() & span.resource.attributes.keys():
        value = _as_text(span.attributes[key])
        theirs["tags"][key] = str(value).lower() if isinstance(value, bool) else str(value)


def _no_error_that_is_false(theirs, span):
    """To Zipkin the mere presence of this tag is a failure."""
    if span.attributes.get("error") is False and span.status_code is not StatusCode.ERROR:
        theirs["tags"].pop("error")


def _annotations_as_the_collector_writes_them(theirs, span):
    """Theirs is one JSON object `{"name": {...}}`; neither viewers nor the collector take it apart."""
    for annotation, event in zip(theirs.get("annotations", ()), span.events):
        annotation["value"] = (
            json.dumps(event.name) + ": " + json.dumps(dict(event.attributes), sort_keys=True)
        )
        if not event.attributes:
            annotation["value"] = json.dumps(event.name) if "|" in event.name else event.name


def _links_are_tags(theirs, span):
    """Theirs leaves links out."""
    for number, link in enumerate(span.links):
        theirs["tags"][f"otlp.link.{number}"] = (
            f"{link.context.trace_id:032x}|{link.context.span_id:016x}||"
            f"{json.dumps(dict(link.attributes), separators=(',', ':'))}|{link.dropped_attributes}"
        )


def _remote_endpoint(theirs, span):
    """Theirs has none, and so no service map."""
    names = [name for name in NAMES if isinstance(span.attributes.get(name), str) and span.attributes[name]]
    if span.kind in (SpanKind.CLIENT, SpanKind.PRODUCER) and names:
        theirs["remoteEndpoint"] = {"serviceName": span.attributes[names[0]]}


MEANT = (
    _remote_endpoint,
    _no_debug,
    _no_empty_kind,
    _no_service_name_tag,
    _no_null_tags,
    _at_least_a_microsecond,
    _own_attributes_before_the_resource,
    _no_error_that_is_false,
    _annotations_as_the_collector_writes_them,
    _links_are_tags,
)
"""Every other difference; the docstring is the reason."""


def reference(span):
    (theirs,) = json.loads(Reference(max_tag_value_length=0).serialize([span], NodeEndpoint()))
    theirs["localEndpoint"] = {
        "serviceName": span.resource.attributes["service.name"]
    }  # NodeEndpoint guesses
    for difference in MEANT:
        difference(theirs, span)
    return theirs


def comparable(span):
    """With the JSON inside annotations and links decoded: it may be spaced and escaped in many ways."""
    for annotation in span.get("annotations", ()):
        if annotation["value"].startswith('"'):
            name, end = json.JSONDecoder().raw_decode(annotation["value"])
            annotation["value"] = (name, json.loads(annotation["value"][end + 2 :] or "null"))
    for key, value in span["tags"].items():
        if key.startswith("otlp.link."):
            *ids, state, rest = value.split("|", 3)
            attributes, _, dropped = rest.rpartition("|")
            span["tags"][key] = (ids, state, json.loads(attributes), dropped)
    return span


def is_address(value):
    try:
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    except ValueError:
        return False


def both_can_represent(span):
    """Bytes inside events break theirs, and an event's own name may look like JSON of ours.

    An attribute called like a tag of the exporter's own is written over, by theirs even with nothing.
    """
    if any(key.startswith(("otel.", "otlp.")) for key in span.attributes):
        return False
    if any(is_address(value) for value in span.attributes.values()):
        return False
    if any(event.name.startswith('"') for event in span.events):
        return False
    members = [dict(event.attributes) for event in span.events] + [
        dict(link.attributes) for link in span.links
    ]
    return not any(isinstance(value, bytes) for attributes in members for value in attributes.values())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(st.lists(finished_spans().filter(both_can_represent), min_size=1, max_size=2))
def test_spans_are_those_of_the_reference(spans):
    ours = encoded(*spans)
    for span, our in zip(spans, ours):
        assert comparable(our) == comparable(reference(span))


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (1.0, "1.0"),
        (1e300, "1e+300"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        ("text", "text"),
        ('a\ud800"\\\x00\n', 'a\ufffd"\\\x00\n'),
        ("\ud83d\ude00", "\U0001f600"),
        ("\\ud800", "\\ud800"),
        (b"\x00\xff", "AP8="),
        (None, ""),
        ((1, "a", True, None, math.inf), '[1,"a",true,null,"Infinity"]'),
        ({"a": {"b": (1.5,)}}, '{"a":{"b":[1.5]}}'),
        (["a"], '["a"]'),
        (2**70, "1180591620717411303424"),
    ],
    ids=repr,
)
def test_tag_values(value, tag):
    assert tags_of(attributes={"key": value}) == {"key": tag}


@pytest.mark.parametrize(
    ("fields", "tags"),
    [
        ({}, {}),
        ({"status_code": StatusCode.OK}, {"otel.status_code": "OK"}),
        ({"status_code": StatusCode.ERROR}, {"otel.status_code": "ERROR", "error": ""}),
        (
            {"status_code": StatusCode.ERROR, "status_description": "boom"},
            {"otel.status_code": "ERROR", "error": "boom"},
        ),
        ({"attributes": {"error": False}}, {}),
        ({"attributes": {"error": False}, "status_code": StatusCode.OK}, {"otel.status_code": "OK"}),
        ({"attributes": {"error": True}}, {"error": "true"}),
        ({"attributes": {"error": "why"}}, {"error": "why"}),
        (
            {"attributes": {"error": False}, "status_code": StatusCode.ERROR, "status_description": "boom"},
            {"otel.status_code": "ERROR", "error": "boom"},
        ),
        (
            {"dropped_attributes": 1, "dropped_events": 2, "dropped_links": 3},
            {
                "otel.dropped_attributes_count": "1",
                "otel.dropped_events_count": "2",
                "otel.dropped_links_count": "3",
            },
        ),
        ({"trace_state": TraceState([("a", "1"), ("b", "2")])}, {"w3c.tracestate": "a=1,b=2"}),
        (
            {"links": [LINK]},
            {"otlp.link.0": '000000000000000000000000000000ab|00000000000000cd|v=1|{"k":"a\\u007cb"}|2'},
        ),
    ],
)
def test_tags_for_what_has_no_member(fields, tags):
    assert tags_of(**fields) == tags


def test_attributes_of_the_span_win_over_the_resource():
    resource = Resource({"service.name": "svc", "service.namespace": "shop", "host.name": "outer"})
    tags = tags_of(attributes={"host.name": "inner", "otel.scope.version": "x"}, resource=resource)
    assert tags == {"service.namespace": "shop", "host.name": "inner", "otel.scope.version": "x"}


def test_scope():
    span = encoded_span(instrumentation_scope=Scope("lib", "1.2"))
    assert span["tags"] == {
        "otel.scope.name": "lib",
        "otel.scope.version": "1.2",
        "otel.library.name": "lib",
        "otel.library.version": "1.2",
    }


def test_empty_things_are_left_out():
    span = encoded_span(instrumentation_scope=Scope(""), parent_id=0, kind=SpanKind.INTERNAL)
    assert span.keys() == {"traceId", "id", "name", "timestamp", "duration", "localEndpoint"}


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (SpanKind.INTERNAL, None),
        (SpanKind.SERVER, "SERVER"),
        (SpanKind.CLIENT, "CLIENT"),
        (SpanKind.PRODUCER, "PRODUCER"),
        (SpanKind.CONSUMER, "CONSUMER"),
    ],
)
def test_kinds(kind, written):
    assert encoded_span(kind=kind).get("kind") == written


@pytest.mark.parametrize(
    ("nanoseconds", "duration"), [(0, 1), (1, 1), (999, 1), (1499, 1), (1500, 2), (-5, 1)]
)
def test_duration(nanoseconds, duration):
    assert encoded_span(end_time=START + nanoseconds)["duration"] == duration


@pytest.mark.parametrize("first", range(len(NAMES)))
def test_remote_endpoint_precedence(first):
    attributes = {name: f"host-{name}" for name in reversed(NAMES[first:])}
    span = encoded_span(kind=SpanKind.CLIENT, attributes=attributes)
    assert span["remoteEndpoint"] == {"serviceName": f"host-{NAMES[first]}"}


@pytest.mark.parametrize(
    ("attributes", "endpoint"),
    [
        ({"server.address": "10.0.0.1"}, {"ipv4": "10.0.0.1"}),
        ({"server.address": "::1"}, {"ipv6": "::1"}),
        ({"network.peer.address": "10.0.0.1", "network.peer.port": 80}, {"ipv4": "10.0.0.1", "port": 80}),
        ({"net.sock.peer.addr": "fe80::1", "net.sock.peer.port": "443"}, {"ipv6": "fe80::1", "port": 443}),
        ({"network.peer.address": "/tmp/x.sock", "network.peer.port": 0}, {"serviceName": "/tmp/x.sock"}),
        ({"network.peer.address": "h", "network.peer.port": 70000}, {"serviceName": "h"}),
        ({"network.peer.address": "h", "network.peer.port": "http"}, {"serviceName": "h"}),
        ({"server.address": "a\x00b\ud800"}, {"serviceName": "a\x00b\ufffd"}),
        ({"server.address": "", "db.name": "shop"}, {"serviceName": "shop"}),
        ({"server.address": 5, "db.name": "shop"}, {"serviceName": "shop"}),
        ({}, None),
    ],
)
@pytest.mark.parametrize("kind", [SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.SERVER])
def test_remote_endpoint(kind, attributes, endpoint):
    expected = None if kind is SpanKind.SERVER else endpoint
    assert encoded_span(kind=kind, attributes=attributes).get("remoteEndpoint") == expected


@pytest.mark.parametrize(
    ("name", "attributes", "value"),
    [
        ("retry", {}, "retry"),
        ("retry", {"n": 1}, '"retry": {"n":1}'),
        ("a|b|c", {}, '"a\\u007cb\\u007cc"'),
        (
            "e",
            {"exception.stacktrace": "  | ValueError\n  +-|"},
            r'"e": {"exception.stacktrace":"  \u007c ValueError\n  +-\u007c"}',
        ),
        ('käse "x"', {"b": b"\x00"}, '"k\\u00e4se \\"x\\"": {"b":"AA=="}'),
    ],
)
def test_annotations(name, attributes, value):
    (annotation,) = encoded_span(events=[Event(name, START, attributes)])["annotations"]
    assert annotation == {"timestamp": START // 1000, "value": value}


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "\ud800"},
        {"name": None},
        {"kind": None},
        {"start_time": 1.5e18, "end_time": None},
        {"start_time": "now"},
        {"status_code": StatusCode.ERROR, "status_description": 5},
        {"attributes": {"a": object(), "b": [object()], 5: "c"}},
        {"attributes": {"a": float("nan"), "b": 10**5000}},
        {"events": [Event(None, "x", {"a": object()})]},
    ],
    ids="+".join,
)
def test_hostile_fields_are_sent_as_well_as_can_be(fields):
    span = encoded_span(**fields)
    assert span["id"] == "fedcba9876543210"
    assert all(type(value) is str for value in span["tags"].values())


# Delivery.


@contextmanager
def exporter(url, timeout=10.0):
    made = ZipkinExporter(url, timeout)
    try:
        yield made
    finally:
        made.shutdown()


def export(to, spans, within=5.0):
    return to.export(spans, time.monotonic() + within)


def test_request():
    with backend(answer(202)) as served, exporter(served.url("/api/v2/spans")) as to:
        assert export(to, [make_span()]) == {}
        assert to.destination == served.url("/api/v2/spans")
    (request,) = served.received
    assert request.line == "POST /api/v2/spans HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["b3"] == "0"
    assert request.body == encode([make_span()])


def test_refusal_with_its_reason(capsys):
    with backend(answer(400, b"Expected a JSON_V2 encoded list")) as served, exporter(served.url()) as to:
        assert export(to, [make_span()] * 2) == {"http 400": 2}
    assert "answered 400: Expected a JSON_V2 encoded list" in capsys.readouterr().err


def test_large_batches_are_split():
    spans = [make_span(attributes={"a": "x" * 2**20}) for _ in range(8)]
    with backend(answer(202)) as served, exporter(served.url()) as to:
        assert export(to, spans) == {}
    assert [len(json.loads(request.body)) for request in served.received] == [4, 4]


def test_from_settings():
    with backend(answer(202)) as served:
        to = from_settings(
            SimpleNamespace(exporter_zipkin_endpoint=served.url("/z"), exporter_zipkin_timeout=2.5)
        )
        assert export(to, [make_span()]) == {}
        to.shutdown()
    assert served.received[0].line == "POST /z HTTP/1.1"


@pytest.mark.slow
def test_a_real_server_gives_the_trace_back(zipkin_server):
    resource = Resource({"service.name": "shop", "host.name": "h1"})
    server_span = make_span(
        parent_id=0,
        resource=resource,
        attributes={"http.request.method": "GET", "flag": True, "share": 0.5, "list": (1, 2)},
        events=[Event("cache.miss", START + 500_000, {"key": "k|1|2"})],
        links=[LINK],
    )
    client_span = make_span(
        name="SELECT orders",
        span_id=0xA2,
        parent_id=server_span.span_id,
        kind=SpanKind.CLIENT,
        resource=resource,
        attributes={"server.address": "db.local"},
        status_code=StatusCode.ERROR,
        status_description="no such table",
        start_time=START + 1000,
        end_time=END - 1000,
    )
    with exporter(zipkin_server.url) as to:
        assert export(to, [client_span, server_span]) == {}
    stored = {span["id"]: span for span in zipkin_server.trace("ff00aa11bb22cc330123456789abcdef", 2)}
    server, client = encoded(server_span, client_span)
    for span in (server, client):  # the server's own rule: names are lower case
        span["name"] = span["name"].lower()
    assert stored == {server["id"]: server, client["id"]: client}


@pytest.mark.slow
def test_a_real_server_draws_the_link_to_the_database(zipkin_server):
    span = make_span(
        trace_id=0xBEEF << 64,
        parent_id=0,
        kind=SpanKind.CLIENT,
        attributes={"server.address": "orders-db"},
        start_time=time.time_ns() - 10**9,
        end_time=time.time_ns(),
    )
    with exporter(zipkin_server.url) as to:
        assert export(to, [span]) == {}
    zipkin_server.trace(f"{span.trace_id:032x}", 1)
    status, links = zipkin_server.get(f"/api/v2/dependencies?endTs={time.time_ns() // 10**6}")
    assert status == 200
    assert {"parent": "svc", "child": "orders-db", "callCount": 1} in links


@pytest.mark.slow
def test_a_real_server_takes_odd_spans(zipkin_server):
    spans = [
        make_span(
            trace_id=0xCAFE << 64,
            span_id=number + 1,
            parent_id=0,
            name="käse \ud800 |",
            attributes={"text": text, "none": None, "bytes": b"\xff", "map": {"a": (1, None)}},
            events=[Event(text, START, {"x": text})],
            end_time=START,
        )
        for number, text in enumerate(["", "\x00", "\U0001f600", "\ud800", "a|b|c", "x" * 100_000])
    ]
    with exporter(zipkin_server.url) as to:
        assert export(to, spans) == {}
    stored = zipkin_server.trace(f"{0xCAFE << 64:032x}", len(spans))
    texts = {span["id"]: span.get("tags", {}).get("text") for span in stored}
    assert texts["0000000000000003"] == "\U0001f600"
    assert texts["0000000000000004"] == "\ufffd"
    assert texts["0000000000000005"] == "a|b|c"


@pytest.mark.slow
def test_a_real_server_refuses_with_words(zipkin_server, capsys):
    with exporter(zipkin_server.url.replace("/v2/", "/v1/")) as to:
        assert export(to, [make_span()]) == {"http 400": 1}
    assert "answered 400: " in capsys.readouterr().err
