"""OTLP as OpenTelemetry's own generated classes read it, and as backends answer it."""

from __future__ import annotations

import base64
import gzip
import json
import math
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace

import pytest
from google.protobuf import json_format
from http_backend import answer, backend
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags, TraceState
from spans import START, finished_spans, make_span

from autotrace import notices
from autotrace.export import otlp_json, otlp_protobuf
from autotrace.export.delivery import bodies
from autotrace.export.otlp import OtlpExporter, from_settings
from autotrace.export.plain_values import json_text
from autotrace.export.sdk import SdkExporter
from autotrace.export.transport import HttpTransport
from autotrace.tracing.resource import Resource
from autotrace.tracing.scope import Scope
from autotrace.tracing.span import Event, Link

WORKED_SPAN = {
    "attributes": {"n": -1},
    "status_code": StatusCode.ERROR,
    "parent_is_remote": True,
}

WORKED_BYTES = bytes.fromhex(
    "0a8801 0a17 0a150a0c736572766963652e6e616d6512050a03737663 126d"
    "0a0b0a096175746f7472616365 125e 0a10ff00aa11bb22cc330123456789abcdef 1208fedcba9876543210"
    "220800000000000000a1 2a06474554202f61 3002 3900002a36fe9c9717 4160e34036fe9c9717"
    "4a100a016e120b18ffffffffffffffffff01 7a021802 850101030000"
)

WORKED_JSON = """
{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"svc"}}]},
"scopeSpans":[{"scope":{"name":"autotrace"},"spans":[{"traceId":"ff00aa11bb22cc330123456789abcdef",
"spanId":"fedcba9876543210","parentSpanId":"00000000000000a1","flags":769,"name":"GET /a","kind":2,
"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000001500000",
"attributes":[{"key":"n","value":{"intValue":"-1"}}],"status":{"code":2}}]}]}]}
"""

PARTIAL_BAD = bytes.fromhex("0a07 0803 1203 626164")
"""ExportTraceServiceResponse: three spans rejected, "bad"."""
STATUS_BAD = bytes.fromhex("0803 1203 626164")
"""google.rpc.Status: code 3, "bad"."""

