"""aiokafka with a real broker."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import warnings

import pytest
from instrumented import instrumented
from opentelemetry import trace
from workers import produce, shape

aiokafka = pytest.importorskip("aiokafka")

LIBRARY = "aiokafka"
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True, scope="module")
def _sockets_left_open():
    """The library leaves one now and then; later tests are not to be told."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def topic():
    return f"orders-{os.urandom(4).hex()}"


@pytest.fixture
def clients(kafka_address, topic):
    """A producer, and a consumer that reads the topic from its beginning."""

    def producer(**config):
        return aiokafka.AIOKafkaProducer(
            **{"bootstrap_servers": kafka_address, "client_id": "shop", **config}
        )

    def consumer(**config):
        defaults = {"group_id": f"of {topic}", "client_id": "worker", "auto_offset_reset": "earliest"}
        return aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=kafka_address, **{**defaults, **config})

    return producer, consumer


def current_name():
    return getattr(trace.get_current_span(), "name", None)


def test_a_record_is_in_the_trace_of_its_sender(kafka_address, clients, topic):
    headers = [("tenant", b"blue")]

    async def work():
        seen = []
        producer, consumer = clients[0](), clients[1]()
        async with producer, consumer:
            await producer.send_and_wait(topic, b"a", b"k1", headers=headers)
            await (await producer.send(topic, None, b"k2", 0, None, headers))
            async for record in consumer:
                kept = [pair for pair in record.headers if pair[0] != "traceparent"]
                seen.append((record.value, record.key, kept, current_name()))
                if len(seen) == 2:
                    break
            seen.append(current_name())
        return seen

    with instrumented(LIBRARY) as traced:
        seen = asyncio.run(work())
    assert headers == [("tenant", b"blue")]
    name = f"process {topic}"
    assert seen == [(b"a", b"k1", headers, name), (None, b"k2", headers, name), None]
    host, port = kafka_address.split(":")
    first, second, *processed = traced.spans
    for offset, (span, process) in enumerate(zip((first, second), processed)):
        common = {
            "messaging.system": "kafka",
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": "0",
            "messaging.kafka.offset": offset,
            "messaging.kafka.message.key": f"k{offset + 1}",
            "server.address": host,
            "server.port": int(port),
            **({"messaging.kafka.message.tombstone": True} if offset else {}),
        }
        assert (span.name, span.kind.name) == (f"send {topic}", "PRODUCER")
        assert dict(span.attributes) == {
            **common,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.client.id": "shop",
        }
        assert (process.name, process.kind.name, process.parent_id) == (name, "CONSUMER", span.span_id)
        assert dict(process.attributes) == {
            **common,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.client.id": "worker",
            "messaging.consumer.group.name": f"of {topic}",
        }


def test_batches_and_transactions(clients, topic):
    async def work():
        producer, consumer = clients[0](compression_type="gzip", transactional_id=topic), clients[1]()
        async with producer, consumer:
            assert await consumer.getmany(timeout_ms=50) == {}
            async with producer.transaction():
                batch = producer.create_batch()
                for value in (b"a", b"b"):
                    batch.append(key=None, value=value, timestamp=None)
                batch.close()
                await (await producer.send_batch(batch, topic, partition=0))
                await (await producer.send(topic, b"c"))
            values = []
            while len(values) < 3:
                for records in (await consumer.getmany(timeout_ms=60_000)).values():
                    assert current_name() == f"process {topic}"
                    values += [record.value for record in records]
        assert current_name() is None
        return values

    with instrumented(LIBRARY) as traced:
        assert asyncio.run(work()) == [b"a", b"b", b"c"]
    packed, sent, *batches = traced.spans
    assert (packed.kind.name, packed.attributes["messaging.batch.message_count"]) == ("CLIENT", 2)
    assert (sent.kind.name, sent.attributes["messaging.kafka.offset"]) == ("PRODUCER", 2)
    assert {span.name for span in batches} == {f"process {topic}"}
    assert [link.context.span_id for span in batches for link in span.links] == [sent.span_id]
    assert sum(span.attributes["messaging.batch.message_count"] for span in batches) == 3


