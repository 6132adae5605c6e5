"""Spans for confluent-kafka: one where a message is sent, one for what is done with those that were fetched.

`Producer` and `Consumer` are written in C: their methods cannot be patched, and nothing makes them but their
names. So `confluent_kafka.cimpl`, where everybody has them from, gets a subclass of each by the same name,
which adds no state; the methods are patched there. Classes that were derived before, the library's or the
program's, get it as their base, so that `isinstance` and `super` hold for all.

A span lasts until the delivery report where the program asks for one, and only then: nobody else can be
trusted to poll for it. Else it ends when the message is queued.

Patched besides: `poll` and `consume` of `AIOConsumer`, which asks a `Consumer` in other threads.

Spec: https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.carried import Carried
from autotrace.instrumentation.kafka import Delivery, Kafka, Record, client_attributes, task_of, with_headers
from autotrace.instrumentation.twins import make_twin
from autotrace.patching.guard import guard
from autotrace.tracing.context import current
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType
    from typing import Final

    from autotrace.instrumentation.kafka import Reader
    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

    Steps = Generator[None, Outcome, None]

_READER: Final = "_autotrace_reader"
_readers: dict[int, Reader] = {}
"""By the identity of the consumer, which has no room of its own."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `confluent_kafka.cimpl`."""
    producers = _Producers(patcher, module.KafkaException)
    producer = _replace(module, "Producer", patcher, producers.clients)
    patcher.wrap(producer, "__init__", producers.observe_init)
    patcher.wrap(producer, "produce", producers.observe_produce)

    kafka = Kafka(patcher)

    def observe_init(call: Call) -> Steps:
        config = _config(call)
        outcome = yield
        if outcome.error is None:
            _readers[id(call.args[0])] = kafka.reader(_client(config), threading.current_thread)

    consumers = _Consumers(lambda consumer: _readers.get(id(consumer)))
    consumer = _replace(module, "Consumer", patcher, _readers)
    patcher.wrap(consumer, "__init__", observe_init)
    patcher.wrap(consumer, "poll", consumers.observe_poll)
    patcher.wrap(consumer, "consume", consumers.observe_consume)
    for name in ("close", "__exit__"):
        if hasattr(consumer, name):
            patcher.wrap(consumer, name, consumers.observe_close)


def _replace(module: ModuleType, name: str, patcher: Patcher, known: dict[int, Any]) -> type[Any]:
    """Put a subclass in the place of a class, also for those who have it already.

    Args:
        known: What we know of its instances, by their identity.
    """
    original: type[Any] = getattr(module, name)

    def __del__(self: Any) -> None:  # noqa: N807 - it becomes one
        known.pop(id(self), None)

    twin = make_twin(original, (original,), {"__slots__": (), "__del__": __del__})
    for derived in original.__subclasses__():
        if derived is not twin:
            bases = tuple(twin if base is original else base for base in derived.__bases__)
            with guard:
                derived.__bases__ = bases
    for known_as, holder in list(sys.modules.items()):
        if known_as.partition(".")[0] == "confluent_kafka":
            for attribute in [key for key, value in vars(holder).items() if value is original]:
                patcher.put(holder, attribute, twin)
    return twin


class _Producers:
    def __init__(self, patcher: Patcher, exception_class: Any) -> None:
        self._kafka = Kafka(patcher)
        self._exception_class = exception_class
        self.clients: dict[int, tuple[dict[str, Any], Any]] = {}

    def observe_init(self, call: Call) -> Steps:
        config = _config(call)
        outcome = yield
        if outcome.error is None:
            self.clients[id(call.args[0])] = _client(config), config.get("on_delivery")

    def observe_produce(self, call: Call) -> Steps:
        attributes, callback = self.clients.get(id(call.args[0]), ({}, None))
        begun = self._kafka.send(call.get(1, "topic"), call.get(3, "key"), call.get(2, "value"), attributes)
        if begun is None:
            return
        span, context = begun
        delivery = Delivery(span)
        headers = call.get(8, "headers")
        if isinstance(headers, (list, dict, type(None))):
            call.set(8, "headers", with_headers(headers, context))
        where = (5, "callback") if call.get(5, "callback") is not None else (6, "on_delivery")
        callback = call.get(*where) or callback
        awaited = type(span) is Span and callable(callback)
        if awaited:
            call.set(*where, _Report(delivery, callback, self._exception_class))
        outcome = yield
        if outcome.error is not None or not awaited:
            delivery.fail(outcome.error)


class _Report:
    """The program's callback for the delivery report, in the context in which the message was sent."""

    __slots__ = ("_callback", "_delivery", "_exception_class")

    def __init__(self, delivery: Delivery, callback: Callable[..., Any], exception_class: Any) -> None:
        self._delivery = delivery
        self._callback = Carried(current(), callback)
        self._exception_class = exception_class

    def __call__(self, error: Any, message: Any) -> Any:
        with guard:
            if error is None:
                self._delivery.succeed(_record(message))
            else:
                self._delivery.fail(self._exception_class(error), str(error.name()))
        return self._callback(error, message)


class _Consumers:
    """What is observed of consumers.

    Args:
        reader_of: None for one that is left alone.
    """

    def __init__(self, reader_of: Callable[[Any], Reader | None]) -> None:
        self._reader_of = reader_of

    def observe_poll(self, call: Call) -> Steps:
        reader, start_time = self._reader_of(call.args[0]), time.time_ns()
        if reader is None:
            return
        reader.leave()
        outcome = yield
        message = outcome.result
        if message is not None and message.error() is None:
            reader.got(_record(message), start_time)

    def observe_consume(self, call: Call) -> Steps:
        reader, start_time = self._reader_of(call.args[0]), time.time_ns()
        if reader is None:
            return
        reader.leave()
        outcome = yield
        messages = [message for message in outcome.result or () if message.error() is None]
        reader.got_batch([_record(message) for message in messages], start_time)

    def observe_close(self, call: Call) -> Steps:
        reader = self._reader_of(call.args[0])
        if reader is not None:
            reader.leave_all()
        yield


def install_aio(module: ModuleType, patcher: Patcher) -> None:
    """Patch `confluent_kafka.aio._AIOConsumer`."""
    holder = task_of(module.asyncio)

    def observe_init(call: Call) -> Steps:
        outcome = yield
        consumer = call.args[0]
        if outcome.error is None:
            # What it has its threads do is not the program's fetching.
            reader = _readers.pop(id(consumer._consumer), None)  # noqa: SLF001
            if reader is not None:
                reader.holder = holder
                consumer.__dict__[_READER] = reader

    consumers = _Consumers(lambda consumer: consumer.__dict__.get(_READER))
    patcher.wrap(module, "AIOConsumer.__init__", observe_init)
    patcher.wrap(module, "AIOConsumer.poll", consumers.observe_poll)
    patcher.wrap(module, "AIOConsumer.consume", consumers.observe_consume)
    patcher.wrap(module, "AIOConsumer.close", consumers.observe_close)


def _config(call: Call) -> dict[str, Any]:
    given = call.args[1] if len(call.args) > 1 else None
    return {**(given if isinstance(given, dict) else {}), **call.kwargs}


def _client(config: dict[str, Any]) -> dict[str, Any]:
    servers = config.get("bootstrap.servers") or config.get("metadata.broker.list")
    return client_attributes(servers, config.get("client.id"), config.get("group.id"))


def _record(message: Any) -> Record:
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
        message.headers(),
    )
