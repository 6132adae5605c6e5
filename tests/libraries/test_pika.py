"""pika with a real broker."""

from __future__ import annotations

import threading

import pika
import pytest
from instrumented import instrumented
from opentelemetry import trace

LIBRARY = "pika"


@pytest.fixture
def connect(rabbitmq_url):
    parameters = pika.URLParameters(rabbitmq_url)
    parameters.blocked_connection_timeout = 30
    return lambda: pika.BlockingConnection(parameters)


def work(connect, seen):
    """Publish twice with the same properties, consume both, and refuse one of them once."""
    headers = {"tenant": "blue"}
    properties = pika.BasicProperties(headers=headers, message_id="m1", delivery_mode=1)
    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("orders")
        for body in (b"a", b"b"):
            channel.basic_publish("", "orders", body, properties)
        assert headers == properties.headers == {"tenant": "blue"}

        def on_message(channel, method, properties, body):
            assert type(channel).__name__ == "BlockingChannel"
            headers = {key: text for key, text in properties.headers.items() if key != "traceparent"}
            seen.append((body, headers, properties.message_id, method.redelivered))
            assert trace.get_current_span().is_recording() is bool(properties.headers.get("traceparent"))
            if body == b"b" and not method.redelivered:
                channel.basic_nack(method.delivery_tag)
                return
            channel.basic_ack(method.delivery_tag)
            if len(seen) == 3:
                channel.stop_consuming()

        channel.basic_consume("orders", on_message)
        channel.start_consuming()
        assert channel.queue_delete("orders").method.message_count == 0


def test_a_message_is_in_the_trace_of_its_sender(connect, rabbitmq_url):
    plain, seen = [], []
    work(connect, plain)
    with instrumented(LIBRARY) as traced:
        work(connect, seen)
    assert seen == plain
    first, second, *consumed = traced.spans
    port = pika.URLParameters(rabbitmq_url).port
    common = {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": "orders",
        "messaging.rabbitmq.destination.routing_key": "orders",
        "messaging.message.id": "m1",
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    for span in (first, second):
        assert (span.name, span.kind.name) == ("publish orders", "PRODUCER")
        assert dict(span.attributes) == {
            **common,
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
        }
    assert [span.parent_id for span in consumed] == [first.span_id, second.span_id, second.span_id]
    for tag, span in enumerate(consumed, 1):
        assert (span.name, span.kind.name, span.trace_id) == (
            "consume orders",
            "CONSUMER",
            (first if tag == 1 else second).trace_id,
        )
        assert dict(span.attributes) == {
            **common,
            "messaging.operation.name": "consume",
            "messaging.operation.type": "process",
            "messaging.rabbitmq.message.delivery_tag": tag,
        }


def test_failures(connect):
    with instrumented(LIBRARY) as traced, connect() as connection:
        channel = connection.channel()
        name = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_publish("", name, b"a")

        def fail(*_message):
            raise LookupError("out of stock")

        channel.basic_consume(name, fail, auto_ack=True)
        with pytest.raises(LookupError):
            channel.start_consuming()
        channel.close()
        with pytest.raises(pika.exceptions.ChannelWrongStateError):
            channel.basic_publish("events", "order.new", b"a")
    sent, consumed, refused = traced.spans
    assert (sent.name, consumed.name, refused.name) == (
        "publish amq.default",
        "consume",
        "publish events:order.new",
    )
    assert consumed.parent_id == sent.span_id
    assert consumed.attributes["error.type"] == "LookupError"
    assert refused.attributes["error.type"] == "pika.exceptions.ChannelWrongStateError"


def test_a_connection_of_callbacks(rabbitmq_url):
    bodies = []

    def on_open(connection):
        connection.channel(on_open_callback=on_channel)

    def on_channel(channel):
        channel.queue_declare("jobs", auto_delete=True, callback=lambda _frame: on_queue(channel))

    def on_queue(channel):
        channel.basic_consume("jobs", on_message, auto_ack=True)
        channel.basic_publish("", "jobs", b"a", pika.BasicProperties(correlation_id="c1"))

    def on_message(channel, _method, _properties, body):
        bodies.append((body, trace.get_current_span().name))
        channel.connection.close()

    with instrumented(LIBRARY) as traced:
        connection = pika.SelectConnection(
            pika.URLParameters(rabbitmq_url),
            on_open_callback=on_open,
            on_close_callback=lambda connection, _reason: connection.ioloop.stop(),
        )
        limit = threading.Timer(60, lambda: connection.ioloop.add_callback_threadsafe(connection.ioloop.stop))
        limit.start()
        connection.ioloop.start()
        limit.cancel()
        connection.ioloop.close()
    assert bodies == [(b"a", "consume jobs")]
    sent, consumed = traced.spans
    assert consumed.parent_id == sent.span_id
    assert sent.attributes["messaging.message.conversation_id"] == "c1"
