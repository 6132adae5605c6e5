"""What our exporters write is what the collector reads: the same span, as far as the format can say it."""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import SpanContext, StatusCode
from spans import START, finished_spans, make_span

from autotrace.decoding import (
    jaeger_thrift,
    otlp_json,
    otlp_protobuf,
    zipkin_json,
    zipkin_protobuf,
)
from autotrace.decoding.decoded import MalformedError
from autotrace.export import otlp_json as write_otlp_json
from autotrace.export import otlp_protobuf as write_otlp_protobuf
from autotrace.export import thrift_binary, thrift_compact, zipkin
from autotrace.export.jaeger_spans import SpanEncoder
from autotrace.export.plain_values import json_text, tag_text
from autotrace.export.records import Records
from autotrace.store.records import (
    FLAG_DEBUG,
    FLAG_SAMPLED,
    FLAG_SHARED,
    KIND_CLIENT,
    KIND_INTERNAL,
    KIND_SERVER,
    KIND_UNSPECIFIED,
    STATUS_ERROR,
    STATUS_OK,
    STATUS_UNSET,
)
from autotrace.store.rows import prepared
from autotrace.tracing.span import Event, Link

lenient = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40)
"""The machine may be busy."""
batches = st.lists(finished_spans(), min_size=1, max_size=4)


def records(spans):
    maker = Records()
    return [maker.of(span) for span in spans]


def plain(records):
    """Comparable: NaN-free copies whose mappings are dicts."""
    return [
        record._replace(
            attributes=dict(record.attributes),
            events=tuple(event._replace(attributes=dict(event.attributes)) for event in record.events),
            links=tuple(link._replace(attributes=dict(link.attributes)) for link in record.links),
        )
        for record in records
    ]


@pytest.mark.parametrize(
    ("write", "read"),
    [(write_otlp_protobuf, otlp_protobuf), (write_otlp_json, otlp_json)],
    ids=["protobuf", "json"],
)
@lenient
@given(spans=batches)
def test_otlp_loses_nothing(write, read, spans):
    decoded = read.decode(write.encode(spans))
    assert not decoded.rejected
    # Grouped by resource on the wire.
    assert sorted(plain(decoded.spans), key=repr) == sorted(plain(records(spans)), key=repr)


SPECIAL = {
    "trace_id",
    "span_id",
    "event",
    "link",
    "error",
    "hostname",
    "http.status_code",
    "http.response.status_code",
}
PREFIXES = ("otel.", "otlp.", "opentracing.", "telemetry.", "w3c.", "span.", "service.", "jaeger.", '"', "{")


def is_ordinary(span):
    """Whether nothing means something else on these wires; Hypothesis finds such names in our code."""
    events, links = span._events or (), span._links or ()
    names = {name for owner in (*events, *links) for name in owner.attributes}
    names.update(span._attributes, [event.name for event in events])
    if any(link.context.trace_id == span.trace_id for link in links):
        return False  # to Jaeger, a reference within the trace may be the parent
    return SPECIAL.isdisjoint(names) and not any(name.startswith(PREFIXES) for name in names)


ordinary = finished_spans().filter(is_ordinary)


def jaeger_packet(thrift, spans):
    encoder = SpanEncoder(thrift)
    return encoder.process(spans[0].resource), [encoder.span(span) for span in spans]


def in_order(spans):
    """Links sorted: which of two to the same span has the attributes is not on the wire."""
    return [span._replace(links=tuple(sorted(span.links, key=repr))) for span in spans]


