"""confluent-kafka with a real broker."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from instrumented import instrumented
from opentelemetry import trace
from workers import produce, shape

confluent_kafka = pytest.importorskip("confluent_kafka")

LIBRARY = "confluent-kafka"


@pytest.fixture
def topic():
    return f"orders-{os.urandom(4).hex()}"


@pytest.fixture
def config(kafka_address, topic):
    """Of consumers."""
    return {
        "bootstrap.servers": kafka_address,
        "client.id": "worker",
        "group.id": f"of {topic}",
        "auto.offset.reset": "earliest",
    }


def current_name():
    return getattr(trace.get_current_span(), "name", None)


def test_a_message_is_in_the_trace_of_its_sender(kafka_address, config, topic):
    headers = [("tenant", b"blue")]
    seen, delivered = [], []

    def note(error, message):
        delivered.append((error, message.offset(), current_name()))

    with instrumented(LIBRARY) as traced:
        producer = confluent_kafka.Producer({"bootstrap.servers": kafka_address}, **{"client.id": "shop"})
        with traced.tracer.start_as_current_span("order") as order:
            producer.produce(topic, b"a", "k1", -1, note, headers=headers)
            producer.produce(topic, key=b"k2", headers={"tenant": "blue"})
        assert [span.name for span in traced.spans] == [f"send {topic}", "order"]  # nobody waits for that one
        producer.flush(60)
        consumer = confluent_kafka.Consumer(config)
        consumer.subscribe([topic])
        while len(seen) < 2:
            assert current_name() == (f"process {topic}" if seen else None)
            message = consumer.poll(0.5)
            if message is None:
                assert current_name() is None
                continue
            kept = [pair for pair in message.headers() if pair[0] != "traceparent"]
            seen.append((message.value(), message.key(), kept))
            assert current_name() == f"process {topic}"
        consumer.close()
        assert current_name() is None
    assert headers == [("tenant", b"blue")]
    assert seen == [(b"a", b"k1", headers), (None, b"k2", headers)]
    assert delivered == [(None, 0, "order")]
    second, _, first, *processed = traced.spans
    host, port = kafka_address.split(":")
    common = {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "server.address": host,
        "server.port": int(port),
    }
    placed = {"messaging.destination.partition.id": "0", "messaging.kafka.offset": 0}
    sending = {
        **common,
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.client.id": "shop",
    }
    processing = {
        **common,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.client.id": "worker",
        "messaging.consumer.group.name": f"of {topic}",
    }
    key, tombstone = "messaging.kafka.message.key", {"messaging.kafka.message.tombstone": True}
    assert dict(first.attributes) == {**sending, **placed, key: "k1"}
    assert dict(second.attributes) == {**sending, key: "k2", **tombstone}
    assert dict(processed[0].attributes) == {**processing, **placed, key: "k1"}
    later = {**placed, "messaging.kafka.offset": 1}
    assert dict(processed[1].attributes) == {**processing, **later, key: "k2", **tombstone}
    for sent, process in zip((first, second), processed):
        assert (sent.kind.name, process.kind.name) == ("PRODUCER", "CONSUMER")
        assert sent.trace_id == process.trace_id == order.trace_id
        assert (sent.parent_id, process.parent_id) == (order.span_id, sent.span_id)


def test_classes_are_what_they_were():
    """Those made before, those derived before, and those derived since."""
    from confluent_kafka import cimpl

    config = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    before = confluent_kafka.Producer

    class Shop(confluent_kafka.Producer):
        def produce(self, topic, *args, **kwargs):
            return super().produce(topic.lower(), *args, **kwargs)

    made = Shop(config)
    for _ in range(2):  # switched on again
        with instrumented(LIBRARY) as traced:
            now = confluent_kafka.Producer
            assert now is cimpl.Producer is not before
            assert (repr(now), now.__doc__) == (repr(before), before.__doc__)

            class Later(confluent_kafka.Producer):
                pass

            for some in (now, Shop, Later, confluent_kafka.SerializingProducer):
                producer = some(config)
                assert isinstance(producer, now)
                assert isinstance(producer, before)
                assert len(producer) >= 0
            assert not hasattr(now(config), "__dict__")
            assert isinstance(made, now)
            Shop(config).produce("ORDERS", b"a")
            with pytest.raises(TypeError):
                now(config).produce()
            with pytest.raises(confluent_kafka.KafkaException):
                now({"no such setting": 1})
        assert [span.name for span in traced.spans if span.status_code.name == "UNSET"] == ["send orders"]
        assert confluent_kafka.Producer is cimpl.Producer is before
        assert isinstance(confluent_kafka.SerializingProducer(config), before)
        Shop(config).produce("ORDERS", b"a")
        assert len(traced.spans) == 2


def test_what_goes_wrong(topic):
    heard = []
    config = {
        "bootstrap.servers": "127.0.0.1:1",
        "log_level": 0,
        "message.timeout.ms": 50,
        "queue.buffering.max.messages": 2,
        "on_delivery": lambda error, message: heard.append((error.name(), message.value(), current_name())),
    }
    with instrumented(LIBRARY) as traced:
        producer = confluent_kafka.Producer(config)
        with traced.tracer.start_as_current_span("order"):
            producer.produce(topic, b"a")
            producer.produce(topic, b"b", callback=lambda error, _message: heard.append(error.name()))
            with pytest.raises(BufferError):
                producer.produce(topic, b"c")
        producer.flush(60)
    assert heard == [("_MSG_TIMED_OUT", b"a", "order"), "_MSG_TIMED_OUT"]
    refused, _, *lost = traced.spans
    assert [span.attributes["error.type"] for span in (refused, *lost)] == [
        "BufferError",
        "_MSG_TIMED_OUT",
        "_MSG_TIMED_OUT",
    ]
    assert {span.status_code.name for span in (refused, *lost)} == {"ERROR"}


def test_reports_of_errors_only(kafka_address, topic):
    """The library drops the callback of a message that has arrived."""
    heard = []
    with instrumented(LIBRARY) as traced:
        producer = confluent_kafka.Producer(
            {"bootstrap.servers": kafka_address, "delivery.report.only.error": True}
        )
        producer.produce(topic, b"a", on_delivery=lambda *told: heard.append(told))
        producer.flush(60)
        assert (traced.span.status_code.name, heard) == ("UNSET", [])


def test_serializers_transactions_and_batches(kafka_address, config, topic):
    from confluent_kafka.serialization import StringDeserializer, StringSerializer

    with instrumented(LIBRARY) as traced:
        producer = confluent_kafka.SerializingProducer(
            {
                "bootstrap.servers": kafka_address,
                "transactional.id": topic,
                "compression.type": "gzip",
                "value.serializer": StringSerializer(),
            }
        )
        producer.init_transactions(60)
        producer.begin_transaction()
        for number in range(3):
            producer.produce(topic, value=str(number), on_delivery=lambda *_told: None)
        producer.commit_transaction(60)
        producer.begin_transaction()
        producer.produce(topic, value="lost", on_delivery=lambda *_told: None)
        producer.purge()
        producer.abort_transaction(60)
        consumer = confluent_kafka.Consumer({**config, "enable.partition.eof": True})
        consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        messages = []
        while len(messages) < 3:
            messages += consumer.consume(3 - len(messages), 60)
        assert current_name() == f"process {topic}"
        while (end := consumer.poll(60)) is None or end.error() is None:
            pass
        assert current_name() is None  # the end of a partition is no message
        consumer.close()
        single = confluent_kafka.DeserializingConsumer({**config, "value.deserializer": StringDeserializer()})
        single.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        assert single.poll(60).value() == "0"
        single.close()
    assert [message.value() for message in messages] == [b"0", b"1", b"2"]
    sent = [span for span in traced.spans if span.name == f"send {topic}"]
    assert [span.attributes.get("messaging.kafka.offset") for span in sent] == [0, 1, 2, None]
    assert sent[3].attributes["error.type"] == "_PURGE_QUEUE"
    *batches, last = [span for span in traced.spans if span.name == f"process {topic}"]
    links = [link.context.span_id for batch in batches for link in batch.links]
    assert links == [span.span_id for span in sent[:3]]
    assert sum(batch.attributes["messaging.batch.message_count"] for batch in batches) == 3
    assert {batch.parent_id for batch in batches} == {0}
    assert last.parent_id == sent[0].span_id


def test_threads_within_operations_and_errors(kafka_address, config, topic):
    with instrumented(LIBRARY) as traced:
        producer = confluent_kafka.Producer({"bootstrap.servers": kafka_address})
        for _ in range(4):
            producer.produce(topic, b"a")
        producer.flush(60)
        consumer = confluent_kafka.Consumer(config)
        consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        assert consumer.poll(60).offset() == 0
        mine = trace.get_current_span()
        names = []

        def fetch():
            consumer.poll(60)
            names.append(current_name())

        other = threading.Thread(target=fetch)
        other.start()
        other.join(60)
        assert names == [f"process {topic}"]
        assert trace.get_current_span() is mine
        assert mine.is_recording()
        assert consumer.poll(0) is not None
        with pytest.raises(LookupError):
            try:
                raise LookupError
            finally:
                consumer.close()
        assert current_name() is None

        again = confluent_kafka.Consumer(config)
        again.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        with traced.tracer.start_as_current_span("request") as request:
            assert again.poll(60).offset() == 0
            assert current_name() == "request"
        assert again.poll(0.01) is not None
        assert current_name() is not None
        del again  # it is never closed
        assert current_name() is None
    sent, fetched = traced.spans[:4], traced.spans[4:]
    names = [span.name.partition(" ")[0] for span in fetched]
    assert sorted(names) == ["poll", "process", "process", "process", "process", "request"]
    poll = fetched[names.index("poll")]
    assert (poll.kind.name, poll.parent_id) == ("CLIENT", request.span_id)
    assert [link.context.span_id for link in poll.links] == [sent[0].span_id]
    assert [span.attributes.get("error.type") for span in fetched].count("LookupError") == 1


def test_fetched_by_the_threads_of_a_pool(kafka_address, config, topic):
    """What was fetched is handled elsewhere; the next task of that thread has nothing to do with it."""
    with instrumented(LIBRARY, "concurrent.futures") as traced:
        producer = confluent_kafka.Producer({"bootstrap.servers": kafka_address})
        for _ in range(4):
            producer.produce(topic, b"a")
        producer.flush(60)
        consumer = confluent_kafka.Consumer(config)
        consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])

        async def fetch():
            loop = asyncio.get_running_loop()
            first = await loop.run_in_executor(pool, consumer.poll, 60)
            second = await asyncio.to_thread(consumer.poll, 60)
            return first.offset(), second.offset()

        def work():
            return consumer.poll(60).offset(), consumer.poll(60).offset(), current_name()

        with ThreadPoolExecutor(1) as pool:
            assert asyncio.run(fetch()) == (0, 1)
            assert pool.submit(current_name).result() is None
            assert [span.name for span in traced.spans[4:]] == [f"process {topic}"] * 2
            assert pool.submit(work).result() == (2, 3, f"process {topic}")
            assert pool.submit(current_name).result() is None
            assert len(traced.spans[4:]) == 4
        consumer.close()
    assert [span.parent_id for span in traced.spans[4:]] == [span.span_id for span in traced.spans[:4]]


def test_an_asynchronous_consumer(kafka_address, config, topic):
    from confluent_kafka.aio import AIOConsumer

    async def work():
        consumer = AIOConsumer(config)
        await consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        names = []
        message = await consumer.poll(60)
        names.append((message.value(), current_name()))
        messages = await consumer.consume(1, 60)
        names.append((messages[0].value(), current_name()))
        await consumer.close()
        return [*names, current_name()]

    with instrumented(LIBRARY) as traced:
        producer = confluent_kafka.Producer({"bootstrap.servers": kafka_address})
        producer.produce(topic, b"a")
        producer.produce(topic, b"b")
        producer.flush(60)
        name = f"process {topic}"
        assert asyncio.run(work()) == [(b"a", name), (b"b", name), None]
    one, two, single, batch = traced.spans
    assert single.parent_id == one.span_id
    assert [link.context.span_id for link in batch.links] == [two.span_id]


def test_from_outside(kafka_address, sandbox, arrivals, topic):
    environ = {**arrivals.environ, "KAFKA": kafka_address, "TOPIC": topic}
    shop = """
        import os
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": os.environ["KAFKA"]})
        for number in range(2):
            producer.produce(os.environ["TOPIC"], str(number), on_delivery=lambda error, message: None)
        producer.flush()
    """
    worker = """
        import os
        import sqlite3
        from confluent_kafka import Consumer

        database = sqlite3.connect(":memory:")
        consumer = Consumer(
            {
                "bootstrap.servers": os.environ["KAFKA"],
                "group.id": os.environ["TOPIC"],
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe([os.environ["TOPIC"]])
        try:
            while True:
                message = consumer.poll(1.0)
                if message is None or message.error():
                    continue
                database.execute("SELECT 1")
                if message.value() == b"1":
                    raise SystemExit(3)
        finally:
            consumer.close()
    """
    produce(sandbox, environ, shop)
    sandbox.write("worker.py", worker)
    done = sandbox.run("worker.py", **{**environ, "OTEL_SERVICE_NAME": "worker"})
    assert (done.code, done.out, done.err, done.said) == (3, "", "", [])
    exchange = f"client PRODUCER send {topic}\n  worker CONSUMER process {topic}\n    worker CLIENT SELECT\n"
    assert shape(arrivals.spans) == exchange * 2
