"""Spans for pika: one where a message is published, one where a consumer's callback has it.

Patched: `Channel.basic_publish`, which the blocking channel goes through too; and where callbacks are
handed over, `Channel.basic_consume` and `BlockingChannel.basic_consume`. The blocking channel gives the
former a callback of its own, which only queues the message: that one is left alone.

Spec: https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.messaging import Messaging, finish
from autotrace.instrumentation.rabbitmq import destination_of, message_attributes
from autotrace.instrumentation.semconv import SERVER_ADDRESS, SERVER_PORT
from autotrace.patching.guard import guard
from autotrace.tracing.context import attach, detach

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `pika.channel`."""
    messaging = Messaging(patcher, "rabbitmq")
    properties_class: Any = module.spec.BasicProperties

    def observe_publish(call: Call) -> Generator[None, Outcome, None]:
        exchange, key = call.get(1, "exchange"), call.get(2, "routing_key")
        properties = call.get(4, "properties") or properties_class()
        attributes = {**_server(call.args[0]), **message_attributes(properties, key)}
        destination = destination_of(exchange, key) or "amq.default"
        begun = messaging.send("publish", destination, properties.headers, attributes)
        if begun is None:
            return
        span, headers = begun
        copied = copy.copy(properties)  # the application may send its own again
        copied.headers = headers
        call.set(4, "properties", copied)
        outcome = yield
        finish(span, outcome.error)

    patcher.wrap(module, "Channel.basic_publish", observe_publish)
    patcher.wrap(module, "Channel.basic_consume", _observe_consume(messaging, patcher))


def install_blocking(module: ModuleType, patcher: Patcher) -> None:
    """Patch `pika.adapters.blocking_connection`."""
    observe = _observe_consume(Messaging(patcher, "rabbitmq"), patcher)
    patcher.wrap(module, "BlockingChannel.basic_consume", observe)


def _observe_consume(messaging: Messaging, patcher: Patcher) -> Callable[[Call], Any]:
    def observe(call: Call) -> Generator[None, Outcome, None]:
        callback = call.get(2, "on_message_callback")
        if not callable(callback) or _is_pikas(callback):
            return
        queue = call.get(1, "queue")
        call.set(2, "on_message_callback", _traced(callback, str(queue or ""), messaging, patcher))
        yield

    return observe


def _is_pikas(callback: Any) -> bool:
    owner = type(getattr(callback, "__self__", None))
    return (owner.__module__, owner.__name__) == ("pika.adapters.blocking_connection", "BlockingChannel")


def _traced(
    callback: Callable[..., Any], queue: str, messaging: Messaging, patcher: Patcher
) -> Callable[..., Any]:
    @functools.wraps(callback, updated=())
    def on_message(channel: Any, method: Any, properties: Any, body: Any) -> Any:
        begun = None
        with guard:
            if patcher.enabled:
                begun = _begin(messaging, queue, channel, method, properties)
        if begun is None:
            return callback(channel, method, properties, body)
        span, context = begun
        token = attach(context)
        try:
            result = callback(channel, method, properties, body)  # the only line that may raise
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


def _begin(messaging: Messaging, queue: str, channel: Any, method: Any, properties: Any) -> Any:
    attributes = {
        **_server(getattr(channel, "_impl", channel)),
        **message_attributes(properties, method.routing_key),
    }
    attributes["messaging.rabbitmq.message.delivery_tag"] = method.delivery_tag
    destination = destination_of(method.exchange, method.routing_key, queue)
    return messaging.process("consume", destination, properties.headers, attributes)


def _server(channel: Any) -> dict[str, Any]:
    parameters: Any = getattr(channel.connection, "params", None)
    host = getattr(parameters, "host", None)
    return {SERVER_ADDRESS: str(host), SERVER_PORT: parameters.port} if host else {}
