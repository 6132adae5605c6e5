"""Jaeger's Thrift as three foreign libraries read it, over real sockets, and what does not arrive."""

from __future__ import annotations

import base64
import json
import math
import socket
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import jaeger_readers
import pytest
from http_backend import answer, backend
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jaeger_readers import BINARY_BATCH, BINARY_MESSAGE, COMPACT_MESSAGE, READERS
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from spans import START, finished_spans, make_span

from autotrace import notices
from autotrace import settings as autotrace_settings
from autotrace.export import thrift_binary, thrift_compact
from autotrace.export.connection import NOT_RESOLVED, REFUSED, TIMED_OUT
from autotrace.export.datagrams import DatagramSender, TooLongError
from autotrace.export.delivery import NOT_ENCODED, TOO_LARGE
from autotrace.export.jaeger import MAX_PACKET, JaegerHttpExporter, JaegerUdpExporter, from_settings
from autotrace.export.jaeger_spans import SpanEncoder
from autotrace.tracing.resource import Resource
from autotrace.tracing.scope import Scope
from autotrace.tracing.span import Event, Link

NO_SCOPE = Scope("")
WORKED_SPAN = make_span(attributes={"error": True, "n": -1, "r": 0.5}, instrumentation_scope=NO_SCOPE)

COMPACT_EXAMPLE = bytes.fromhex(
    "82 81 00 09 656d69744261746368 1c 1c 18 03 737663 00 19 1c"
    "16 deb7de9af1d9a2a302 16 99cfe9cdc8fbaaff01 16 dfb7de9af1d9a2a302 16 c202"
    "18 06 474554202f61 25 02 16 8080f28183898506 16 b817 19 4c"
    "18 09 7370616e2e6b696e64 15 00 18 06 736572766572 00"
    "18 05 6572726f72 15 04 31 00"
    "18 01 6e 15 06 46 01 00"
    "18 01 72 15 02 27 000000000000e03f 00"
    "00 00 00"
)
BATCH_EXAMPLE = bytes.fromhex(
    "0c 0001 0b 0001 00000003 737663 00 0f 0002 0c 00000001"
    "0a 0001 0123456789abcdef 0a 0002 ff00aa11bb22cc33 0a 0003 fedcba9876543210 0a 0004 00000000000000a1"
    "0b 0005 00000006 474554202f61 08 0007 00000001 0a 0008 00060a24181e4000 0a 0009 00000000000005dc"
    "0f 000a 0c 00000004"
    "0b 0001 00000009 7370616e2e6b696e64 08 0002 00000000 0b 0003 00000006 736572766572 00"
    "0b 0001 00000005 6572726f72 08 0002 00000002 02 0005 01 00"
    "0b 0001 00000001 6e 08 0002 00000003 0a 0006 ffffffffffffffff 00"
    "0b 0001 00000001 72 08 0002 00000001 04 0004 3fe0000000000000 00"
    "00 00"
)
BINARY_EXAMPLE = (
    bytes.fromhex("80010004 00000009 656d69744261746368 00000000 0c 0001") + BATCH_EXAMPLE + b"\0"
)

FORMS = {
    COMPACT_MESSAGE: (thrift_compact, thrift_compact.message),
    BINARY_MESSAGE: (thrift_binary, thrift_binary.message),
    BINARY_BATCH: (thrift_binary, thrift_binary.batch),
}
EXAMPLES = {COMPACT_MESSAGE: COMPACT_EXAMPLE, BINARY_MESSAGE: BINARY_EXAMPLE, BINARY_BATCH: BATCH_EXAMPLE}

some = hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.fixture(autouse=True)
def _nothing_said_yet():
    notices._spoken.clear()


def encoded(form, spans):
    thrift, wrap = FORMS[form]
    encoder = SpanEncoder(thrift)
    return wrap(encoder.process(spans[0].resource), [encoder.span(span) for span in spans])


def read_by_all(form, data):
    """What Apache's library and thriftpy2 read alike."""
    first, second = (read(form, data) for read in READERS.values())
    assert typed(first) == typed(second)
    return first


