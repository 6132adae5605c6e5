"""`autotrace ui` as a collector: every wire format over real sockets, from its start to its end."""

from __future__ import annotations

import gzip
import http.client
import json
import signal
import socket
import sqlite3
import time
import zlib
from contextlib import closing

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from programs import Sandbox
from spans import make_span
from ui_process import stored_in, user_interface

from autotrace.backend import ports
from autotrace.export import otlp_json, otlp_protobuf, thrift_binary, thrift_compact, zipkin
from autotrace.export.jaeger_spans import SpanEncoder
from autotrace.tracing.resource import Resource

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
THRIFT = {"Content-Type": "application/x-thrift"}

PROGRAM = """
    import sqlite3

    connection = sqlite3.connect(":memory:")
    for _ in range(3):
        connection.execute("select 1")
"""


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """One for all tests: each has a service of its own."""
    with user_interface(tmp_path_factory.mktemp("ui")) as running:
        yield running
        code, out, err = running.stop()
        assert (code, out) == (0, "")
        assert "Traceback" not in err


def spans_of(service, count=1, **fields):
    return [
        make_span(span_id=n + 1, resource=Resource({"service.name": service}), **fields) for n in range(count)
    ]


def jaeger(thrift, wrap, spans):
    encoder = SpanEncoder(thrift)
    return wrap(encoder.process(spans[0].resource), [encoder.span(span) for span in spans])


