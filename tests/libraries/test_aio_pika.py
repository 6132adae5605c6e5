"""aio-pika, and aiormq beneath it, with a real broker."""

from __future__ import annotations

import asyncio

import pytest
from instrumented import instrumented
from opentelemetry import trace
from workers import produce, shape, until, worker
from yarl import URL

aio_pika = pytest.importorskip("aio_pika")

LIBRARIES = ("aiormq", "aio-pika")


async def work(url, seen):
    """Publish the same message three times: to a callback, to an iterator, and to be fetched."""
    async with await aio_pika.connect_robust(url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange("shop", auto_delete=True)
        queue = await channel.declare_queue("orders")
        await queue.bind(exchange, "new")
        headers = {"tenant": "blue"}
        message = aio_pika.Message(b"a", headers=headers, message_id="m1", correlation_id="c1")
        done = asyncio.get_running_loop().create_future()

        def note(message):
            kept = {key: text for key, text in message.headers.items() if key != "traceparent"}
            seen.append((message.body, kept, message.message_id, message.redelivered))

        async def on_message(message):
            async with message.process():
                note(message)
                await asyncio.sleep(0)
                assert trace.get_current_span().is_recording() is ("traceparent" in message.headers)
            done.set_result(None)

        for _ in range(3):
            await exchange.publish(message, "new")
        assert message.headers == headers == {"tenant": "blue"}
        await channel.set_qos(prefetch_count=1)
        fetched = await queue.get()
        async with fetched.process():
            note(fetched)
        with pytest.raises(LookupError):
            async with queue.iterator() as messages:
                async for taken in messages:
                    async with taken.process():
                        note(taken)
                        raise LookupError("out of stock")
        tag = await queue.consume(on_message)
        await asyncio.wait_for(done, 60)
        await queue.cancel(tag)
        await queue.delete()
        assert not trace.get_current_span().is_recording()


def test_a_message_is_in_the_trace_of_its_sender(rabbitmq_url):
    plain, seen = [], []
    asyncio.run(work(rabbitmq_url, plain))
    with instrumented(*LIBRARIES) as traced:
        asyncio.run(work(rabbitmq_url, seen))
    assert seen == plain
    published, consumed = traced.spans[:3], traced.spans[3:]
    common = {
        "messaging.system": "rabbitmq",
        "messaging.rabbitmq.destination.routing_key": "new",
        "messaging.message.id": "m1",
        "messaging.message.conversation_id": "c1",
        "server.address": "127.0.0.1",
        "server.port": URL(rabbitmq_url).port,
    }
    for span in published:
        assert (span.name, span.kind.name) == ("publish shop:new", "PRODUCER")
        assert dict(span.attributes) == {
            **common,
            "messaging.destination.name": "shop:new",
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
        }
    assert [span.parent_id for span in consumed] == [span.span_id for span in published]
    assert [span.attributes.get("error.type") for span in consumed] == [None, "LookupError", None]
    for tag, span in enumerate(consumed, 1):
        name = "shop:new:orders" if tag == 3 else "shop:new"
        assert (span.name, span.kind.name) == (f"consume {name}", "CONSUMER")
        attributes = dict(span.attributes)
        attributes.pop("error.type", None)
        assert attributes == {
            **common,
            "messaging.destination.name": name,
            "messaging.operation.name": "consume",
            "messaging.operation.type": "process",
            "messaging.rabbitmq.message.delivery_tag": attributes["messaging.rabbitmq.message.delivery_tag"],
        }


def test_aiormq_by_itself(rabbitmq_url):
    import aiormq

    async def exchange():
        connection = await aiormq.connect(rabbitmq_url)
        channel = await connection.channel()
        queue = (await channel.queue_declare("", exclusive=True)).queue
        arrived = asyncio.get_running_loop().create_future()

        async def on_message(message):
            arrived.set_result((message.body, trace.get_current_span().name))
            raise LookupError("out of stock")

        await channel.basic_consume(queue, on_message, no_ack=True)
        properties = aiormq.spec.Basic.Properties()
        await channel.basic_publish(b"a", routing_key=queue, properties=properties)
        assert properties.message_id
        assert not properties.headers
        found = await asyncio.wait_for(arrived, 60)
        await asyncio.sleep(0)
        with pytest.raises(aiormq.exceptions.ChannelNotFoundEntity):
            await channel.basic_publish(b"a", exchange="none", routing_key="x")
        await connection.close()
        return found

    with instrumented(*LIBRARIES) as traced:
        assert asyncio.run(exchange()) == (b"a", "consume")
    sent = traced.by_name("publish amq.default")
    consumed = traced.by_name("consume")
    assert consumed.parent_id == sent.span_id
    assert consumed.attributes["error.type"] == "LookupError"
    assert consumed.attributes["messaging.message.id"] == sent.attributes["messaging.message.id"]
    assert traced.by_name("publish none:x").attributes["error.type"].endswith("ChannelNotFoundEntity")


CONSUMER = """
import asyncio, os, signal
import aio_pika
from opentelemetry import trace

tracer = trace.get_tracer("app")

async def on_message(message):
    async with message.process():
        with tracer.start_as_current_span("inside"):
            await asyncio.sleep(0.01)

async def main():
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with await aio_pika.connect_robust(os.environ["BROKER"]) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("jobs", auto_delete=True)
        await queue.consume(on_message)
        print("ready", flush=True)
        await ended.wait()

asyncio.run(main())
"""

PRODUCER = """
import asyncio, os
import aio_pika
from opentelemetry import trace

async def main():
    async with await aio_pika.connect(os.environ["BROKER"]) as connection:
        channel = await connection.channel()
        with trace.get_tracer("app").start_as_current_span("client"):
            await asyncio.gather(
                *(channel.default_exchange.publish(aio_pika.Message(b"a"), "jobs") for _ in range(3))
            )

asyncio.run(main())
"""

MESSAGE = """
  client PRODUCER publish jobs
    worker CONSUMER consume jobs
      worker INTERNAL inside
"""


@pytest.mark.slow
def test_a_consumer_and_a_producer_from_outside(sandbox, arrivals, rabbitmq_url):
    """Messages are consumed at the same time, each in a context of its own."""
    environ = {**sandbox.environ, **arrivals.environ, "BROKER": rabbitmq_url}
    sandbox.write("consumer.py", CONSUMER)
    with worker(sandbox, environ, "python", "consumer.py", ready="ready"):
        produce(sandbox, environ, PRODUCER)
        produce(sandbox, environ, PRODUCER, traced=False)
        until(lambda: sum(span.kind == "CONSUMER" for span in arrivals.spans) >= 6)
    alone = "worker CONSUMER consume jobs\n  worker INTERNAL inside\n"
    assert shape(arrivals.spans) == "client INTERNAL client\n" + 3 * MESSAGE.lstrip("\n") + 3 * alone