lenient = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine may be busy."""

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


@pytest.fixture(autouse=True)
def _nothing_said_yet():
    notices._spoken.clear()


def decoded(*spans):
    return ExportTraceServiceRequest.FromString(otlp_protobuf.encode(spans))


def decoded_span(**fields):
    (resource_spans,) = decoded(make_span(**fields)).resource_spans
    (scope_spans,) = resource_spans.scope_spans
    (span,) = scope_spans.spans
    return span


def from_json(spans):
    """The JSON form as a protobuf message; ids are hexadecimal in OTLP, and base64 to `json_format`."""

    def with_base64_ids(pairs):
        members = dict(pairs)
        assert len(members) == len(pairs), "a key occurs twice"
        for key in {"traceId", "spanId", "parentSpanId"} & members.keys():
            members[key] = base64.b64encode(bytes.fromhex(members[key])).decode()
        return members

    content = json.loads(otlp_json.encode(spans), object_pairs_hook=with_base64_ids)
    return json_format.ParseDict(content, ExportTraceServiceRequest())


def from_protobuf(spans):
    return decoded(*spans)


READERS = [from_protobuf, from_json]


def python_value(value):
    member = value.WhichOneof("value")
    if member is None:
        return None
    content = getattr(value, member)
    if member == "array_value":
        return tuple(python_value(element) for element in content.values)
    if member == "kvlist_value":
        return python_dict(content.values)
    return content


def python_dict(pairs):
    result = {pair.key: python_value(pair.value) for pair in pairs}
    assert len(result) == len(pairs)
    return result


def exact(value):
    """A form in which `1`, `True` and `1.0` differ."""
    if isinstance(value, dict):
        return {key: exact(member) for key, member in value.items()}
    if isinstance(value, tuple):
        return tuple(exact(member) for member in value)
    return type(value), value


def plain(span, resource, scope):
    """A decoded span as plain values."""
    return {
        "resource": exact(python_dict(resource.attributes)),
        "scope": (scope.name, scope.version),
        "ids": (span.trace_id, span.span_id, span.parent_span_id),
        "name": span.name,
        "kind": span.kind,
        "times": (span.start_time_unix_nano, span.end_time_unix_nano),
        "attributes": exact(python_dict(span.attributes)),
        "events": [
            (e.time_unix_nano, e.name, exact(python_dict(e.attributes)), e.dropped_attributes_count)
            for e in span.events
        ],
        "links": [
            (x.trace_id, x.span_id, exact(python_dict(x.attributes)), x.dropped_attributes_count, x.flags)
            for x in span.links
        ],
        "status": (span.status.code, span.status.message),
        "dropped": (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count),
        "flags": span.flags,
    }


def expected(span):
    """What `plain` must say of our span."""
    return {
        "resource": exact(dict(span.resource.attributes)),
        "scope": (span.instrumentation_scope.name, span.instrumentation_scope.version or ""),
        "ids": (
            span.trace_id.to_bytes(16, "big"),
            span.span_id.to_bytes(8, "big"),
            span.parent_id.to_bytes(8, "big") if span.parent_id else b"",
        ),
        "name": span.name,
        "kind": span.kind.value + 1,
        "times": (span.start_time, span.end_time),
        "attributes": exact(dict(span.attributes)),
        "events": [(e.timestamp, e.name, exact(e.attributes), e.dropped_attributes) for e in span.events],
        "links": [
            (
                x.context.trace_id.to_bytes(16, "big"),
                x.context.span_id.to_bytes(8, "big"),
                exact(dict(x.attributes)),
                x.dropped_attributes,
                (0x300 if x.context.is_remote else 0x100) | x.context.trace_flags,
            )
            for x in span.links
        ],
        "status": (span.status_code.value, span.status_description or ""),
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "flags": (0x300 if span.parent_is_remote else 0x100) | span.trace_flags,
    }


def test_worked_bytes():
    assert otlp_protobuf.encode([make_span(**WORKED_SPAN)]) == WORKED_BYTES


def test_worked_json():
    assert json.loads(otlp_json.encode([make_span(**WORKED_SPAN)])) == json.loads(WORKED_JSON)


@lenient
@given(st.lists(finished_spans(), min_size=1, max_size=4))
def test_every_span_comes_back_as_it_was(spans):
    groups = []
    out = []
    for resource_spans in decoded(*spans).resource_spans:
        resource = resource_spans.resource
        for scope_spans in resource_spans.scope_spans:
            groups.append((resource.SerializeToString(), scope_spans.scope.SerializeToString()))
            out += [plain(span, resource, scope_spans.scope) for span in scope_spans.spans]
    assert len(groups) == len(set(groups)), "a resource and scope occurs twice"

    def first_of_group(span):
        alike = [s.resource == span.resource for s in spans].index(True)
        same_scope = [
            s.resource == span.resource and s.instrumentation_scope == span.instrumentation_scope
            for s in spans
        ].index(True)
        return alike, same_scope

    assert out == [expected(span) for span in sorted(spans, key=first_of_group)]


@lenient
@given(st.lists(finished_spans(), min_size=1, max_size=4))
def test_json_says_the_same_as_protobuf(spans):
    assert from_json(spans) == decoded(*spans)


ODD_VALUES = {
    "none": None,
    "true": True,
    "one": 1,
    "one.0": 1.0,
    "false": False,
    "zero": 0,
    "empty": "",
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "infinite": math.inf,
    "negative infinite": -math.inf,
    "bytes": b"\x00\xff",
    "mixed": ("a", 1, True, None, 1.5, b"b", ("nested",)),
    "map": {"a": 1, "b": {"c": ("d",)}, "e": None},
    "list": ["x"],
    "bars": 'a|b\\"\n\x00\x7f\u2028\U0001f600',
}


@pytest.mark.parametrize("read", READERS, ids=["protobuf", "json"])
def test_odd_values(read):
    message = read([make_span(attributes=dict(ODD_VALUES))])
    attributes = python_dict(message.resource_spans[0].scope_spans[0].spans[0].attributes)
    assert exact(attributes) == exact({**ODD_VALUES, "list": ("x",)})


@pytest.mark.parametrize("read", READERS, ids=["protobuf", "json"])
@pytest.mark.parametrize(
    ("value", "received"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\udcff", "\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        (2**63, "9223372036854775808"),
        (-(2**63) - 1, "-9223372036854775809"),
        ((10**5000,), ("integer of 16610 bits",)),  # in a tuple, since pytest would print it in the test's id
        ((2**64,), ("18446744073709551616",)),
        (HTTPStatus.OK, 200),
        (object, "<class 'object'>"),
        ({"\ud800": 1, 5: 2}, {"\ufffd": 1, "5": 2}),
    ],
)
def test_values_that_the_format_cannot_hold(read, value, received):
    message = read([make_span(attributes={"key": value})])
    attributes = python_dict(message.resource_spans[0].scope_spans[0].spans[0].attributes)
    assert exact(attributes) == exact({"key": received})


def test_nan():
    spans = [make_span(attributes={"n": math.nan})]
    for message in (decoded(*spans), from_json(spans)):
        assert math.isnan(message.resource_spans[0].scope_spans[0].spans[0].attributes[0].value.double_value)


class Unprintable:
    def __str__(self):
        raise RuntimeError

    __hash__ = None


HOSTILE = [
    {"name": "\ud800"},
    {"name": 5},
    {"name": None},
    {"kind": None},
    {"kind": "SERVER"},
    {"start_time": 1.5e18, "end_time": -1},
    {"start_time": "now", "end_time": None},
    {"start_time": 2**64, "end_time": math.inf},
    {"status_code": StatusCode.ERROR, "status_description": 5},
    {"status_code": StatusCode.ERROR, "status_description": "\udfff"},
    {"dropped_attributes": 2**40, "dropped_events": -1, "dropped_links": 2**32},
    {"attributes": {"a": Unprintable(), "b": "kept"}},
    {"attributes": {"a": {"b": [Unprintable()]}}},
    {"trace_flags": 0x1FF},
    {"events": [Event("e", -5, {"x": Unprintable()}), Event(None, 2**70, {}, 2**33)]},
]


@pytest.mark.parametrize("encoder", [otlp_protobuf, otlp_json], ids=["protobuf", "json"])
@pytest.mark.parametrize("fields", HOSTILE, ids="+".join)
def test_hostile_fields_are_sent_as_well_as_can_be(encoder, fields):
    spans = [make_span(**fields)]
    message = decoded(*spans) if encoder is otlp_protobuf else from_json(spans)
    (span,) = message.resource_spans[0].scope_spans[0].spans
    assert span.span_id == bytes.fromhex("fedcba9876543210")
    assert span.flags & ~0x3FF == 0


def test_deep_nesting_ends():
    value = "bottom"
    for _ in range(500):
        value = {"a": [value]}
    assert decoded_span(attributes={"a": value}).attributes
    assert from_json([make_span(attributes={"a": value})])
    assert json.loads(json_text(value))


def test_a_root_has_no_parent():
    assert decoded_span(parent_id=0).parent_span_id == b""
    assert "parentSpanId" not in otlp_json.encode([make_span(parent_id=0)]).decode()


@pytest.mark.parametrize(
    ("remote", "flags", "sent"), [(True, 1, 0x301), (False, 1, 0x101), (False, 3, 0x103), (True, 0, 0x300)]
)
def test_flags(remote, flags, sent):
    assert decoded_span(parent_is_remote=remote, trace_flags=flags).flags == sent


def test_trace_state_travels():
    state = TraceState([("a", "1"), ("b", "2")])
    context = SpanContext(1, 2, False, TraceFlags(1), TraceState([("c", "3")]))
    fields = {"trace_state": state, "links": [Link(context, {})]}
    span = decoded_span(**fields)
    assert (span.trace_state, span.links[0].trace_state) == ("a=1,b=2", "c=3")
    assert from_json([make_span(**fields)]) == decoded(make_span(**fields))


def test_schema_urls_and_scope_attributes():
    span = make_span(
        resource=Resource({"service.name": "svc"}, "https://schema/resource"),
        instrumentation_scope=Scope("lib", "1.0", "https://schema/scope", {"a": 1}),
    )
    (resource_spans,) = decoded(span).resource_spans
    (scope_spans,) = resource_spans.scope_spans
    assert resource_spans.schema_url == "https://schema/resource"
    assert scope_spans.schema_url == "https://schema/scope"
    assert python_dict(scope_spans.scope.attributes) == {"a": 1}
    assert from_json([span]) == decoded(span)


def test_the_memory_of_pairs_is_bounded():
    memory = otlp_protobuf._span_pairs
    for start in range(0, 10_000, 100):
        numbers = range(start, start + 100)
        attributes = {f"text{n}": f"value {n}" for n in numbers}
        attributes.update({f"number{n}": n for n in numbers})
        attributes["long"] = "x" * 10_000 + str(start)
        assert python_dict(decoded_span(attributes=attributes).attributes) == attributes
        assert len(memory) <= 2048
        assert len(memory._typed) <= 2048
    assert not any(len(value) > 256 for _, value in memory)


# Delivery.


@contextmanager
def exporter(url, protocol="http/protobuf", **options):
    made = OtlpExporter(HttpTransport(url, **options), protocol)
    try:
        yield made
    finally:
        made.shutdown()


def export(to, spans, within=5.0):
    return to.export(spans, time.monotonic() + within)


@pytest.mark.parametrize(
    ("protocol", "content_type"), [("http/protobuf", PROTOBUF), ("http/json", JSON)], ids=["protobuf", "json"]
)
def test_export(protocol, content_type):
    spans = [make_span(span_id=n) for n in (1, 2)]
    with backend() as served, exporter(served.url(), protocol) as to:
        assert export(to, spans) == {}
        assert to.destination == served.url()
    (request,) = served.received
    assert request.line == "POST /v1/traces HTTP/1.1"
    assert request.headers["content-type"] == content_type
    encoder = otlp_protobuf if protocol == "http/protobuf" else otlp_json
    assert request.body == encoder.encode(spans)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (PROTOBUF, PARTIAL_BAD),
        (JSON, b'{"partialSuccess":{"rejectedSpans":"3","errorMessage":"bad"}}'),
        (JSON + "; charset=utf-8", b'{"partialSuccess":{"rejectedSpans":3,"errorMessage":"bad"}}'),
    ],
    ids=["protobuf", "json", "json number"],
)
def test_partial_success_is_counted_and_never_retried(content_type, body, capsys):
    with backend(answer(200, body, content_type=content_type)) as served, exporter(served.url()) as to:
        assert export(to, [make_span()] * 5) == {"rejected by backend": 3}
    assert len(served.received) == 1
    assert "rejected 3 of 5 spans: bad" in capsys.readouterr().err


def test_partial_success_is_read_as_the_generated_classes_write_it():
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 300
    response.partial_success.error_message = "käse"
    body = response.SerializeToString()
    with backend(answer(200, body, content_type=PROTOBUF)) as served, exporter(served.url()) as to:
        assert export(to, [make_span()] * 2) == {"rejected by backend": 2}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff" * 50,
        b"\x0a",
        b"\x0a\xff\xff\xff\xff\x7f",
        b"{",
        b"[]",
        b'{"partialSuccess":5}',
        b"\x0b\x0c" * 9,
    ],
)
@pytest.mark.parametrize("content_type", [PROTOBUF, JSON, ""])
def test_success_with_an_unreadable_body_is_a_success(content_type, body):
    with backend(answer(200, body, content_type=content_type)) as served, exporter(served.url()) as to:
        assert export(to, [make_span()]) == {}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [(PROTOBUF, STATUS_BAD), (JSON, b'{"code":3,"message":"bad"}'), ("text/plain", b"bad\n")],
    ids=["protobuf", "json", "text"],
)
def test_why_a_request_was_refused(content_type, body, capsys):
    refusal = answer(400, body, content_type=content_type)
    with backend(refusal) as served, exporter(served.url()) as to:
        assert export(to, [make_span()] * 2) == {"http 400": 2}
        assert f"{served.url()} answered 400: bad\n" in capsys.readouterr().err


def test_words_of_the_backend_are_bounded_and_printable(capsys):
    refusal = answer(401, b"\x1b[31mno\r\n" + b"x" * 10_000, content_type="text/plain")
    with backend(refusal) as served, exporter(served.url()) as to:
        assert export(to, [make_span()]) == {"http 401": 1}
    message = capsys.readouterr().err
    assert len(message) < 500
    assert message.count("\n") == 1
    assert "\x1b" not in message


def test_too_large_for_the_backend_is_final():
    with backend(answer(413)) as served, exporter(served.url()) as to:
        assert export(to, [make_span()] * 3) == {"http 413": 3}
    assert len(served.received) == 1


def test_large_batches_are_split_and_the_span_that_fails_is_alone():
    good = [make_span(span_id=n + 1) for n in range(7)]
    too_large = make_span(attributes={"a": "x" * 2000})
    broken = make_span(span_id=2**64)
    losses = {}
    parts = list(bodies([*good[:3], too_large, *good[3:], broken], otlp_protobuf.encode, 500, losses))
    assert losses == {"span too large": 1, "span cannot be encoded": 1}
    sent = []
    for body, count in parts:
        assert len(body) <= 500
        (resource_spans,) = ExportTraceServiceRequest.FromString(body).resource_spans
        ids = [span.span_id[-1] for span in resource_spans.scope_spans[0].spans]
        assert len(ids) == count
        sent += ids
    assert sent == [1, 2, 3, 4, 5, 6, 7]


# Settings.


def settings(**fields):
    """Those that `from_settings` reads, as `autotrace.settings` fills them when nothing is set."""
    return SimpleNamespace(
        exporter_otlp_traces_endpoint=fields.get("endpoint", "http://localhost:4318/v1/traces"),
        exporter_otlp_traces_protocol=fields.get("protocol", "http/protobuf"),
        exporter_otlp_traces_headers=fields.get("headers", ()),
        exporter_otlp_traces_compression=fields.get("compression", ""),
        exporter_otlp_traces_timeout=10.0,
        exporter_otlp_traces_insecure=fields.get("insecure", False),
        exporter_otlp_traces_certificate="",
        exporter_otlp_traces_client_key="",
        exporter_otlp_traces_client_certificate="",
    )


def test_from_settings():
    with backend() as served:
        given = settings(endpoint=served.url("/x"), headers=(("api-key", "k"),), compression="gzip")
        to = from_settings(given)
        assert export(to, [make_span(**WORKED_SPAN)]) == {}
        to.shutdown()
    (request,) = served.received
    assert request.headers["api-key"] == "k"
    assert gzip.decompress(request.body) == WORKED_BYTES


def test_http_to_the_grpc_port_is_said(capsys):
    from_settings(settings(endpoint="http://user:secret@collector:4317/v1/traces"))
    message = capsys.readouterr().err
    assert message == "autotrace: http://collector:4317/v1/traces: 4317 is the gRPC port, HTTP is 4318\n"


@pytest.mark.parametrize(
    ("endpoint", "instead"),
    [
        ("http://collector:4317", "http://collector:4318/v1/traces"),
        ("https://collector:4317/", "https://collector:4318/v1/traces"),
        ("collector:4317", "https://collector:4318/v1/traces"),
        ("http://[::1]:4317", "http://[::1]:4318/v1/traces"),
        ("http://collector:9999/x", "http://collector:9999/x"),
    ],
)
def test_grpc_that_is_not_installed_becomes_http(endpoint, instead, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    to = from_settings(settings(protocol="grpc", endpoint=endpoint))
    assert to.destination == instead
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "autotrace[grpc]" in message
    assert instead in message


def test_grpc_without_tls_becomes_http_without_tls(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    to = from_settings(settings(protocol="grpc", endpoint="collector:4317", insecure=True))
    assert to.destination == "http://collector:4318/v1/traces"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_grpc_that_is_installed(scheme):
    """A child, since grpc's threads outlive the test and its forks are no friends of other tests."""
    if os.environ.get("AUTOTRACE_TEST_REQUIRED") != "1":
        pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    program = Path(__file__).with_name("grpc_collector.py")
    run = subprocess.run(
        [sys.executable, str(program), scheme], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    received = json.loads(run.stdout)
    assert received == {"type": "SdkExporter", "losses": {}, "api-key": "k", "names": ["GET /a"]}


class Recording:
    """An exporter as the SDK's protocol describes it."""

    def __init__(self, result):
        self.result = result
        self.calls = []

    def export(self, spans):
        self.calls.append(spans)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def force_flush(self):
        self.calls.append("flush")

    def shutdown(self):
        self.calls.append("shutdown")
        raise OSError("already gone")


def test_sdk_exporters(capsys):
    from opentelemetry.sdk.trace.export import SpanExportResult

    spans = [make_span(), make_span()]
    for result, losses in (
        (SpanExportResult.SUCCESS, {}),
        (SpanExportResult.FAILURE, {"exporter failed": 2}),
        (ValueError("no"), {"exporter failed": 2}),
        (None, {"exporter failed": 2}),
    ):
        inner = Recording(result)
        to = SdkExporter("plug", "somewhere", inner)
        assert export(to, spans) == losses
        to.shutdown()
        assert inner.calls == [tuple(spans), "flush", "shutdown"]
    assert "ValueError('no')" in capsys.readouterr().err


def test_an_exporter_of_the_sdk_takes_our_spans():
    """OpenTelemetry's own Zipkin exporter, which is made for the SDK's spans."""
    from opentelemetry.exporter.zipkin.json import ZipkinExporter

    span = make_span(attributes={"a": 1}, events=[Event("e", START, {})])
    with backend(answer(202, connection="close")) as served:
        theirs = ZipkinExporter(endpoint=served.url("/api/v2/spans"))
        to = SdkExporter("zipkin_json", served.url(), theirs)
        assert export(to, [span]) == {}
        theirs.session.close()  # it does not
        to.shutdown()
    (sent,) = json.loads(served.received[0].body)
    assert sent["name"] == "GET /a"
    assert sent["tags"]["a"] == "1"