def jaeger_value(value):
    if isinstance(value, (str, bool, int, bytes)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return tag_text(value)


def as_jaeger(record):
    """What Jaeger's Thrift can say of a span."""
    values = {key: jaeger_value(value) for key, value in record.attributes.items()}
    return record._replace(
        kind=KIND_UNSPECIFIED if record.kind == KIND_INTERNAL else record.kind,
        start=record.start // 1000 * 1000,
        duration=record.duration // 1000 * 1000,
        flags=FLAG_SAMPLED,
        attributes=values,
        events=tuple(
            event._replace(
                timestamp=event.timestamp // 1000 * 1000,
                attributes={key: jaeger_value(value) for key, value in event.attributes.items()},
            )
            for event in record.events
        ),
        links=tuple(
            link._replace(
                flags=0,
                attributes={key: jaeger_value(value) for key, value in link.attributes.items()},
                # Without attributes there is no log that could carry the count.
                dropped_attributes=link.dropped_attributes if link.attributes else 0,
            )
            for link in record.links
        ),
    )


@pytest.mark.parametrize(
    ("thrift", "wrap", "read"),
    [
        (thrift_compact, thrift_compact.message, jaeger_thrift.decode_compact_message),
        (thrift_binary, thrift_binary.message, jaeger_thrift.decode_binary_message),
        (thrift_binary, thrift_binary.batch, jaeger_thrift.decode),
    ],
    ids=["compact", "binary", "http"],
)
@lenient
@given(span=ordinary)
def test_jaeger_keeps_what_it_can_say(thrift, wrap, read, span):
    process, encoded = jaeger_packet(thrift, [span])
    decoded = read(wrap(process, encoded))
    assert in_order(plain(decoded.spans)) == in_order([as_jaeger(record) for record in records([span])])


def zipkin_event(event):
    attributes = json.loads(json_text(dict(event.attributes)))
    return event._replace(
        timestamp=(event.timestamp + 500) // 1000 * 1000, attributes=attributes, dropped_attributes=0
    )


def as_zipkin(record):
    """What a Zipkin span can say of ours."""
    resource = {key: value for key, value in record.resource.attributes.items() if key != "service.name"}
    tags = {key: tag_text(value) for key, value in {**resource, **record.attributes}.items()}
    if record.attributes.get("error") is False:
        del tags["error"]
    return record._replace(
        parent_id=record.parent_id if record.parent_id != record.span_id else 0,
        kind=KIND_UNSPECIFIED if record.kind == KIND_INTERNAL else record.kind,
        start=(record.start + 500) // 1000 * 1000,
        duration=max((record.duration + 500) // 1000, 1) * 1000,
        flags=FLAG_SAMPLED,
        attributes=tags,
        events=tuple(map(zipkin_event, record.events)),
        links=tuple(
            link._replace(flags=0, attributes=json.loads(json_text(dict(link.attributes))))
            for link in record.links
        ),
        resource=record.resource._replace(
            attributes={"service.name": record.resource.attributes["service.name"]}, schema_url=""
        ),
    )


@lenient
@given(spans=st.lists(ordinary, min_size=1, max_size=4))
def test_zipkin_keeps_what_it_can_say(spans):
    decoded = zipkin_json.decode(zipkin.encode(spans))
    assert plain(decoded.spans) == [as_zipkin(record) for record in records(spans)]


DECODERS = {
    "otlp protobuf": otlp_protobuf.decode,
    "otlp json": otlp_json.decode,
    "zipkin json": zipkin_json.decode,
    "zipkin json v1": zipkin_json.decode_v1,
    "zipkin protobuf": zipkin_protobuf.decode,
    "jaeger batch": jaeger_thrift.decode,
    "jaeger compact": jaeger_thrift.decode_compact_message,
    "jaeger binary": jaeger_thrift.decode_binary_message,
}
EXAMPLE = make_span(
    attributes={"n": -1, "r": 0.5, "s": "x", "b": True, "bytes": b"\0", "list": ("a", "b")},
    events=[Event("e", START, {"k": "v"}, 0)],
    links=[Link(SpanContext(1, 2, is_remote=True), {"k": 1}, 0)],
    status_code=StatusCode.ERROR,
    status_description="why",
)


def written():
    compact, binary = (jaeger_packet(thrift, [EXAMPLE] * 3) for thrift in (thrift_compact, thrift_binary))
    return {
        "otlp protobuf": write_otlp_protobuf.encode([EXAMPLE] * 3),
        "otlp json": write_otlp_json.encode([EXAMPLE] * 3),
        "zipkin json": zipkin.encode([EXAMPLE] * 3),
        "zipkin json v1": json.dumps(VERSION_1).encode(),
        "zipkin protobuf": ZIPKIN_PROTOBUF,
        "jaeger batch": thrift_binary.batch(*binary),
        "jaeger compact": thrift_compact.message(*compact),
        "jaeger binary": thrift_binary.message(*binary),
    }


def read(decode, body):
    """Decode, and use the result as the store does; only MalformedError may come out."""
    try:
        spans = decode(body).spans
    except MalformedError:
        return
    assert len(prepared(spans)) == len(spans)


@pytest.mark.parametrize("name", DECODERS)
@lenient
@given(data=st.data())
def test_hostile_bytes_are_refused_in_good_order(name, data):
    """Damage at one place finds more than noise does; noise is tried too."""
    good = written()[name]
    kind = data.draw(st.sampled_from(["noise", "cut", "changed", "doubled", "inserted"]))
    position = data.draw(st.integers(0, len(good) - 1))
    odd = data.draw(st.binary(min_size=1, max_size=12))
    body = {
        "noise": odd * 3,
        "cut": good[:position],
        "changed": good[:position] + odd + good[position + len(odd) :],
        "doubled": good[:position] + good,
        "inserted": good[:position] + odd + good[position:],
    }[kind]
    read(DECODERS[name], body)


@pytest.mark.parametrize("name", [name for name in DECODERS if "json" in name])
@lenient
@given(data=st.data())
def test_json_of_any_shape_is_refused_in_good_order(name, data):
    """One value of a good message becomes another one."""
    strange = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.just([]),
        st.just({}),
        st.just([[]]),
        st.just({"": {}}),
        st.just([None]),
        st.just("9" * 5000),
        st.just(10**30),
    )
    message = json.loads(written()[name])
    places: list[Any] = []

    def walk(value):
        members = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, member in members:
            places.append((value, key))
            walk(member)

    walk(message)
    owner, key = data.draw(st.sampled_from(places))
    owner[key] = data.draw(strange)
    read(DECODERS[name], json.dumps(message).encode())


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("otlp json", b"[" * 100_000),
        ("otlp json", b'{"resourceSpans":' * 100_000),
        ("zipkin json", b"[" * 100_000),
        ("zipkin json", b'[{"traceId":"' + b"1" * 100_000),
        ("jaeger batch", b"\x0c\x00\x01" * 100_000),
        ("jaeger batch", bytes.fromhex("0f0002 0c 7fffffff")),
        ("jaeger batch", bytes.fromhex("0b0001 7fffffff")),
        ("jaeger batch", bytes.fromhex("0b0001 ffffffff")),
        ("jaeger compact", bytes.fromhex("828100 09") + b"emitBatch" + b"\x1c" * 10_000),
        ("jaeger compact", bytes.fromhex("828100 09") + b"emitBatch" + bytes.fromhex("1c 29 fc ffffffff0f")),
        ("jaeger binary", bytes.fromhex("80010004 0000000b") + b"emitZipkin!" + bytes(4)),
        ("otlp protobuf", b"\x0a\xff\xff\xff\xff\x0f"),
        ("otlp protobuf", b"\xff" * 100),
        ("otlp protobuf", b"\x0a\x03\x12\x05\x12"),
        ("zipkin protobuf", b"\x0a\x02\x0a\x00"),
    ],
)
def test_lies_about_sizes_and_endless_nesting_are_malformed(name, body):
    with pytest.raises(MalformedError):
        DECODERS[name](body)


