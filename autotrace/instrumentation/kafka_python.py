"""Spans for kafka-python: one where a record is sent, one for what is done with those that were fetched.

Patched: `KafkaProducer.send`, whose span ends when the broker has answered, in the producer's own thread;
the callbacks of its future, which run there too, get the context in which they were added. `poll` and
`__next__` of `KafkaConsumer`, and `__iter__`, to notice that a loop was left.

Spec: https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.carried import Carried
from autotrace.instrumentation.kafka import Delivery, Kafka, client_attributes, noticing_the_end, with_headers
from autotrace.tracing.context import current
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType
    from typing import Final

    from autotrace.instrumentation.kafka import Reader
    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_CLIENT: Final = "_autotrace_client"
_READER: Final = "_autotrace_reader"
_CALLBACKS: Final = ("add_callback", "add_errback")
_FIRST_WITH_HEADERS: Final = (0, 11)
"""Records of older brokers have no place for them."""


def install_producer(module: ModuleType, patcher: Patcher) -> None:
    """Patch `kafka.producer.kafka`."""
    kafka = Kafka(patcher)
    future_class: Any = module.FutureRecordMetadata
    # Of the base: ours need no context.
    add_callback, add_errback = (getattr(future_class.__base__, name) for name in _CALLBACKS)

    def observe_send(call: Call) -> Generator[None, Outcome, None]:
        producer, headers = call.args[0], call.get(4, "headers")
        if not isinstance(headers, (list, type(None))):
            return  # it will be refused
        begun = kafka.send(call.get(1, "topic"), call.get(3, "key"), call.get(2, "value"), _client(producer))
        if begun is None:
            return
        span, context = begun
        delivery = Delivery(span)
        if producer.config["api_version"] >= _FIRST_WITH_HEADERS:
            call.set(4, "headers", with_headers(headers, context))
        outcome = yield
        if outcome.error is not None:
            delivery.fail(outcome.error)
        elif type(span) is Span:
            add_callback(outcome.result, delivery.succeed)
            add_errback(outcome.result, delivery.fail)

    patcher.wrap(module, "KafkaProducer.send", observe_send)
    for name in _CALLBACKS:
        patcher.wrap(future_class, name, _observe_add)


def _observe_add(call: Call) -> Generator[None, Outcome, None]:
    call.set(1, "f", Carried(current(), call.get(1, "f")))
    yield


def install_consumer(module: ModuleType, patcher: Patcher) -> None:
    """Patch `kafka.consumer.group`."""
    consumers = _Consumers(patcher)
    patcher.wrap(module, "KafkaConsumer.__next__", consumers.observe_next)
    patcher.wrap(module, "KafkaConsumer.poll", consumers.observe_poll)
    patcher.wrap(module, "KafkaConsumer.close", consumers.observe_close)
    patcher.replace(module, "KafkaConsumer.__iter__", noticing_the_end(consumers.reader_of, patcher))


class _Consumers:
    def __init__(self, patcher: Patcher) -> None:
        self._kafka = Kafka(patcher)

    def observe_next(self, call: Call) -> Generator[None, Outcome, None]:
        reader, start_time = self.reader_of(call.args[0]), time.time_ns()
        reader.leave()
        outcome = yield
        if outcome.error is None:
            reader.got(outcome.result, start_time)

    def observe_poll(self, call: Call) -> Generator[None, Outcome, None]:
        if call.get(3, "update_offsets", True) is False:
            return  # the iterator fetches
        reader, start_time = self.reader_of(call.args[0]), time.time_ns()
        reader.leave()
        outcome = yield
        if outcome.result:
            records = [record for of_partition in outcome.result.values() for record in of_partition]
            reader.got_batch(records, start_time)

    def observe_close(self, call: Call) -> Generator[None, Outcome, None]:
        self.reader_of(call.args[0]).leave_all()
        yield

    def reader_of(self, consumer: Any) -> Reader:
        """Made with its first fetch."""
        reader: Reader | None = consumer.__dict__.get(_READER)
        if reader is None:
            reader = self._kafka.reader(_client(consumer), threading.current_thread)
            consumer.__dict__[_READER] = reader
        return reader


def _client(client: Any) -> dict[str, Any]:
    attributes: dict[str, Any] | None = client.__dict__.get(_CLIENT)
    if attributes is None:
        config = client.config
        attributes = client_attributes(
            config["bootstrap_servers"], config["client_id"], config.get("group_id")
        )
        client.__dict__[_CLIENT] = attributes
    return attributes