FORMATS = {
    "otlp-protobuf": (ports.OTLP, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:{}"}),
    "otlp-json": (
        ports.OTLP,
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:{}", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
    ),
    "otlp-gzip": (
        ports.OTLP,
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:{}", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
    ),
    "zipkin": (ports.ZIPKIN, {"OTEL_EXPORTER_ZIPKIN_ENDPOINT": "http://127.0.0.1:{}/api/v2/spans"}),
    "jaeger-http": (ports.JAEGER_HTTP, {"OTEL_EXPORTER_JAEGER_ENDPOINT": "http://127.0.0.1:{}/api/traces"}),
    "jaeger-compact": (
        ports.JAEGER_COMPACT,
        {"OTEL_EXPORTER_JAEGER_AGENT_HOST": "127.0.0.1", "OTEL_EXPORTER_JAEGER_AGENT_PORT": "{}"},
    ),
    "jaeger-binary": (
        ports.JAEGER_BINARY,
        {
            "OTEL_EXPORTER_JAEGER_AGENT_HOST": "127.0.0.1",
            "OTEL_EXPORTER_JAEGER_AGENT_PORT": "{}",
            "OTEL_EXPORTER_JAEGER_PROTOCOL": "udp/thrift.binary",
        },
    ),
}


@pytest.mark.parametrize("format_", FORMATS)
def test_a_traced_program_sends_to_it(ui, format_, tmp_path):
    port, variables = FORMATS[format_]
    variables = {name: text.format(ui.port(port)) for name, text in variables.items()}
    sandbox = Sandbox(
        tmp_path,
        OTEL_TRACES_EXPORTER=format_.partition("-")[0],
        OTEL_SERVICE_NAME=f"program {format_}",
        **variables,
    )
    sandbox.write("app.py", PROGRAM)
    done = sandbox.run("app.py")
    assert (done.code, done.err, done.said) == (0, "", [])
    spans = ui.stored(f"program {format_}", 3)
    assert {(span.name, span.attributes["db.system.name"]) for span in spans} == {("select", "sqlite")}
    assert {span.scope.name for span in spans} == {"autotrace.sqlite3"}
    assert all(span.kind == 3 and span.duration for span in spans)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_unconfigured_program_names_the_viewer_while_it_runs(tmp_path, number):
    sandbox = Sandbox(tmp_path, AUTOTRACE_HOME=str(tmp_path / "home"), OTEL_SERVICE_NAME="my shop")
    sandbox.write("app.py", PROGRAM)

    def said():
        (line,) = sandbox.run("app.py").said
        return line.partition("see them with ")[2]

    with user_interface(tmp_path / "home") as own:
        assert (
            said() == f"`autotrace traces` or at http://127.0.0.1:{own.port(ports.VIEWER)}/?service=my%20shop"
        )
        own.stop(number)
    assert said() == "`autotrace traces`"


def test_otlp_answers(ui):
    body = otlp_protobuf.encode(spans_of("answers"))
    status, headers, answer = ui.request(ports.OTLP, "POST", "/v1/traces", body, PROTOBUF)
    assert (status, headers["content-type"], answer) == (200, "application/x-protobuf", b"")
    text = {"Content-Type": "application/json; charset=utf-8"}
    status, headers, answer = ui.request(ports.OTLP, "POST", "/v1/traces", b"{}", text)
    assert (status, headers["content-type"], json.loads(answer)) == (200, "application/json", {})

    partial = spans_of("partial", 3) + spans_of("partial", 1, trace_id=0)
    status, _, answer = ui.request(ports.OTLP, "POST", "/v1/traces", otlp_protobuf.encode(partial), PROTOBUF)
    told = ExportTraceServiceResponse.FromString(answer).partial_success
    assert (status, told.rejected_spans, "trace id" in told.error_message) == (200, 1, True)
    status, _, answer = ui.request(ports.OTLP, "POST", "/v1/traces", otlp_json.encode(partial), JSON)
    told = json.loads(answer)["partialSuccess"]
    assert (status, told["rejectedSpans"], "trace id" in told["errorMessage"]) == (200, "1", True)
    ui.stored("partial", 6)

    status, headers, answer = ui.request(ports.OTLP, "POST", "/v1/traces", b"\x0a\xff", PROTOBUF)
    assert (status, headers["content-type"], answer[:3]) == (400, "application/x-protobuf", b"\x08\x03\x12")
    status, _, answer = ui.request(ports.OTLP, "POST", "/v1/traces", b"{", JSON)
    assert (status, json.loads(answer)["code"]) == (400, 3)
    assert ui.request(ports.OTLP, "POST", "/v1/traces", b"", {"Content-Type": "text/plain"})[0] == 415
    assert (
        ui.request(ports.OTLP, "POST", "/v1/traces", body, {**PROTOBUF, "Content-Encoding": "br"})[0] == 415
    )
    assert ui.request(ports.OTLP, "GET", "/v1/traces")[0] == 405


def test_compressed_bodies(ui):
    body = otlp_protobuf.encode(spans_of("compressed"))
    bare = zlib.compressobj(wbits=-15)
    for coding, content in (
        ("gzip", gzip.compress(body)),
        ("deflate", zlib.compress(body)),
        ("deflate", bare.compress(body) + bare.flush()),
        ("identity", body),
    ):
        headers = {**PROTOBUF, "Content-Encoding": coding}
        assert ui.request(ports.OTLP, "POST", "/v1/traces", content, headers)[0] == 200
    ui.stored("compressed", 4)
    gzipped = {**PROTOBUF, "Content-Encoding": "gzip"}
    for content in (gzip.compress(body)[:-9], body, gzip.compress(body) * 2):
        assert ui.request(ports.OTLP, "POST", "/v1/traces", content, gzipped)[0] == 400
    bomb = gzip.compress(bytes(65 * 2**20))
    assert ui.request(ports.OTLP, "POST", "/v1/traces", bomb, gzipped)[0] == 413


def test_bodies_that_are_too_large(ui):
    status, _, answer = ui.request(ports.ZIPKIN, "POST", "/api/v2/spans", b" " * (10 * 2**20 + 1), JSON)
    assert (status, answer) == (413, b"a body may have 10 MiB, also inflated")
    chunks = (bytes(2**20) for _ in range(12))
    assert ui.request(ports.ZIPKIN, "POST", "/api/v2/spans", chunks, JSON)[0] == 413


def test_zipkin_answers(ui):
    body = zipkin.encode(spans_of("zipkin"))
    assert ui.request(ports.ZIPKIN, "POST", "/api/v2/spans", body, JSON)[::2] == (202, b"")
    assert ui.request(ports.ZIPKIN, "POST", "/api/v2/spans", body)[0] == 202  # no content type is JSON
    gzipped = {**JSON, "Content-Encoding": "gzip"}
    assert ui.request(ports.ZIPKIN, "POST", "/api/v2/spans", gzip.compress(body), gzipped)[0] == 202
    old = [
        {
            "traceId": "1",
            "id": "1",
            "name": "a",
            "binaryAnnotations": [{"key": "lc", "value": "", "endpoint": {"serviceName": "zipkin"}}],
        }
    ]
    assert ui.request(ports.ZIPKIN, "POST", "/api/v1/spans", json.dumps(old), JSON)[0] == 202
    for empty in (b"", b"[]"):
        assert ui.request(ports.ZIPKIN, "POST", "/api/v2/spans", empty, JSON)[0] == 202
    ui.stored("zipkin", 4)
    for path, bad in (
        ("/api/v2/spans", b"nonsense"),
        ("/api/v2/spans", json.dumps(old)),
        ("/api/v1/spans", body),
    ):
        status, headers, answer = ui.request(ports.ZIPKIN, "POST", path, bad, JSON)
        assert (status, headers["content-type"].partition(";")[0], bool(answer)) == (400, "text/plain", True)
    assert ui.request(ports.ZIPKIN, "POST", "/api/v2/spans", b"\x0a\x01\x00", PROTOBUF)[0] == 400


def test_jaeger_answers(ui):
    body = jaeger(thrift_binary, thrift_binary.batch, spans_of("jaeger"))
    assert ui.request(ports.JAEGER_HTTP, "POST", "/api/traces?format=jaeger.thrift", body, THRIFT)[::2] == (
        202,
        b"",
    )
    other = {"Content-Type": "application/vnd.apache.thrift.binary; charset=x"}
    assert ui.request(ports.JAEGER_HTTP, "POST", "/api/traces", body, other)[0] == 202
    assert ui.request(ports.JAEGER_HTTP, "POST", "/api/traces", body, JSON)[0] == 400
    assert ui.request(ports.JAEGER_HTTP, "POST", "/api/traces", b"\x0c", THRIFT)[0] == 400
    ui.stored("jaeger", 2)


def test_datagrams_of_any_kind(ui):
    good = {
        ports.JAEGER_COMPACT: jaeger(thrift_compact, thrift_compact.message, spans_of("datagrams", 100)),
        ports.JAEGER_BINARY: jaeger(thrift_binary, thrift_binary.message, spans_of("datagrams", 100)),
    }
    for port, packet in good.items():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", ui.port(port)))
            for bad in (b"", b"\0", packet[:-1], packet[:50], b"\xff" * 60_000, packet):
                sender.send(bad)
    ui.stored("datagrams", 200)


def test_a_stalled_sender_holds_nobody_up(ui):
    with socket.create_connection(("127.0.0.1", ui.port(ports.OTLP))) as stalled:
        stalled.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/x-protobuf\r\nContent-Length: 99\r\n\r\nabc"
        )
        body = otlp_protobuf.encode(spans_of("beside a stalled sender"))
        assert ui.request(ports.OTLP, "POST", "/v1/traces", body, PROTOBUF)[0] == 200
        ui.stored("beside a stalled sender", 1)