def typed(value):
    """With the types, since `True == 1 == 1.0`."""
    if isinstance(value, dict):
        return {key: typed(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [typed(member) for member in value]
    return type(value), value


def read_span(**fields):
    """A span as it is read, alike, from both protocols."""
    spans = [read_by_all(form, encoded(form, [make_span(**fields)])).spans[0] for form in FORMS]
    assert typed(spans[0]) == typed(spans[1]) == typed(spans[2])
    return spans[0]


def tags_of(**fields):
    return dict(read_span(instrumentation_scope=NO_SCOPE, kind=SpanKind.INTERNAL, **fields)["tags"])


# What section 3 of the OpenTelemetry mapping asks for, written a second time, for whole spans.


def expected_value(value):
    return json.dumps(value, separators=(",", ":")) if isinstance(value, tuple) else value


def expected_tags(attributes):
    return [(key, expected_value(value)) for key, value in attributes.items()]


def expected_span(span):
    tags = [] if span.kind is SpanKind.INTERNAL else [("span.kind", span.kind.name.lower())]
    tags += expected_tags(span._attributes)
    scope = span.instrumentation_scope
    tags += [(f"otel.{word}.name", scope.name) for word in ("scope", "library")]
    if scope.version:
        tags += [(f"otel.{word}.version", scope.version) for word in ("scope", "library")]
    if span.status_code is not StatusCode.UNSET:
        tags.append(("otel.status_code", span.status_code.name))
        if span.status_description:
            tags.append(("otel.status_description", span.status_description))
        if span.status_code is StatusCode.ERROR:
            tags.append(("error", True))
    for kind in ("attributes", "events", "links"):
        count = getattr(span, f"dropped_{kind}")
        if count:
            tags.append((f"otel.dropped_{kind}_count", count))
    logs = []
    for event in span._events or ():
        fields = {"event": event.name, **event.attributes}
        if event.dropped_attributes:
            fields["otel.dropped_attributes_count"] = event.dropped_attributes
        logs.append((event.timestamp // 1000, expected_tags(fields)))
    for link in span._links or ():
        if link.attributes:
            ids = (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}")
            fields = {"event": "link", "trace_id": ids[0], "span_id": ids[1], **link.attributes}
            if link.dropped_attributes:
                fields["otel.dropped_attributes_count"] = link.dropped_attributes
            logs.append((span.start_time // 1000, expected_tags(fields)))
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "name": span.name,
        "follows_from": [(link.context.trace_id, link.context.span_id) for link in span._links or ()],
        "flags": 1,
        "start": span.start_time // 1000,
        "duration": (span.end_time - span.start_time) // 1000,
        "tags": tags,
        "logs": logs,
    }


def expected_batches(spans):
    """By service, as the resources of `finished_spans` differ in nothing else."""
    batches = {}
    for span in spans:
        batches.setdefault(span.resource.service_name, []).append(expected_span(span))
    return {service: ([("host.name", "h")], members) for service, members in batches.items()}


def received_batches(batches):
    joined = {}
    for batch in batches:
        process_tags, spans = joined.setdefault(batch.service, (batch.process_tags, []))
        assert process_tags == batch.process_tags
        spans.extend(batch.spans)
    return joined


# The bytes.


@pytest.mark.parametrize("form", FORMS)
def test_worked_example_is_met_to_the_byte(form):
    assert encoded(form, [WORKED_SPAN]).hex(" ") == EXAMPLES[form].hex(" ")


def test_worked_examples_have_the_lengths_of_the_specification():
    assert [len(example) for example in EXAMPLES.values()] == [139, 258, 233]


@pytest.mark.parametrize(("form", "length"), [(COMPACT_MESSAGE, 25), (BINARY_BATCH, 23)])
def test_empty_packet_has_the_length_of_the_specification(form, length):
    thrift, wrap = FORMS[form]
    assert len(wrap(thrift.process(b"svc", ()), ())) == length


def unsigned_of(most_bits):
    """Integers of all lengths alike."""
    return st.integers(0, most_bits).flatmap(lambda bits: st.integers(0, 2**bits - 1))


def random_ids(size):
    """As random as real ids: `st.integers` prefers short ones."""
    return st.binary(min_size=size, max_size=size).map(lambda data: int.from_bytes(data, "big"))


@given(
    random_ids(16) | unsigned_of(128),
    random_ids(8) | unsigned_of(64),
    random_ids(8) | unsigned_of(64),
    st.integers(10**15, 10**16) | unsigned_of(54),
    unsigned_of(54),
)
@hypothesis_settings(max_examples=1000, deadline=None)
def test_numbers_of_any_length_are_read_back(trace_id, span_id, parent_id, start, duration):
    """Compact varints are made all at once where ids and start have their usual lengths, else one by one."""
    for form in (COMPACT_MESSAGE, BINARY_BATCH):
        thrift, wrap = FORMS[form]
        span = thrift.span(trace_id, span_id, parent_id, thrift.text(b"n"), (), 1, start, duration, (), ())
        (read,) = jaeger_readers.read_with_apache(form, wrap(thrift.process(b"s", ()), [span])).spans
        assert read["trace_id"] == trace_id
        assert (read["span_id"], read["parent_id"]) == (span_id, parent_id)
        assert (read["start"], read["duration"]) == (start, duration)


@pytest.mark.parametrize("count", [0, 1, 14, 15, 16, 127, 128, 300])
@pytest.mark.parametrize("form", FORMS)
def test_lists_of_any_length_are_read_back(form, count):
    attributes = {f"k{number}": number for number in range(count)}
    events = [Event("e", START, {})] * count
    links = [Link(SpanContext(1, 2, True), {})] * count
    span = make_span(attributes=attributes, events=events, links=links, instrumentation_scope=NO_SCOPE)
    before = [make_span()] * count
    batch = read_by_all(form, encoded(form, [*before, span]))
    assert len(batch.spans) == count + 1
    read = batch.spans[-1]
    assert read["tags"] == [("span.kind", "server"), *attributes.items()]
    assert (len(read["logs"]), len(read["follows_from"])) == (count, count)


@pytest.mark.slow
def test_node_client_library_reads_what_the_others_read():
    """thriftrw knows the binary protocol only."""

    @given(st.lists(finished_spans(), min_size=1, max_size=3))
    @hypothesis_settings(max_examples=100, deadline=None, database=None)
    def gather(spans):
        messages.append(encoded(BINARY_MESSAGE, spans))

    messages = [BINARY_EXAMPLE]
    gather()
    by_node = jaeger_readers.read_with_node(messages)
    assert typed(by_node) == typed([read_by_all(BINARY_MESSAGE, message) for message in messages])


# The mapping.


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("text", "text"),
        ("", ""),
        ("käse 🧀", "käse 🧀"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        (True, True),
        (False, False),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, "9223372036854775808"),
        (-(2**63) - 1, "-9223372036854775809"),
        (1.5, 1.5),
        (-0.0, -0.0),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (math.nan, "NaN"),
        (b"\x00\xff", b"\x00\xff"),
        (b"", b""),
        (None, ""),
        (("a", "b"), '["a","b"]'),
        ((1, None, True), "[1,null,true]"),
        ({"k": [1.5, {"m": "n"}]}, '{"k":[1.5,{"m":"n"}]}'),
    ],
)
def test_attribute_values(value, tag):
    (read,) = tags_of(attributes={"k": value}).values()
    assert typed(read) == typed(tag)


def test_equal_values_of_different_types_keep_their_types():
    encoder = SpanEncoder(thrift_compact)
    for value in (1, True, 1.0, 0, False, 0.0) * 2:
        span = encoder.span(make_span(attributes={"k": value}, instrumentation_scope=NO_SCOPE))
        batch = read_by_all(COMPACT_MESSAGE, thrift_compact.message(thrift_compact.process(b"s", ()), [span]))
        assert typed(batch.spans[0]["tags"][1]) == typed(("k", value))


@pytest.mark.parametrize("kind", SpanKind)
def test_kind(kind):
    tags = dict(read_span(kind=kind)["tags"])
    assert tags.get("span.kind") == (None if kind is SpanKind.INTERNAL else kind.name.lower())


@pytest.mark.parametrize(
    ("status", "tags"),
    [
        ({"status_code": StatusCode.UNSET}, {}),
        ({"status_code": StatusCode.OK}, {"otel.status_code": "OK"}),
        ({"status_code": StatusCode.ERROR}, {"otel.status_code": "ERROR", "error": True}),
        (
            {"status_code": StatusCode.ERROR, "status_description": "no"},
            {"otel.status_code": "ERROR", "otel.status_description": "no", "error": True},
        ),
    ],
)
def test_status(status, tags):
    assert typed(tags_of(**status)) == typed(tags)


def test_event_attribute_named_event_wins_over_the_name():
    event = Event("name", START + 1999, {"event": "attribute", "n": 1})
    assert read_span(events=[event])["logs"] == [
        (START // 1000 + 1, [("event", "attribute"), ("n", 1)]),
    ]


def test_link_attributes_are_a_log_at_the_start():
    links = [
        Link(SpanContext(0xAB, 0xCD, True, TraceFlags(1)), {"k": "v"}),
        Link(SpanContext(0, 0, True), {"why": "no ids"}),
    ]
    read = read_span(links=links)
    assert read["follows_from"] == [(0xAB, 0xCD)]
    assert read["logs"] == [
        (
            START // 1000,
            [("event", "link"), ("trace_id", f"{0xAB:032x}"), ("span_id", f"{0xCD:016x}"), ("k", "v")],
        ),
        (
            START // 1000,
            [("event", "link"), ("trace_id", "0" * 32), ("span_id", "0" * 16), ("why", "no ids")],
        ),
    ]


def test_trace_state_is_a_tag():
    assert tags_of(trace_state=TraceState([("v", "1")])) == {"w3c.tracestate": "v=1"}


def test_unsampled_flag_is_told():
    assert (read_span(trace_flags=0)["flags"], read_span(trace_flags=3)["flags"]) == (0, 1)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (START, START + 999, (START // 1000, 0)),
        (START + 999, START + 1000, (START // 1000, 0)),
        (START, START - 1, (START // 1000, 0)),
        (-5, 10_000, (0, 10)),
        (START, None, (START // 1000, 0)),
        (2**200, 2**201, ((2**63 - 1) // 1000, 0)),
        ("yesterday", math.nan, (0, 0)),
    ],
)
def test_times_that_are_wrong_are_made_harmless(start, end, expected):
    read = read_span(start_time=start, end_time=end)
    assert (read["start"], read["duration"]) == expected


# Over sockets.


class Agent:
    """A UDP socket that keeps what arrives until it is read: on loopback `send` delivers at once."""

    def __init__(self, address="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
        self.socket.bind((address, 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.senders = []

    def datagrams(self):
        found = []
        while True:
            try:
                data, sender = self.socket.recvfrom(65_536)
            except BlockingIOError:
                return found
            assert len(data) <= MAX_PACKET
            found.append(data)
            self.senders.append(sender)

    def batches(self, form):
        return [read_by_all(form, data) for data in self.datagrams()]

    def span_ids(self, form):
        return [
            span["span_id"]
            for data in self.datagrams()
            for span in jaeger_readers.read_with_apache(form, data).spans
        ]


@contextmanager
def agent(address="127.0.0.1"):
    made = Agent(address)
    with made.socket:
        yield made


@contextmanager
def exporting(exporter):
    try:
        yield exporter
    finally:
        exporter.shutdown()


@contextmanager
def to_agent(protocol="compact", max_packet=MAX_PACKET):
    with agent() as there:
        made = JaegerUdpExporter("127.0.0.1", there.port, protocol, max_packet)
        with exporting(made) as sender:
            yield there, sender


@contextmanager
def to_collector(*answers):
    with backend(*answers) as there, exporting(JaegerHttpExporter(there.url("/api/traces"))) as sender:
        yield there, sender


def export(exporter, spans, within=10.0):
    return exporter.export(spans, time.monotonic() + within)


@pytest.mark.parametrize("form", [COMPACT_MESSAGE, BINARY_MESSAGE])
def test_spans_arrive_over_udp_as_they_were(form):
    with to_agent(form.partition(" ")[0]) as (there, exporter):

        @some
        @given(st.lists(finished_spans(), min_size=1, max_size=5))
        def round_trip(spans):
            assert export(exporter, spans) == {}
            assert typed(received_batches(there.batches(form))) == typed(expected_batches(spans))

        round_trip()


def test_spans_arrive_over_http_as_they_were():
    with to_collector(answer(202)) as (collector, exporter):

        @some
        @given(st.lists(finished_spans(), min_size=1, max_size=5))
        def round_trip(spans):
            assert export(exporter, spans) == {}
            bodies = [request.body for request in collector.received]
            collector.received.clear()
            batches = [read_by_all(BINARY_BATCH, body) for body in bodies]
            assert len(batches) == len(received_batches(batches)), "one batch for each resource"
            assert typed(received_batches(batches)) == typed(expected_batches(spans))

        round_trip()


def test_http_request_as_the_collector_sees_it():
    with backend(answer(202)) as collector:
        url = collector.url("/api/traces")
        with exporting(JaegerHttpExporter(url, "me", "pass:word")) as exporter:
            assert exporter.destination == url
            assert export(exporter, [WORKED_SPAN]) == {}
    (request,) = collector.received
    assert request.line == "POST /api/traces HTTP/1.1"
    assert request.headers["content-type"] == "application/x-thrift"
    assert "content-encoding" not in request.headers
    assert request.headers["authorization"] == f"Basic {base64.b64encode(b'me:pass:word').decode()}"
    assert request.body == BATCH_EXAMPLE


@pytest.mark.parametrize("status", [400, 401, 500])
def test_http_refusal_is_a_loss_and_its_words_are_said(status, capsys):
    with to_collector(answer(status, b"storage\nis full")) as (collector, exporter):
        assert export(exporter, [WORKED_SPAN] * 3) == {f"http {status}": 3}
    assert len(collector.received) == 1
    assert f"answered {status}: storage is full" in capsys.readouterr().err


def test_body_that_is_too_large_for_the_collector_is_halved(capsys):
    """Until it is taken, and for good; a span too large alone is cut on the way."""
    spans = [make_span(span_id=number, attributes={"k": "x" * 900_000}) for number in range(1, 9)]
    with to_collector(answer(413), answer(413), answer(202)) as (collector, exporter):
        assert export(exporter, spans) == {}
        arrived = [request.body for request in collector.received[2:]]
        assert [len(body) < 2 * 2**20 for body in arrived] == [True] * 4
        assert export(exporter, spans) == {}
        assert len(collector.received) == 10
    assert [span["span_id"] for body in arrived for span in read_by_all(BINARY_BATCH, body).spans] == [
        *range(1, 9)
    ]
    assert "from now on 2097152 at most" in capsys.readouterr().err


def test_collector_that_is_not_there():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/api/traces"
        with exporting(JaegerHttpExporter(url)) as exporter:
            assert export(exporter, [WORKED_SPAN] * 2, within=0.2) == {REFUSED: 2}


# Packets.


def sized_spans(*sizes, **fields):
    """Spans with a tag of that many characters."""
    return [
        make_span(
            span_id=number, attributes={"payload": "x" * size}, instrumentation_scope=NO_SCOPE, **fields
        )
        for number, size in enumerate(sizes, 1)
    ]


resources = st.sampled_from(
    [
        Resource({"service.name": "svc"}),
        Resource({"service.name": "shop", "host.name": "h" * 40}),
        Resource({"service.name": "n" * 3000, **{f"k{number}": "v" * 50 for number in range(60)}}),
    ]
)
loads = st.lists(
    st.tuples(resources, st.one_of(st.integers(0, 300), st.integers(0, 5000), st.integers(0, 200_000))),
    min_size=1,
    max_size=20,
)


@pytest.mark.parametrize("protocol", ["compact", "binary"])
def test_no_packet_is_too_long_and_no_span_vanishes(protocol):
    """Received and reported as lost make up what was sent, whatever the sizes; links cannot be cut."""
    form = f"{protocol} message"
    with agent() as there:

        @some
        @given(loads, st.integers(1024, 9000), st.sampled_from([0, 0, 0, 50, 300]))
        def send(load, limit, links):
            spans = [
                make_span(
                    span_id=number,
                    resource=resource,
                    attributes={"payload": "x" * size},
                    links=[Link(SpanContext(2**127, 2**63, True), {})] * (links if number % 3 == 0 else 0),
                )
                for number, (resource, size) in enumerate(load, 1)
            ]
            with exporting(
                JaegerUdpExporter("127.0.0.1", there.port, protocol, max_packet=limit)
            ) as exporter:
                losses = export(exporter, spans)
            datagrams = there.datagrams()
            assert all(len(data) <= limit for data in datagrams)
            batches = [jaeger_readers.read_with_apache(form, data) for data in datagrams]
            arrived = [span["span_id"] for batch in batches for span in batch.spans]
            assert len(arrived) == len(set(arrived))
            assert len(arrived) + sum(losses.values()) == len(spans)
            assert set(losses) <= {TOO_LARGE}
            assert losses.get(TOO_LARGE, 0) <= sum(1 for span in spans if span._links)

        send()


@pytest.mark.parametrize("protocol", ["compact", "binary"])
def test_packets_are_full(protocol):
    """No span would have fitted into the packet before its own; order is kept."""
    form = f"{protocol} message"
    thrift, wrap = FORMS[form]
    limit = 2000
    with agent() as there:

        @some
        @given(st.lists(st.integers(0, 700), min_size=2, max_size=60))
        def send(sizes):
            spans = sized_spans(*sizes)
            with exporting(
                JaegerUdpExporter("127.0.0.1", there.port, protocol, max_packet=limit)
            ) as exporter:
                assert export(exporter, spans) == {}
            encoder = SpanEncoder(thrift)
            process = encoder.process(spans[0].resource)
            waiting = [encoder.span(span) for span in spans]
            for data in there.datagrams():
                count = len(jaeger_readers.read_with_apache(form, data).spans)
                assert data == wrap(process, waiting[:count])
                assert len(data) <= limit
                assert count == len(waiting) or len(wrap(process, waiting[: count + 1])) > limit
                waiting = waiting[count:]
            assert waiting == []

        send()


@pytest.mark.parametrize("protocol", ["compact", "binary"])
@pytest.mark.parametrize("count", [1, 14, 15, 127, 128])
def test_datagram_of_exactly_the_limit_is_sent_and_none_above(protocol, count):
    form = f"{protocol} message"
    length = len(encoded(form, sized_spans(*[0] * (count - 1), 30_000)))
    full = 30_000 + MAX_PACKET - length
    with to_agent(protocol) as (there, exporter):
        assert export(exporter, sized_spans(*[0] * (count - 1), full)) == {}
        assert [len(data) for data in there.datagrams()] == [MAX_PACKET]
        assert export(exporter, sized_spans(*[0] * (count - 1), full + 1)) == {}
        first, *others = [len(data) for data in there.datagrams()]
        assert first < MAX_PACKET
        assert len(others) == (count > 1), "a span alone is cut"


def test_each_packet_names_the_process():
    resource = Resource({"service.name": "shop", "host.name": "h", "n": 1})
    with to_agent(max_packet=1024) as (there, exporter):
        assert export(exporter, sized_spans(*[380] * 6, resource=resource)) == {}
        batches = there.batches(COMPACT_MESSAGE)
    assert [len(batch.spans) for batch in batches] == [2, 2, 2]
    assert {(batch.service, tuple(batch.process_tags)) for batch in batches} == {
        ("shop", (("host.name", "h"), ("n", 1)))
    }


def test_span_too_large_is_cut_where_it_is_longest(capsys):
    """A statement of a megabyte costs its end, not the span nor what else it says."""
    event = Event("exception", START, {"exception.type": "E", "exception.stacktrace": "s" * 80_000})
    span = make_span(
        attributes={
            "db.query.text": "q" * 1_000_000,
            "many": ("e" * 50,) * 3000,
            "blob": b"b" * 70_000,
            "db.system": "mysql",
            "n": 7,
        },
        events=[event],
        status_code=StatusCode.ERROR,
        status_description="d" * 70_000,
    )
    with to_agent() as (there, exporter):
        assert export(exporter, [span, WORKED_SPAN]) == {}
        (batch,) = there.batches(COMPACT_MESSAGE)
    cut, whole = batch.spans
    assert whole["tags"][-1] == ("r", 0.5)
    tags = dict(cut["tags"])
    assert tags["autotrace.cut"] is True
    assert (tags["db.system"], tags["n"], tags["error"]) == ("mysql", 7, True)
    assert tags["db.query.text"] == "q" * 4096
    assert (len(tags["many"]), len(tags["blob"]), len(tags["otel.status_description"])) == (4096, 4096, 4096)
    assert dict(cut["logs"][0][1])["exception.stacktrace"] == "s" * 4096
    assert f"packet to udp://127.0.0.1:{there.port}, 65000 bytes: its long values" in capsys.readouterr().err


def test_largest_tags_and_logs_go_when_cutting_is_not_enough():
    attributes = {f"big{number}": "x" * 250 for number in range(200)}
    events = [Event(f"e{number}", START, {"k": "y" * 200}) for number in range(200)]
    span = make_span(attributes={**attributes, "small": 1}, events=events)
    with to_agent(max_packet=20_000) as (there, exporter):
        assert export(exporter, [span]) == {}
        (data,) = there.datagrams()
    assert 19_000 < len(data) <= 20_000
    (read,) = read_by_all(COMPACT_MESSAGE, data).spans
    tags = dict(read["tags"])
    assert (tags["small"], tags["autotrace.cut"], tags["span.kind"]) == (1, True, "server")
    assert not [key for key in tags if key.startswith("big")]
    assert 0 < len(read["logs"]) < 200


def test_span_that_cannot_be_cut_enough_is_lost_alone(capsys):
    links = [Link(SpanContext(2**127, 2**63, True), {})] * 3000
    with to_agent() as (there, exporter):
        assert export(exporter, [WORKED_SPAN, make_span(links=links), WORKED_SPAN]) == {TOO_LARGE: 1}
        assert [len(batch.spans) for batch in there.batches(COMPACT_MESSAGE)] == [2]
    assert "65000 bytes: it is dropped" in capsys.readouterr().err


def test_process_too_large_is_cut_and_said_once(capsys):
    attributes = {"service.name": "svc", "host.name": "h", "process.command_line": "c" * 100_000}
    attributes.update({f"k{number}": "v" * 200 for number in range(300)})
    spans = sized_spans(*[15_000] * 6, resource=Resource(attributes))
    with to_agent() as (there, exporter):
        assert export(exporter, spans) == {}
        batches = there.batches(COMPACT_MESSAGE)
    assert sum(len(batch.spans) for batch in batches) == 6
    for batch in batches:
        tags = dict(batch.process_tags)
        assert (batch.service, tags["host.name"], tags["autotrace.cut"]) == ("svc", "h", True)
        assert len(str(tags)) > 20_000
    assert capsys.readouterr().err.count("resource attributes") == 1


def test_span_that_cannot_be_encoded_costs_its_neighbours_nothing(capsys):
    with to_agent() as (there, exporter):
        spans = [WORKED_SPAN, make_span(trace_id="not a number"), WORKED_SPAN]
        assert export(exporter, spans) == {NOT_ENCODED: 1}
        assert [len(batch.spans) for batch in there.batches(COMPACT_MESSAGE)] == [2]
    assert NOT_ENCODED in capsys.readouterr().err


# Datagrams.


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_refused_datagrams_are_lost_until_an_agent_is_there(host):
    spans = sized_spans(*[400] * 5)
    with agent() as there, exporting(JaegerUdpExporter(host, there.port, max_packet=1024)) as exporter:
        there.socket.close()
        assert export(exporter, spans) == {REFUSED: 5}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
            back.bind(("127.0.0.1", there.port))
            assert export(exporter, spans) == {}
        assert export(exporter, spans) == {REFUSED: 5}


def test_every_address_of_a_name_is_tried():
    """`localhost` is often ::1 first, while an agent listens on 127.0.0.1 alone."""
    with to_agent() as (there, exporter):
        exporter._sender._resolve_at = math.inf
        exporter._sender._addresses = [
            (socket.AF_INET6, ("::1", there.port)),
            (socket.AF_INET, ("127.0.0.2", there.port)),
            (socket.AF_INET, ("127.0.0.1", there.port)),
        ]
        assert export(exporter, [WORKED_SPAN]) == {}
        assert there.datagrams() == [COMPACT_EXAMPLE]


def test_late_refusal_counts_with_the_next_call():
    """From another host the refusal comes after `send` has returned. Here the test writes it."""
    with to_agent() as (there, exporter):
        assert export(exporter, [WORKED_SPAN] * 3) == {}
        refuse(exporter._sender._socket.getsockname(), there.socket.getsockname())
        assert export(exporter, [WORKED_SPAN] * 2) == {REFUSED: 3}
        assert export(exporter, [WORKED_SPAN]) == {}
        assert len(there.datagrams()) == 3


def refuse(sender, receiver):
    """Send what a host answers to a datagram for a closed port: ICMP 3/3 with the datagram's headers."""
    datagram = struct.pack(">4H", sender[1], receiver[1], 8, 0)
    addresses = socket.inet_aton(sender[0]) + socket.inet_aton(receiver[0])
    header = struct.pack(">BBHHHBBH", 0x45, 0, 28, 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    quoted = header + datagram
    total = sum(struct.unpack(f">{len(quoted) // 2}H", quoted)) + 0x0303
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except PermissionError:
        pytest.skip("raw sockets are for root")
    with raw:
        raw.sendto(struct.pack(">BBHI", 3, 3, total ^ 0xFFFF, 0) + quoted, (sender[0], 0))


def test_name_that_is_not_known_is_a_loss_and_asked_for_again():
    with agent() as there, exporting(JaegerUdpExporter("no-such-host.invalid", there.port)) as exporter:
        assert export(exporter, [WORKED_SPAN] * 2) == {NOT_RESOLVED: 2}
        exporter._sender._host = "127.0.0.1"
        assert export(exporter, [WORKED_SPAN] * 2) == {}
        assert len(there.datagrams()) == 1


def test_address_is_asked_for_again_from_time_to_time():
    """And those that were not tried are forgotten."""
    with to_agent() as (there, exporter):
        for due in (False, False, True, False):
            if due:
                exporter._sender._resolve_at = time.monotonic()
                exporter._sender._addresses = [(socket.AF_INET, ("127.0.0.2", there.port))]
            assert export(exporter, [WORKED_SPAN]) == {}
        assert len(there.datagrams()) == 4
        first, second, third, fourth = there.senders
        assert first == second != third == fourth
        assert exporter._sender._addresses == []


def test_nothing_is_sent_after_the_deadline():
    with to_agent() as (there, exporter):
        assert export(exporter, [WORKED_SPAN] * 2, within=-1.0) == {TIMED_OUT: 2}
        exporter.hasten(time.monotonic() - 1.0)
        assert export(exporter, [WORKED_SPAN] * 2) == {TIMED_OUT: 2}
        assert there.datagrams() == []


def test_datagram_that_the_system_does_not_send_is_halved_for_good(capsys):
    """As on macOS above 9216 bytes; Linux refuses what no IPv4 packet can hold."""
    with agent() as there:
        sender = DatagramSender("127.0.0.1", there.port)
        with pytest.raises(TooLongError):
            sender.send(b"x" * 65_508, 1, time.monotonic() + 5, {})
        sender.close()
        with exporting(JaegerUdpExporter("127.0.0.1", there.port)) as exporter:
            exporter._packets._limit = 70_000
            spans = sized_spans(*[1000] * 100)
            assert export(exporter, spans) == {}
            assert there.span_ids(COMPACT_MESSAGE) == [*range(1, 101)]
            assert export(exporter, spans) == {}
            assert [34_000 < len(data) <= 35_000 for data in there.datagrams()] == [True, True, True, False]
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "packets of 70000 bytes are too long" in err
    assert "35000 at most" in err


def test_ipv6_agent():
    try:
        listening = Agent("::1")
    except OSError:
        pytest.skip("no IPv6 here")
    with listening.socket, exporting(JaegerUdpExporter("::1", listening.port)) as exporter:
        assert exporter.destination == f"udp://[::1]:{listening.port}"
        assert export(exporter, [WORKED_SPAN]) == {}
        assert listening.datagrams() == [COMPACT_EXAMPLE]


FORK = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from spans import make_span
from autotrace.export.jaeger import JaegerUdpExporter

exporter = JaegerUdpExporter("127.0.0.1", int(sys.argv[2]))
def export():
    assert exporter.export([make_span()], time.monotonic() + 5) == {}
export()
child = os.fork()
export()
if child:
    assert os.waitpid(child, 0)[1] == 0
    export()
exporter.shutdown()
"""


def test_forked_child_has_a_socket_of_its_own():
    with agent() as there:
        tests = Path(__file__).parents[1]
        subprocess.run(
            [sys.executable, "-c", FORK, str(tests), str(there.port)],
            cwd=tests.parent,
            check=True,
            timeout=30,
        )
        assert len(there.datagrams()) == 4
    ports = [port for _, port in there.senders]
    assert sorted(map(ports.count, set(ports))) == [1, 3]


# Settings.


def settings(**given):
    unset = {
        "exporter_jaeger_protocol": "",
        "exporter_jaeger_endpoint": "",
        "exporter_jaeger_timeout": 10.0,
        "exporter_jaeger_user": "",
        "exporter_jaeger_password": "",
        "exporter_jaeger_certificate": "",
        "exporter_jaeger_agent_host": "",
        "exporter_jaeger_agent_port": 0,
        "jaeger_max_packet": MAX_PACKET,
    }
    return SimpleNamespace(**{**unset, **given})


CHOICES = [
    ({}, "http://localhost:14268/api/traces"),
    ({"AGENT_HOST": "a"}, "udp://a:6831"),
    ({"AGENT_PORT": "1234"}, "udp://localhost:1234"),
    ({"AGENT_HOST": "a", "AGENT_PORT": "1234"}, "udp://a:1234"),
    ({"AGENT_HOST": "a", "ENDPOINT": "http://c:1/x"}, "http://c:1/x"),
    ({"AGENT_HOST": "a", "PROTOCOL": "http/thrift.binary"}, "http://localhost:14268/api/traces"),
    ({"PROTOCOL": "udp/thrift.compact"}, "udp://localhost:6831"),
    ({"PROTOCOL": "udp/thrift.binary"}, "udp://localhost:6832"),
    ({"PROTOCOL": "udp/thrift.binary", "AGENT_HOST": "a"}, "udp://a:6832"),
    ({"PROTOCOL": "udp/thrift.compact", "ENDPOINT": "http://c:1/x"}, "udp://localhost:6831"),
    ({"ENDPOINT": "http://c:14268"}, "http://c:14268/api/traces"),
    ({"ENDPOINT": "http://c:14268/"}, "http://c:14268/api/traces"),
    ({"PROTOCOL": "grpc", "ENDPOINT": "http://c:14250"}, "http://c:14268/api/traces"),
    ({"ENDPOINT": "https://me:secret@c/p?format=jaeger.thrift"}, "https://c/p"),
]


@pytest.mark.parametrize(("given", "destination"), CHOICES)
def test_destination_from_the_environment(given, destination):
    environ = {f"OTEL_EXPORTER_JAEGER_{name}": value for name, value in given.items()}
    with exporting(from_settings(autotrace_settings.parse(environ))) as exporter:
        assert (exporter.name, exporter.destination) == ("jaeger", destination)


@pytest.mark.parametrize(
    ("endpoint", "destination"),
    [
        ("", "http://localhost:14268/api/traces"),
        ("http://c:14250", "http://c:14268/api/traces"),
        ("c:14250", "http://c:14268/api/traces"),
        ("http://c:9999", "http://c:9999/api/traces"),
    ],
)
def test_grpc_becomes_http_and_says_so(endpoint, destination, capsys):
    given = settings(exporter_jaeger_protocol="grpc", exporter_jaeger_endpoint=endpoint)
    with exporting(from_settings(given)) as exporter:
        assert exporter.destination == destination
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "OTEL_EXPORTER_JAEGER_PROTOCOL" in err


def test_settings_reach_the_wire():
    with backend(answer(202)) as collector:
        given = settings(
            exporter_jaeger_endpoint=f"127.0.0.1:{collector.port}",
            exporter_jaeger_user="me",
            exporter_jaeger_password="word",
        )
        with exporting(from_settings(given)) as exporter:
            assert export(exporter, [WORKED_SPAN]) == {}
    assert collector.received[0].headers["authorization"] == f"Basic {base64.b64encode(b'me:word').decode()}"
    with agent() as there:
        given = settings(
            exporter_jaeger_protocol="udp/thrift.binary",
            exporter_jaeger_agent_host="127.0.0.1",
            exporter_jaeger_agent_port=there.port,
            jaeger_max_packet=2000,
        )
        with exporting(from_settings(given)) as exporter:
            assert export(exporter, [WORKED_SPAN] * 10) == {}
        assert [len(batch.spans) for batch in there.batches(BINARY_MESSAGE)] == [9, 1]