def test_a_value_nested_deep_becomes_none_at_the_depth_that_is_kept():
    value = b"\x0a\x01x"
    for _ in range(500):
        value = b"\x0a" + varint(len(value)) + value
        value = b"\x2a" + varint(len(value)) + value
    pair = b"\x0a\x01k\x12" + varint(len(value)) + value
    span = b"\x0a\x10" + b"\1" * 16 + b"\x12\x08" + b"\1" * 8 + b"\x4a" + varint(len(pair)) + pair
    (decoded,) = otlp_protobuf.decode(nested(span)).spans
    depth, kept = 0, decoded.attributes["k"]
    while kept is not None:
        (kept,) = kept
        depth += 1
    assert depth == 32


def varint(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def nested(span):
    for tag in (b"\x12", b"\x12", b"\x0a"):
        span = tag + varint(len(span)) + span
    return span


def test_a_span_that_is_invalid_costs_no_other():
    spans = [make_span(), make_span(trace_id=0), make_span(span_id=0), make_span()]
    for decode, body in (
        (otlp_protobuf.decode, write_otlp_protobuf.encode(spans)),
        (otlp_json.decode, write_otlp_json.encode(spans)),
    ):
        decoded = decode(body)
        assert (len(decoded.spans), decoded.rejected, "trace id" in decoded.reason) == (2, 2, True)
    decoded = jaeger_thrift.decode(thrift_binary.batch(*jaeger_packet(thrift_binary, spans)))
    assert (len(decoded.spans), decoded.rejected) == (2, 2)


def test_text_that_is_not_utf8_costs_no_span():
    body = write_otlp_protobuf.encode([make_span()]).replace(b"GET /a", b"GET \xff\xfe")
    assert otlp_protobuf.decode(body).spans[0].name == "GET \ufffd\ufffd"
    body = thrift_binary.batch(*jaeger_packet(thrift_binary, [make_span()])).replace(
        b"GET /a", b"GET \xff\xfe"
    )
    assert jaeger_thrift.decode(body).spans[0].name == "GET \ufffd\ufffd"


def test_members_beyond_the_limit_are_counted_as_dropped():
    span = b"\x0a\x10" + b"\1" * 16 + b"\x12\x08" + b"\1" * 8 + b"\x5a\x00" * 10_005 + b"\x50\x02"
    (decoded,) = otlp_protobuf.decode(nested(span)).spans
    assert (len(decoded.events), decoded.dropped_events, decoded.dropped_attributes) == (10_000, 5, 2)


def test_otlp_protobuf_of_the_generated_classes():
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add(schema_url="r")
    resource_spans.resource.attributes.add(key="service.name").value.string_value = "a"
    scope_spans = resource_spans.scope_spans.add(schema_url="s")
    scope_spans.scope.name, scope_spans.scope.version = "lib", "2"
    span = scope_spans.spans.add(trace_id=b"\1" * 16, span_id=b"\2" * 8, name="x", start_time_unix_nano=5)
    values = span.attributes.add(key="map").value.kvlist_value.values
    values.add(key="a").value.int_value = -(2**63)
    values.add(key="b").value.array_value.values.add().double_value = 0.25
    span.attributes.add(key="nothing")
    (decoded,) = otlp_protobuf.decode(request.SerializeToString()).spans
    assert decoded.attributes == {"map": {"a": -(2**63), "b": (0.25,)}, "nothing": None}
    assert (decoded.start, decoded.duration, decoded.parent_id, decoded.kind) == (5, None, 0, 0)
    assert (decoded.resource.schema_url, decoded.scope.schema_url, decoded.scope.version) == ("r", "s", "2")
    assert decoded.resource.service == "a"


def test_otlp_json_takes_what_the_specification_allows():
    span = {
        "traceId": "FF" * 16,
        "spanId": "ab" * 8,
        "startTimeUnixNano": 7,
        "endTimeUnixNano": "9",
        "unknown": [1],
        "attributes": [
            {"key": "nan", "value": {"doubleValue": "NaN"}},
            {"key": "inf", "value": {"doubleValue": "-Infinity"}},
            {"key": "n", "value": {"intValue": 3}},
            {"key": "b", "value": {"bytesValue": base64.b64encode(b"x").decode()}},
            {"key": "e", "value": {}},
        ],
        "status": {"code": 2, "message": "m"},
    }
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    (decoded,) = otlp_json.decode(body).spans
    assert math.isnan(decoded.attributes.pop("nan"))
    assert decoded.attributes == {"inf": -math.inf, "n": 3, "b": b"x", "e": None}
    assert (decoded.duration, decoded.status, decoded.status_message) == (2, STATUS_ERROR, "m")


def zipkin_span(**members):
    span = {
        "traceId": "463ac35c9f6413ad",
        "id": "a2fb4a1d1a96d312",
        "name": "get /",
        "timestamp": 1,
        "duration": 2,
    }
    (decoded,) = zipkin_json.decode(json.dumps([{**span, **members}]).encode()).spans
    return decoded


def test_zipkin_members_without_a_home_are_attributes():
    span = zipkin_span(
        parentId="0000000000000000",
        kind="CLIENT",
        debug=True,
        shared=True,
        localEndpoint={"serviceName": "front", "ipv4": "10.0.0.1", "ipv6": "::1", "port": 80},
        remoteEndpoint={"serviceName": "db", "ipv6": "::2", "port": 5432},
        tags={"a": "1"},
        annotations=[{"timestamp": 3, "value": "retry | again"}],
    )
    assert (span.trace_id, span.span_id, span.parent_id) == (0x463AC35C9F6413AD, 0xA2FB4A1D1A96D312, 0)
    assert (span.kind, span.start, span.duration) == (KIND_CLIENT, 1000, 2000)
    assert span.flags == FLAG_SAMPLED | FLAG_DEBUG | FLAG_SHARED
    assert span.resource.attributes == {"service.name": "front"}
    assert span.attributes == {
        "a": "1",
        "network.local.address": "10.0.0.1",
        "zipkin.local.ipv6": "::1",
        "network.local.port": 80,
        "peer.service": "db",
        "network.peer.address": "::2",
        "network.peer.port": 5432,
    }
    assert [(event.name, event.timestamp) for event in span.events] == [("retry | again", 3000)]


def test_zipkin_errors():
    native = zipkin_span(tags={"error": "500"})
    assert (native.status, native.status_message, native.attributes) == (
        STATUS_ERROR,
        "500",
        {"error": "500"},
    )
    otel = zipkin_span(tags={"error": "boom", "otel.status_code": "ERROR"})
    assert (otel.status, otel.status_message, otel.attributes) == (STATUS_ERROR, "boom", {})
    assert zipkin_span(tags={"otel.status_code": "STATUS_CODE_OK"}).status == STATUS_OK
    assert zipkin_span().status == STATUS_UNSET


def test_zipkin_tags_of_an_opentelemetry_resource_go_back_to_it():
    tags = {"telemetry.sdk.name": "opentelemetry", "host.name": "h", "http.route": "/"}
    span = zipkin_span(tags=tags, localEndpoint={"serviceName": "s"})
    assert span.attributes == {"http.route": "/"}
    assert span.resource.attributes == {
        "service.name": "s",
        "telemetry.sdk.name": "opentelemetry",
        "host.name": "h",
    }
    assert zipkin_span(tags={"host.name": "h"}).attributes == {"host.name": "h"}


@pytest.mark.parametrize(
    "members",
    [
        {"id": "0000000000000000"},
        {"id": "xyz"},
        {"id": ""},
        {"traceId": "1" * 33},
        {"traceId": None},
        {"tags": {"a": 1}},
        {"kind": "client"},
        {"timestamp": "x"},
        {"timestamp": 10**20},
        {"binaryAnnotations": []},
        {"annotations": [{"value": 1}]},
        {"localEndpoint": []},
        {"name": 5},
    ],
)
def test_zipkin_refuses_the_whole_array_for_one_bad_span(members):
    with pytest.raises(MalformedError):
        zipkin_span(**members)


FRONT, BACK = {"serviceName": "front", "ipv4": "10.0.0.1"}, {"serviceName": "back", "port": 80}
VERSION_1 = [
    {
        "traceId": "1",
        "id": "2",
        "parentId": "1",
        "name": "get",
        "timestamp": 100,
        "duration": 50,
        "debug": False,
        "annotations": [
            {"timestamp": 100, "value": "cs", "endpoint": FRONT},
            {"timestamp": 150, "value": "cr", "endpoint": FRONT},
            {"timestamp": 110, "value": "sr", "endpoint": BACK},
            {"timestamp": 140, "value": "ss", "endpoint": BACK},
            {"timestamp": 120, "value": "cache miss", "endpoint": BACK},
        ],
        "binaryAnnotations": [
            {"key": "http.path", "value": "/a", "endpoint": FRONT},
            {"key": "n", "value": 5, "endpoint": BACK},
            {"key": "sa", "value": True, "endpoint": BACK},
            {"key": "ca", "value": True, "endpoint": FRONT},
        ],
    }
]


def test_zipkin_version_1_with_both_sides_is_two_spans():
    client, server = zipkin_json.decode_v1(json.dumps(VERSION_1).encode()).spans
    assert (client.span_id, client.parent_id, client.kind) == (2, 1, KIND_CLIENT)
    assert (client.start, client.duration, client.resource.service) == (100_000, 50_000, "front")
    assert client.attributes == {
        "http.path": "/a",
        "network.local.address": "10.0.0.1",
        "peer.service": "back",
        "network.peer.port": 80,
    }
    assert (server.kind, server.start, server.duration) == (KIND_SERVER, 110_000, 30_000)
    assert server.flags & FLAG_SHARED
    assert not client.flags & FLAG_SHARED
    assert server.resource.service == "back"
    assert server.attributes["n"] == "5"
    assert server.attributes["peer.service"] == "front"
    assert [event.name for event in server.events] == ["cache miss"]


def test_zipkin_version_1_local_span_and_lone_server():
    local = {
        "traceId": "1",
        "id": "3",
        "name": "compute",
        "timestamp": 5,
        "duration": 6,
        "annotations": [],
        "binaryAnnotations": [
            {"key": "lc", "value": "worker", "endpoint": BACK},
            {"key": "ok", "value": True},
        ],
    }
    lone = {"traceId": "1", "id": "4", "annotations": [{"timestamp": 9, "value": "sr", "endpoint": BACK}]}
    span, server = zipkin_json.decode_v1(json.dumps([local, lone]).encode()).spans
    assert (span.kind, span.resource.service, span.start) == (KIND_UNSPECIFIED, "back", 5000)
    assert span.attributes == {"lc": "worker", "ok": "true", "network.local.port": 80}
    assert (server.start, server.duration, bool(server.flags & FLAG_SHARED)) == (9000, None, True)
    with pytest.raises(MalformedError, match="version 2"):
        zipkin_json.decode_v1(b'[{"traceId":"1","id":"1","tags":{}}]')


def sized(tag, content):
    return bytes([tag]) + varint(len(content)) + content


def zipkin_protobuf_list():
    """After zipkin.proto: fixed64 times, varints for enums and flags."""
    endpoint = sized(0x0A, b"svc") + sized(0x12, bytes([10, 0, 0, 1])) + b"\x20\x50"
    span = (
        sized(0x0A, bytes.fromhex("ff00aa11bb22cc330123456789abcdef"))
        + sized(0x12, bytes.fromhex("00000000000000a1"))
        + sized(0x1A, bytes.fromhex("fedcba9876543210"))
        + b"\x20\x02"
        + sized(0x2A, b"get")
        + b"\x31"
        + (1_700_000_000_000_000).to_bytes(8, "little")
        + b"\x38\xdc\x0b"
        + sized(0x42, endpoint)
        + sized(0x4A, sized(0x0A, b"peer"))
        + sized(0x52, b"\x09" + (1_700_000_000_000_500).to_bytes(8, "little") + sized(0x12, b"retry"))
        + sized(0x5A, sized(0x0A, b"k") + sized(0x12, b"v"))
        + b"\x60\x01\x68\x01"
    )
    return sized(0x0A, span)


ZIPKIN_PROTOBUF = zipkin_protobuf_list()


def test_zipkin_protobuf():
    (span,) = zipkin_protobuf.decode(ZIPKIN_PROTOBUF).spans
    assert (span.trace_id, span.span_id) == (0xFF00AA11BB22CC330123456789ABCDEF, 0xFEDCBA9876543210)
    assert (span.parent_id, span.kind, span.name) == (0xA1, KIND_SERVER, "get")
    assert (span.start, span.duration) == (1_700_000_000_000_000_000, 1_500_000)
    assert span.flags == FLAG_SAMPLED | FLAG_DEBUG | FLAG_SHARED
    assert span.resource.service == "svc"
    assert span.attributes == {
        "k": "v",
        "network.local.address": "10.0.0.1",
        "network.local.port": 80,
        "peer.service": "peer",
    }
    assert [(event.name, event.timestamp) for event in span.events] == [("retry", 1_700_000_000_000_500_000)]


def test_jaeger_of_other_clients():
    """The parent in a reference, values of all types beside the one that counts, a status by HTTP."""
    tag = SimpleThrift()
    body = tag.struct(
        (
            12,
            1,
            tag.struct(
                (11, 1, b""),
                (15, 2, [tag.tag(b"hostname", 0, text=b"h"), tag.tag(b"jaeger.version", 0, text=b"Node-1")]),
            ),
        ),
        (
            15,
            2,
            [
                tag.struct(
                    (10, 1, 7),
                    (10, 2, 0),
                    (10, 3, 8),
                    (10, 4, 0),
                    (11, 5, b""),
                    (8, 7, 3),
                    (10, 8, 5),
                    (10, 9, 0),
                    (
                        15,
                        6,
                        [
                            tag.struct((8, 1, 1), (10, 2, 7), (10, 3, 0), (10, 4, 3)),
                            tag.struct((8, 1, 0), (10, 2, 7), (10, 3, 0), (10, 4, 4)),
                            tag.struct((8, 1, 0), (10, 2, 9), (10, 3, 1), (10, 4, 5)),
                        ],
                    ),
                    (
                        15,
                        10,
                        [
                            tag.tag(b"n", 1, text=b"", double=2.0, flag=False, long=0, binary=b""),
                            tag.tag(b"span.kind", 0, text=b"client"),
                            tag.tag(b"http.status_code", 3, long=404),
                            tag.tag(b"raw", 4, binary=b"\xff"),
                        ],
                    ),
                )
            ],
        ),
    )
    (span,) = jaeger_thrift.decode(body).spans
    assert span.resource.attributes == {
        "service.name": "empty-service-name",
        "host.name": "h",
        "opencensus.exporterversion": "Jaeger-Node-1",
    }
    assert (span.trace_id, span.span_id, span.parent_id, span.name) == (7, 8, 4, "empty-span-name")
    assert (span.kind, span.status, span.flags) == (KIND_CLIENT, STATUS_ERROR, FLAG_SAMPLED | FLAG_DEBUG)
    assert span.attributes == {"n": 2.0, "http.status_code": 404, "raw": b"\xff"}
    assert [(link.trace_id, link.span_id, link.attributes) for link in span.links] == [
        (7, 3, {}),
        (1 << 64 | 9, 5, {"opentracing.ref_type": "child_of"}),
    ]


class SimpleThrift:
    """Writes the binary protocol, any fields in any order."""

    def struct(self, *fields):
        return b"".join(self.field(*field) for field in fields) + b"\0"

    def field(self, kind, number, value):
        header = bytes([kind]) + number.to_bytes(2, "big")
        if kind == 15:
            return header + b"\x0c" + len(value).to_bytes(4, "big") + b"".join(value)
        if kind == 11:
            return header + len(value).to_bytes(4, "big") + value
        if kind == 12:
            return header + value
        if kind == 4:
            return header + struct.pack(">d", value)
        return header + value.to_bytes({2: 1, 8: 4, 10: 8}[kind], "big", signed=kind != 2)

    def tag(self, key, kind, text=None, double=None, flag=None, long=None, binary=None):
        values = ((11, 3, text), (4, 4, double), (2, 5, flag), (10, 6, long), (11, 7, binary))
        told = [value for value in values if value[2] is not None]
        return self.struct((11, 1, key), (8, 2, kind), *told)
