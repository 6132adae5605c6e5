"""Spans for aiokafka: one where a record is sent, one for what is done with those that were fetched.

Patched: `AIOKafkaProducer.send`, whose span ends when its future is done, and `send_batch`; `getone` and
`getmany` of `AIOKafkaConsumer`, and `__aiter__`, to notice that a loop was left.

Spec: https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.kafka import (
    Delivery,
    Kafka,
    client_attributes,
    noticing_the_end,
    task_of,
    with_headers,
)
from autotrace.patching.guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType
    from typing import Final

    from autotrace.instrumentation.kafka import Reader
    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_READER: Final = "_autotrace_reader"
_FIRST_WITH_HEADERS: Final = (0, 11)
"""Records of older brokers have no place for them."""


def install_producer(module: ModuleType, patcher: Patcher) -> None:
    """Patch `aiokafka.producer.producer`."""
    kafka = Kafka(patcher)

    def observe_send(call: Call) -> Generator[None, Outcome, None]:
        client, headers = call.args[0].client, call.get(6, "headers")
        attributes = _describe(client)
        begun = kafka.send(call.get(1, "topic"), call.get(3, "key"), call.get(2, "value"), attributes)
        if begun is None:
            return
        span, context = begun
        delivery = Delivery(span)
        # Newer versions speak with no older brokers, and do not tell.
        takes_headers = getattr(client, "api_version", _FIRST_WITH_HEADERS) >= _FIRST_WITH_HEADERS
        if takes_headers and isinstance(headers, (list, tuple, type(None))):
            call.set(6, "headers", with_headers(headers, context))
        outcome = yield
        _follow(outcome, delivery)

    def observe_send_batch(call: Call) -> Generator[None, Outcome, None]:
        count = call.get(1, "batch").record_count()
        span = kafka.send_batch(call.get(2, "topic"), count, _describe(call.args[0].client))
        if span is None:
            return
        outcome = yield
        _follow(outcome, Delivery(span))

    patcher.wrap(module, "AIOKafkaProducer.send", observe_send)
    patcher.wrap(module, "AIOKafkaProducer.send_batch", observe_send_batch)


def _follow(outcome: Outcome, delivery: Delivery) -> None:
    if outcome.error is not None:
        delivery.fail(outcome.error)
    else:
        outcome.result.add_done_callback(_teller(delivery))


def _teller(delivery: Delivery) -> Callable[[Any], None]:
    def done(future: Any) -> None:
        with guard:
            # Asked for by its method, asyncio would not complain of an error that nobody has looked at.
            error = getattr(future, "_exception", None)
            if error is not None or future.cancelled():
                delivery.fail(error)
            else:
                delivery.succeed(future.result())

    return done


def install_consumer(module: ModuleType, patcher: Patcher) -> None:
    """Patch `aiokafka.consumer.consumer`."""
    consumers = _Consumers(patcher, task_of(module.asyncio))
    patcher.wrap(module, "AIOKafkaConsumer.getone", consumers.observe_getone)
    patcher.wrap(module, "AIOKafkaConsumer.getmany", consumers.observe_getmany)
    patcher.wrap(module, "AIOKafkaConsumer.stop", consumers.observe_stop)
    patcher.replace(module, "AIOKafkaConsumer.__aiter__", noticing_the_end(consumers.reader_of, patcher))


class _Consumers:
    def __init__(self, patcher: Patcher, holder: Callable[[], Any]) -> None:
        self._kafka = Kafka(patcher)
        self._holder = holder

    def observe_getone(self, call: Call) -> Generator[None, Outcome, None]:
        reader, start_time = self.reader_of(call.args[0]), time.time_ns()
        reader.leave()
        outcome = yield
        if outcome.error is None:
            reader.got(outcome.result, start_time)

    def observe_getmany(self, call: Call) -> Generator[None, Outcome, None]:
        reader, start_time = self.reader_of(call.args[0]), time.time_ns()
        reader.leave()
        outcome = yield
        if outcome.result:
            records = [record for of_partition in outcome.result.values() for record in of_partition]
            reader.got_batch(records, start_time)

    def observe_stop(self, call: Call) -> Generator[None, Outcome, None]:
        self.reader_of(call.args[0]).leave_all()
        yield

    def reader_of(self, consumer: Any) -> Reader:
        """Made with its first fetch."""
        reader: Reader | None = consumer.__dict__.get(_READER)
        if reader is None:
            group = consumer._group_id  # noqa: SLF001 - told nowhere else
            reader = self._kafka.reader(_describe(consumer._client, group), self._holder)  # noqa: SLF001
            consumer.__dict__[_READER] = reader
        return reader


def _describe(client: Any, group: Any = None) -> dict[str, Any]:
    return client_attributes(client._bootstrap_servers, client._client_id, group)  # noqa: SLF001 - likewise
