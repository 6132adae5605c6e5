"""Encode finished spans and send them: the exporters alone, without tracer or queue.

The spans are those of a web server: ten attributes, of which one (the path) is new with every span.
"""

from __future__ import annotations

import json
import os
import time
from itertools import count as counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[int], Callable[[], None]]

BATCH = 512
DURATION = 1_500_000
"""Of a span, in ns."""
_numbers = counter()


def job(agent: str, wire: str) -> Job:
    """The exporter of `agent` for the format `wire`, whose address is in the environment as for its users."""
    return {"ours": _ours, "otel": _otel, "floor": _floor}[agent](wire)


def _attributes() -> dict[str, Any]:
    return {
        "http.request.method": "GET",
        "url.scheme": "http",
        "url.path": f"/orders/{next(_numbers)}",
        "server.address": "shop.example",
        "server.port": 8000,
        "network.peer.address": "127.0.0.1",
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
        "network.protocol.version": "1.1",
        "http.route": "/orders/<id>",
        "http.response.status_code": 200,
    }


def _in_batches(spans: list[Any], send: Callable[[list[Any]], None]) -> Callable[[], None]:
    def run() -> None:
        for start in range(0, len(spans), BATCH):
            send(spans[start : start + BATCH])

    return run


def _ours(wire: str) -> Job:
    from importlib import import_module

    from opentelemetry.trace import SpanKind

    from autotrace import settings
    from autotrace.sampling.build import build
    from autotrace.tracing.provider import TracerProvider
    from autotrace.tracing.resource import Resource

    exporter = import_module(f"autotrace.export.{wire.partition(' ')[0]}").from_settings(
        settings.parse(os.environ)
    )
    spans: list[Any] = []
    sampler = build("always_on", "", lambda _name: None)
    tracer = TracerProvider(Resource({"service.name": "bench"}), sampler, spans.append).get_tracer("bench")

    def send(batch: list[Any]) -> None:
        if losses := exporter.export(batch, time.monotonic() + 30):
            raise AssertionError(losses)

    def prepare(count: int) -> Callable[[], None]:
        spans.clear()
        for _ in range(count):
            span = tracer.start_span("GET /orders/<id>", kind=SpanKind.SERVER, attributes=_attributes())
            span.end(time.time_ns() + DURATION)
        return _in_batches(spans, send)

    return prepare


def _otel(wire: str) -> Job:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.trace import SpanKind

    if wire == "otlp":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Exporter
    else:
        from opentelemetry.exporter.zipkin.json import ZipkinExporter as Exporter
    exporter, provider = Exporter(), TracerProvider(resource=Resource({"service.name": "bench"}))
    spans: list[Any] = []
    processor = SpanProcessor()
    processor.on_end = spans.append  # type: ignore[method-assign]
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("bench")

    def send(batch: list[Any]) -> None:
        if exporter.export(batch) is not SpanExportResult.SUCCESS:
            raise AssertionError("not sent")

    def prepare(count: int) -> Callable[[], None]:
        spans.clear()
        for _ in range(count):
            span = tracer.start_span("GET /orders/<id>", kind=SpanKind.SERVER, attributes=_attributes())
            span.end(time.time_ns() + DURATION)
        return _in_batches(spans, send)

    return prepare


def _floor(wire: str) -> Job:
    from bench.floor import Sender, Span, encode, getrandbits

    path = {"otlp": "/v1/traces", "zipkin": "/api/v2/spans"}[wire]
    sender = Sender(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + path)
    encoders = {
        "otlp": encode,
        "zipkin": lambda spans: json.dumps([_zipkin(span) for span in spans]).encode(),
    }
    encoder = encoders[wire]

    def prepare(count: int) -> Callable[[], None]:
        spans = []
        for _ in range(count):
            span = Span("GET /orders/<id>", 2, getrandbits(128), 0, _attributes())
            span.end = span.start + DURATION
            spans.append(span)
        return _in_batches(spans, lambda batch: sender.post(encoder(batch)))

    return prepare


def _zipkin(span: Any) -> dict[str, Any]:
    return {
        "traceId": f"{span.trace_id:032x}",
        "id": f"{span.span_id:016x}",
        "name": span.name,
        "kind": "SERVER",
        "timestamp": span.start // 1000,
        "duration": (span.end - span.start) // 1000,
        "localEndpoint": {"serviceName": "bench"},
        "tags": {key: str(value) for key, value in span.attributes.items()},
    }
