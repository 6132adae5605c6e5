"""Spans for aio-pika, and aiormq beneath it: where a message is published, and where it is consumed.

Patched: `Channel.basic_publish` and `Channel.basic_consume` of aiormq. aio-pika's iterator of a queue gives
the latter a callback that only queues the message, and messages may be fetched one by one: those have their
span in `async with message.process()`.

Spec: https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/
"""

from __future__ import annotations

import copy
import functools
import inspect
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.messaging import Messaging, finish
from autotrace.instrumentation.rabbitmq import destination_of, message_attributes
from autotrace.instrumentation.semconv import MESSAGING_MESSAGE_ID, SERVER_ADDRESS, SERVER_PORT
from autotrace.patching.guard import guard
from autotrace.tracing.context import Context, attach, current, detach
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_DELIVERY: Final = "autotrace-aiormq-delivery"
"""In the context: which delivery the callback at work has been given."""
_RUN: Final = "_autotrace_run"
"""Of aio-pika's `ProcessContext`: the span, and the token of the context."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `aiormq.channel`."""
    messaging = Messaging(patcher, "rabbitmq")
    properties_class: Any = module.spec.Basic.Properties

    def observe_publish(call: Call) -> Generator[None, Outcome, None]:
        exchange, key = call.get(2, "exchange") or "", call.get(3, "routing_key") or ""
        given = call.get(4, "properties")
        properties = properties_class(delivery_mode=1) if given is None else copy.copy(given)
        attributes = {**_server(call.args[0]), **message_attributes(properties, key)}
        destination = destination_of(exchange, key) or "amq.default"
        begun = messaging.send("publish", destination, properties.headers, attributes)
        if begun is None:
            return
        span, headers = begun
        properties.headers = headers
        call.set(4, "properties", properties)
        outcome = yield
        if properties.message_id:
            if given is not None:
                given.message_id = properties.message_id  # the library has given it one
            if type(span) is Span:
                span.set_attribute(MESSAGING_MESSAGE_ID, properties.message_id)
        finish(span, outcome.error)

    def observe_consume(call: Call) -> Generator[None, Outcome, None]:
        callback = call.get(2, "consumer_callback")
        if not callable(callback) or _is_of_an_iterator(callback):
            return
        queue = str(call.get(1, "queue") or "")
        call.set(2, "consumer_callback", _traced(callback, queue, messaging, patcher))
        yield

    patcher.wrap(module, "Channel.basic_publish", observe_publish)
    patcher.wrap(module, "Channel.basic_consume", observe_consume)


def install_message(module: ModuleType, patcher: Patcher) -> None:
    """Patch `aio_pika.message`."""
    messaging = Messaging(patcher, "rabbitmq")

    def observe_enter(call: Call) -> Generator[None, Outcome, None]:
        process = call.args[0]
        message = process.message
        outcome = yield
        if outcome.error is not None or current().get(_DELIVERY) == _identity(message):
            return
        begun = _begin(messaging, "", message, message)
        if begun is not None:
            span, context = begun
            process.__dict__[_RUN] = span, attach(context)

    def observe_exit(call: Call) -> Generator[None, Outcome, None]:
        span, token = call.args[0].__dict__.pop(_RUN, (None, None))
        if span is None:
            return
        outcome = yield
        detach(token)
        finish(span, outcome.error or call.get(2, "exc_val"))

    patcher.wrap(module, "ProcessContext.__aenter__", observe_enter)
    patcher.wrap(module, "ProcessContext.__aexit__", observe_exit)


def _is_of_an_iterator(callback: Any) -> bool:
    """Whether it is aio-pika's own, around what its iterator has given."""
    inner: Any = getattr(callback, "args", None)
    return bool(inner) and getattr(inner[0], "__qualname__", "") == "QueueIterator.on_message"


def _traced(
    callback: Callable[..., Any], queue: str, messaging: Messaging, patcher: Patcher
) -> Callable[..., Any]:
    @functools.wraps(callback, updated=())
    async def on_message(message: Any) -> Any:
        begun = None
        with guard:
            if patcher.enabled:
                begun = _begin(messaging, queue, message, message.header.properties)
        if begun is None:
            return await _called(callback, message)
        span, context = begun
        token = attach(context)
        try:
            result = await _called(callback, message)  # the only line that may raise
        except BaseException as error:
            detach(token)
            with guard:
                finish(span, error)
            raise
        detach(token)
        with guard:
            finish(span, None)
        return result

    return on_message


async def _called(callback: Callable[..., Any], message: Any) -> Any:
    result = callback(message)  # the library takes plain functions too
    return await result if inspect.isawaitable(result) else result


def _begin(messaging: Messaging, queue: str, message: Any, properties: Any) -> Any:
    attributes = {**_server(message.channel), **message_attributes(properties, message.routing_key)}
    if message.delivery_tag is not None:
        attributes["messaging.rabbitmq.message.delivery_tag"] = message.delivery_tag
    destination = destination_of(message.exchange, message.routing_key, queue)
    begun = messaging.process("consume", destination, properties.headers, attributes)
    if begun is None:
        return None
    span, context = begun
    return span, Context({**context, _DELIVERY: _identity(message)})


def _identity(message: Any) -> tuple[int, Any]:
    return id(message.channel), message.delivery_tag


def _server(channel: Any) -> dict[str, Any]:
    url: Any = getattr(getattr(channel, "connection", None), "url", None)
    host = getattr(url, "host", None)
    return {SERVER_ADDRESS: str(host), SERVER_PORT: url.port} if host else {}