def test_a_taken_port_stays_off_and_the_rest_works(tmp_path):
    with socket.socket() as taken, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        datagrams.bind(("127.0.0.1", 0))
        numbers = [str(each.getsockname()[1]) for each in (taken, datagrams)]
        options = ("--zipkin-port", numbers[0], "--jaeger-compact-port", numbers[1])
        with user_interface(tmp_path, *options) as ui:
            off = [line.split() for line in ui.lines if " off: " in line]
            assert [line[0] for line in off] == ["Zipkin", "Jaeger,"]
            assert [" ".join(line[-5:]) for line in off] == [
                f"127.0.0.1:{number}: address already in use" for number in numbers
            ]
            assert ui.request(ports.VIEWER, "GET", "/")[0] == 200
            status = json.loads(ui.request(ports.VIEWER, "GET", "/api/viewer/status")[2])
            states = {each["name"]: (each["on"], each["note"]) for each in status["receivers"]}
            assert states["Zipkin"] == (False, "address already in use")
            assert states["OTLP/HTTP"] == (True, "")
            assert ui.request(ports.OTLP, "POST", "/v1/traces", b"", PROTOBUF)[0] == 200
            assert ui.stop()[0] == 0


def test_senders_wait_for_a_store_that_is_held_and_are_then_told_to_come_back(tmp_path):
    with user_interface(tmp_path) as ui:

        def post():
            status, headers, answer = ui.request(ports.OTLP, "POST", "/v1/traces", body, PROTOBUF)
            return status, headers.get("retry-after"), answer[:3]

        body = otlp_protobuf.encode(spans_of("held up", 512))
        assert post()[0] == 200
        ui.stored("held up", 512)
        accepted = 1
        database = str(tmp_path / "traces.db")
        with closing(sqlite3.connect(database, isolation_level=None, timeout=60)) as other:
            other.execute("BEGIN IMMEDIATE")
            while (answer := post())[0] == 200:
                accepted += 1
                assert accepted < 100
            assert answer == (503, "1", b"\x08\x0e\x12")
            assert ui.request(ports.ZIPKIN, "POST", "/api/v2/spans", b"[]", JSON)[0] == 503
            other.execute("ROLLBACK")
        while post()[0] != 200:
            time.sleep(0.05)
        ui.stored("held up", (accepted + 1) * 512)
        code, _, err = ui.stop()
        assert (code, err) == (
            0,
            "autotrace: the store is busy: another process holds it; spans are waiting\n",
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_accepted_is_stored_when_a_signal_ends_it(tmp_path, number):
    with user_interface(tmp_path) as ui:
        body = otlp_protobuf.encode(spans_of("last words", 512))
        for _ in range(8):
            assert ui.request(ports.OTLP, "POST", "/v1/traces", body, PROTOBUF)[0] == 200
        with socket.create_connection(("127.0.0.1", ui.port(ports.OTLP))) as stalled:
            stalled.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nabc")
            watcher = http.client.HTTPConnection("127.0.0.1", ui.port(ports.VIEWER), timeout=60)
            watcher.request("GET", "/api/viewer/live")
            assert watcher.getresponse().status == 200  # and its body has no end
            assert ui.stop(number) == (0, "", "")
            watcher.close()
    assert len(stored_in(tmp_path, "last words")) == 8 * 512


def test_the_bounds_of_the_store_apply(tmp_path):
    with user_interface(tmp_path, AUTOTRACE_STORE_MAX_MB="1") as ui:
        for trace_id in range(1, 21):
            spans = spans_of("much", 500, trace_id=trace_id, attributes={"a": "x" * 100})
            assert (
                ui.request(ports.OTLP, "POST", "/v1/traces", otlp_protobuf.encode(spans), PROTOBUF)[0] == 200
            )
        assert ui.stop()[0] == 0
    assert 0 < len(stored_in(tmp_path, "much")) < 6000
    assert (tmp_path / "traces.db").stat().st_size < 2 * 2**20


def test_other_sites_may_not_ask(ui):
    """Not through a name of theirs that they point at this machine."""
    asked = [(ports.VIEWER, "/api/services"), (ports.ZIPKIN, "/api/v2/services")]
    for host in ("localhost", "app.localhost:99", "127.0.0.1:1", "[::1]:1", "10.0.0.1"):
        for port, path in asked:
            assert ui.request(port, "GET", path, headers={"Host": host})[0] == 200
    for host in ("evil.example", "evil.example:16686", "localhost.evil.example"):
        for port, path in asked:
            assert ui.request(port, "GET", path, headers={"Host": host})[0] == 403
    senders = {**PROTOBUF, "Host": "collector:4318"}
    assert ui.request(ports.OTLP, "POST", "/v1/traces", b"", senders)[0] == 200


STRATEGIES = {
    "default_strategy": {
        "type": "probabilistic",
        "param": 0.5,
        "operation_strategies": [{"operation": "/health", "type": "probabilistic", "param": 0.0}],
    },
    "service_strategies": [
        {
            "service": "a",
            "type": "probabilistic",
            "param": 0.8,
            "operation_strategies": [
                {"operation": "op1", "type": "probabilistic", "param": 0.2},
                {"operation": "op2", "type": "ratelimiting", "param": 2},
            ],
        },
        {"service": "b", "type": "ratelimiting", "param": 5},
        {"service": "c", "type": "probabilistic", "param": 0.1},
    ],
}


def test_sampling_strategies(tmp_path):
    path = tmp_path / "strategies.json"
    with user_interface(tmp_path, "--sampling-strategies", str(path)) as ui:

        def strategy(service, path="/sampling", port=ports.SAMPLING):
            status, _, answer = ui.request(port, "GET", f"{path}?service={service}")
            assert status == 200
            return json.loads(answer)

        def rates(answer):
            told = answer["operationSampling"]
            operations = {
                each["operation"]: each["probabilisticSampling"]["samplingRate"]
                for each in told["perOperationStrategies"]
            }
            return told["defaultSamplingProbability"], operations

        everything = {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 1.0}}
        assert strategy("a") == everything  # no file yet

        path.write_text(json.dumps(STRATEGIES))
        assert rates(strategy("a")) == (0.8, {"op1": 0.2, "/health": 0.0})
        assert strategy("b") == {
            "strategyType": "RATE_LIMITING",
            "rateLimitingSampling": {"maxTracesPerSecond": 5},
        }
        assert rates(strategy("c", "/api/sampling", ports.JAEGER_HTTP)) == (0.1, {"/health": 0.0})
        assert rates(strategy("unknown", "/any/path")) == (0.5, {"/health": 0.0})
        assert strategy("b", "/")["strategyType"] == 1

        path.write_text("{ broken")
        assert rates(strategy("a")) == (0.8, {"op1": 0.2, "/health": 0.0})
        path.write_text("null")
        assert strategy("a") == everything
        for query in ("", "?service=a&service=b"):
            assert ui.request(ports.SAMPLING, "GET", f"/sampling{query}")[0] == 400
        _, _, err = ui.stop()
    assert "cannot be read: no such file" in err
    assert "holds no sampling strategies" in err
    assert "'op2'" in err


def test_without_the_extra(tmp_path):
    sandbox = Sandbox(tmp_path)
    sandbox.write(
        "missing.py",
        """
        import sys

        sys.modules["uvicorn"] = None
        from autotrace.cli.main import main

        sys.exit(main(["ui"]))
        """,
    )
    done = sandbox.run("missing.py", traced=False)
    assert (done.code, done.out) == (1, "")
    assert done.said == ["uvicorn is missing: pip install 'autotrace[ui]'"]
