"""What the clients of RabbitMQ share: how destinations are named, and what is told of a message.

Spec: https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/
"""

from __future__ import annotations

from typing import Any

from autotrace.instrumentation.semconv import MESSAGING_MESSAGE_ID


def destination_of(*names: Any) -> str:
    """Exchange, key and queue, each once; not a queue that the broker has named: that is one client's."""
    known = (str(name) for name in names if name)
    return ":".join(dict.fromkeys(name for name in known if not name.startswith("amq.gen-")))


def message_attributes(properties: Any, routing_key: Any) -> dict[str, Any]:
    """The attributes of a message with these properties."""
    attributes: dict[str, Any] = {}
    if routing_key:
        attributes["messaging.rabbitmq.destination.routing_key"] = str(routing_key)
    if properties.message_id:
        attributes[MESSAGING_MESSAGE_ID] = str(properties.message_id)
    if properties.correlation_id:
        attributes["messaging.message.conversation_id"] = str(properties.correlation_id)
    return attributes
