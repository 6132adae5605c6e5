"""Spans for kombu: one where a message is published, one where a consumer's callbacks have it.

Patched: `Producer.publish` and `Consumer._receive_callback`. Celery, which has spans of its own, sends and
consumes through them: its messages are left alone, and so are those that kombu itself controls workers with.

`_get_pool` of the Redis channels, the one place where their connections come from: the commands that carry
messages make no spans, nor does a worker that waits for them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.messaging import Messaging, finish
from autotrace.instrumentation.rabbitmq import destination_of
from autotrace.instrumentation.redis import silence
from autotrace.instrumentation.semconv import MESSAGING_MESSAGE_ID, SERVER_ADDRESS, SERVER_PORT
from autotrace.patching.call import Call
from autotrace.patching.guard import guard
from autotrace.tracing.context import attach, detach

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Outcome
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_SYSTEMS: Final = {"amqp": "rabbitmq", "sqs": "aws_sqs"}
"""Transports whose broker goes by another name in the conventions."""
_OTHERS: Final = ("celery.", "kombu.pidbox")
"""Whose messages are not the application's."""


def install_messaging(module: ModuleType, patcher: Patcher) -> None:
    """Patch `kombu.messaging`."""
    messages = _Messages(patcher)

    def make_publish(original: Function) -> Function:
        def publish(*args: Any, **kwargs: Any) -> Any:
            span, call = None, Call(args, kwargs)
            with guard:
                caller = sys._getframe(1).f_globals.get("__name__")  # noqa: SLF001 - the way to the caller
                if patcher.enabled and not str(caller).startswith(_OTHERS):
                    span = messages.begin_publish(call)
            if span is None:
                return original(*args, **kwargs)
            try:
                result = original(*call.args, **call.kwargs)  # the only line that may raise
            except BaseException as error:
                with guard:
                    finish(span, error)
                raise
            with guard:
                finish(span, None)
            return result

        return publish

    patcher.replace(module, "Producer.publish", make_publish)
    patcher.wrap(module, "Consumer._receive_callback", messages.observe_receive)


class _Messages:
    def __init__(self, patcher: Patcher) -> None:
        self._patcher = patcher
        self._messaging: dict[str, Messaging] = {}

    def begin_publish(self, call: Call) -> Any:
        """The span of a message, whose headers are replaced by a copy; None where there is to be none."""
        headers = call.get(10, "headers")
        if headers and "task" in headers and "id" in headers:
            return None  # one of Celery's, on its way through `Connection.ensure`
        producer = call.args[0]
        exchange = call.get(12, "exchange") or producer.exchange
        key = call.get(2, "routing_key")
        key = producer.routing_key if key is None else key
        system, attributes = _broker(producer.channel)
        if call.kwargs.get("message_id"):
            attributes[MESSAGING_MESSAGE_ID] = str(call.kwargs["message_id"])
        destination = destination_of(getattr(exchange, "name", exchange), key) or "amq.default"
        begun = self._of(system).send("publish", destination, headers, attributes)
        if begun is None:
            return None
        span, carried = begun
        call.set(10, "headers", carried)
        return span

    def observe_receive(self, call: Call) -> Generator[None, Outcome, None]:
        """Around the callbacks of a consumer."""
        consumer, message = call.args[0], call.get(1, "message")
        callbacks = [consumer.on_message] if consumer.on_message else consumer.callbacks or ()
        if not any(_is_of_the_application(callback) for callback in callbacks):
            return
        system, attributes = _broker(consumer.channel)
        properties, info = getattr(message, "properties", None) or {}, message.delivery_info or {}
        if properties.get("message_id"):
            attributes[MESSAGING_MESSAGE_ID] = str(properties["message_id"])
        headers = getattr(message, "headers", None) or properties.get("application_headers")
        destination = destination_of(info.get("exchange"), info.get("routing_key"))
        begun = self._of(system).process("consume", destination, headers, attributes)
        if begun is None:
            return
        span, context = begun
        token = attach(context)
        outcome = yield
        detach(token)
        finish(span, outcome.error)

    def _of(self, system: str) -> Messaging:
        messaging = self._messaging.get(system)
        if messaging is None:
            messaging = self._messaging[system] = Messaging(self._patcher, system)
        return messaging


def _is_of_the_application(callback: Any) -> bool:
    """Not one of Celery's or kombu's; a simple queue's only keeps the message."""
    module = str(getattr(getattr(callback, "func", callback), "__module__", ""))
    return not module.startswith((*_OTHERS, "kombu.simple"))


def _broker(channel: Any) -> tuple[str, dict[str, Any]]:
    connection = channel.connection.client
    kind = str(connection.transport.driver_type)
    attributes: dict[str, Any] = {}
    if kind in ("amqp", "redis") and connection.hostname:
        attributes[SERVER_ADDRESS] = str(connection.hostname)
        if connection.port:
            attributes[SERVER_PORT] = int(connection.port)
    return _SYSTEMS.get(kind, kind), attributes


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `kombu.transport.redis`."""
    for channel in ("Channel", "SentinelChannel"):
        patcher.wrap(module, f"{channel}._get_pool", observe_get_pool)


def observe_get_pool(_call: Call) -> Generator[None, Outcome, None]:
    """Silence the pool that has been made."""
    outcome = yield
    if outcome.error is None:
        silence(outcome.result)
