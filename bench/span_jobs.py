"""One internal span through the OpenTelemetry API, as an application makes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[int], Callable[[], None]]


def job(agent: str, name: str) -> tuple[Job, Callable[[], object]]:
    """`span`: five attributes given at the start; `span set`: one by one, on the open span."""
    if agent.startswith("plain"):
        return _empty, lambda: None
    if agent == "floor":
        return _floor()
    from opentelemetry import trace

    from bench.worker import flush_of_provider

    tracer = trace.get_tracer("bench")

    def at_start(count: int) -> Callable[[], None]:
        def run() -> None:
            for number in range(count):
                with tracer.start_as_current_span(
                    "work", attributes={"a": "one", "b": "two", "c": 3, "d": True, "number": number}
                ):
                    pass

        return run

    def one_by_one(count: int) -> Callable[[], None]:
        def run() -> None:
            for number in range(count):
                with tracer.start_as_current_span("work") as span:
                    span.set_attribute("a", "one")
                    span.set_attribute("b", "two")
                    span.set_attribute("c", 3)
                    span.set_attribute("d", True)
                    span.set_attribute("number", number)

        return run

    return one_by_one if name == "span set" else at_start, flush_of_provider()


def _empty(count: int) -> Callable[[], None]:
    def run() -> None:
        for number in range(count):
            _attributes = {"a": "one", "b": "two", "c": 3, "d": True, "number": number}

    return run


def _floor() -> tuple[Job, Callable[[], object]]:
    from bench.floor import _SPAN_KEY, Context, Sender, Span, attach, current, detach, getrandbits

    sender = Sender(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces")

    def prepare(count: int) -> Callable[[], None]:
        def run() -> None:
            for number in range(count):
                attributes = {"a": "one", "b": "two", "c": 3, "d": True, "number": number}
                span = Span("work", 1, getrandbits(128), 0, attributes)
                token = attach(Context({**current(), _SPAN_KEY: span}))
                detach(token)
                sender.end(span)

        return run

    return prepare, sender.flush