def test_what_goes_wrong(clients, topic):
    from aiokafka.errors import IllegalOperation, MessageSizeTooLargeError

    complaints = []

    async def work():
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: complaints.append(type(context["exception"]))
        )
        async with clients[0](max_request_size=4_000_000) as producer:
            with pytest.raises(MessageSizeTooLargeError):
                await producer.send_and_wait(topic, os.urandom(1_100_000))
            lost = await producer.send(topic, os.urandom(1_100_000))
            await producer.flush()
            assert lost.done()
            del lost
        async with clients[0](transactional_id=topic) as producer:
            with pytest.raises(IllegalOperation):
                await producer.send(topic, b"a")
        async with clients[0](acks=0) as producer:
            assert await producer.send_and_wait(topic, b"a") is None

    with instrumented(LIBRARY) as traced:
        asyncio.run(work())
    assert complaints == [MessageSizeTooLargeError]  # of the one that nobody has looked at
    kinds = [span.attributes.get("error.type", "").rpartition(".")[2] for span in traced.spans]
    assert kinds == ["MessageSizeTooLargeError", "MessageSizeTooLargeError", "IllegalOperation", ""]


def test_tasks_and_errors(clients, topic):
    async def fetch(consumer):
        await consumer.getone()
        return current_name()

    async def fail(consumer):
        async for _record in consumer:
            raise LookupError

    async def work(tracer):
        name = f"process {topic}"
        async with clients[0]() as producer:
            for _ in range(7):
                await producer.send_and_wait(topic, b"a")
        async with clients[1]() as consumer:
            assert await asyncio.create_task(fetch(consumer)) == name
            assert current_name() is None
            with pytest.raises(LookupError):
                await fail(consumer)
            assert current_name() is None
            await asyncio.wait_for(consumer.getone(), 60)
            assert current_name() == (name if sys.version_info >= (3, 12) else None)
            await consumer.getone()
            with tracer.start_as_current_span("work"):
                assert current_name() == "work"
            assert current_name() == name
            with pytest.raises(ValueError, match="out of stock"):
                try:
                    raise ValueError("out of stock")
                finally:
                    await consumer.getone()
            # Within the work on another record.
            assert await asyncio.create_task(fetch(consumer)) == name
        assert current_name() is None
        async with clients[1]() as consumer:
            with tracer.start_as_current_span("request"):
                assert await fetch(consumer) == "request"
            waiting = asyncio.create_task(fetch(consumer))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    with instrumented(LIBRARY) as traced:
        asyncio.run(work(traced.tracer))
    names = [span.name.partition(" ")[0] for span in traced.spans[7:]]
    assert sorted(names) == ["poll", "poll", *["process"] * 5, "request", "work"]
    failed = [span for span in traced.spans if "error.type" in span.attributes]
    assert [(span.name, span.attributes["error.type"]) for span in failed] == [
        (f"process {topic}", "ValueError")
    ]


def test_from_outside(kafka_address, sandbox, arrivals, topic):
    environ = {**arrivals.environ, "KAFKA": kafka_address, "TOPIC": topic}
    shop = """
        import asyncio
        import logging
        import os
        from aiokafka import AIOKafkaProducer

        logging.disable()  # it complains of a topic that is only being made

        async def main():
            async with AIOKafkaProducer(bootstrap_servers=os.environ["KAFKA"]) as producer:
                for number in range(2):
                    await producer.send(os.environ["TOPIC"], b"%d" % number)

        asyncio.run(main())
    """
    worker = """
        import asyncio
        import os
        import sqlite3
        from aiokafka import AIOKafkaConsumer

        async def main():
            database = sqlite3.connect(":memory:")
            consumer = AIOKafkaConsumer(
                os.environ["TOPIC"], bootstrap_servers=os.environ["KAFKA"], auto_offset_reset="earliest"
            )
            async with consumer:
                async for record in consumer:
                    await asyncio.sleep(0)
                    database.execute("SELECT 1")
                    if record.value == b"1":
                        raise SystemExit(3)

        asyncio.run(main())
    """
    produce(sandbox, environ, shop)
    sandbox.write("worker.py", worker)
    done = sandbox.run("worker.py", **{**environ, "OTEL_SERVICE_NAME": "worker"})
    assert (done.code, done.out, done.err, done.said) == (3, "", "", [])
    exchange = f"client PRODUCER send {topic}\n  worker CONSUMER process {topic}\n    worker CLIENT SELECT\n"
    assert shape(arrivals.spans) == exchange * 2
