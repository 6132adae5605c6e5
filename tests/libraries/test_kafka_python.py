"""kafka-python with a real broker."""

from __future__ import annotations

import gc
import os
import threading
import warnings
from contextlib import closing

import pytest
from instrumented import instrumented
from opentelemetry import trace
from workers import produce, shape

pytest.importorskip("kafka")
pytestmark = [
    pytest.mark.filterwarnings("ignore:read_text is deprecated"),  # its import, on Python 3.11
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

LIBRARY = "kafka-python"


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
def producer(kafka_address):
    from kafka import KafkaProducer

    with closing(KafkaProducer(bootstrap_servers=kafka_address, client_id="shop", linger_ms=0)) as producer:
        yield producer


@pytest.fixture
def consume(kafka_address, topic):
    """A consumer of the topic, from its beginning."""
    from kafka import KafkaConsumer

    made = []

    def consume(**config):
        defaults = {"auto_offset_reset": "earliest", "group_id": f"of {topic}", "client_id": "worker"}
        made.append(KafkaConsumer(topic, bootstrap_servers=kafka_address, **{**defaults, **config}))
        return made[-1]

    yield consume
    for consumer in made:
        consumer.close()


def fetch(consumer, wanted=1):
    """A batch from `poll` that has as many records."""
    while True:
        batch = consumer.poll(timeout_ms=60_000, max_records=wanted)
        records = [record for of_partition in batch.values() for record in of_partition]
        if records:
            assert len(records) == wanted
            return records


def current_name():
    return getattr(trace.get_current_span(), "name", None)


def test_a_record_is_in_the_trace_of_its_sender(kafka_address, producer, consume, topic):
    headers = [("tenant", b"blue")]
    seen = []
    with instrumented(LIBRARY) as traced:
        sent = producer.send(topic, b"a", b"k1", headers).get(60)
        producer.send(topic, key=b"k2").get(60)
        for record in consume():
            kept = [pair for pair in record.headers if pair[0] != "traceparent"]
            seen.append((record.value, record.key, kept, current_name()))
            if len(seen) == 2:
                break
        assert current_name() is None
    assert headers == [("tenant", b"blue")]
    name = f"process {topic}"
    assert seen == [(b"a", b"k1", headers, name), (None, b"k2", [], name)]
    first, second, *processed = traced.spans
    host, port = kafka_address.split(":")
    common = {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": "0",
        "server.address": host,
        "server.port": int(port),
    }
    for offset, (span, process) in enumerate(zip((first, second), processed)):
        own = {
            **common,
            "messaging.kafka.offset": sent.offset + offset,
            "messaging.kafka.message.key": f"k{offset + 1}",
            **({"messaging.kafka.message.tombstone": True} if offset else {}),
        }
        assert (span.name, span.kind.name) == (f"send {topic}", "PRODUCER")
        assert dict(span.attributes) == {
            **own,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.client.id": "shop",
        }
        assert (process.name, process.kind.name) == (name, "CONSUMER")
        assert (process.trace_id, process.parent_id) == (span.trace_id, span.span_id)
        assert dict(process.attributes) == {
            **own,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.client.id": "worker",
            "messaging.consumer.group.name": f"of {topic}",
        }


def test_a_forwarded_record_has_one_context(producer, consume, topic):
    with instrumented(LIBRARY) as traced:
        producer.send(topic, b"a").get(60)
        consumer = consume()
        for record in consumer:
            producer.send(topic, b"b", headers=record.headers).get(60)
            break
        for record in consumer:
            again = record
            break
        producer.flush()
    assert [key for key, _ in again.headers] == ["traceparent"]
    sent, forwarded, _, last = traced.spans
    assert forwarded.trace_id == last.trace_id == sent.trace_id
    assert last.parent_id == forwarded.span_id
    assert [span.name.partition(" ")[0] for span in traced.spans] == ["send", "send", "process", "process"]


def test_what_goes_wrong(kafka_address, producer, topic):
    from kafka import KafkaProducer
    from kafka.errors import MessageSizeTooLargeError

    heard = []
    with (
        instrumented(LIBRARY) as traced,
        closing(KafkaProducer(bootstrap_servers=kafka_address, max_request_size=4_000_000)) as other,
    ):
        with pytest.raises(TypeError):
            producer.send(topic, b"a", headers={"tenant": b"blue"})
        with pytest.raises(MessageSizeTooLargeError):
            producer.send(topic, bytes(1_100_000))
        with traced.tracer.start_as_current_span("order"):
            future = other.send(topic, os.urandom(1_100_000))
            future.add_errback(lambda error: heard.append((type(error), current_name())))
        with pytest.raises(MessageSizeTooLargeError):
            future.get(60)
        other.flush()
    assert {span.name for span in traced.spans} == {f"send {topic}", "order"}
    failed = [span for span in traced.spans if span.name != "order"]
    assert [span.attributes["error.type"] for span in failed] == ["kafka.errors.MessageSizeTooLargeError"] * 2
    assert heard == [(MessageSizeTooLargeError, "order")]


def test_callbacks_run_in_the_context_they_were_added_in(producer, topic):
    heard, done = [], threading.Event()

    def note(prefix, metadata, *, last):
        heard.append((prefix, metadata.topic, current_name()))
        if last:
            done.set()

    with instrumented(LIBRARY) as traced:
        with traced.tracer.start_as_current_span("order"):
            future = producer.send(topic, b"a")
            assert future.add_callback(note, "one", last=False) is future
            assert current_name() == "order"
        future.get(60)
        future.add_callback(note, "two", last=True)
        assert done.wait(60)
    assert sorted(heard) == [("one", topic, "order"), ("two", topic, None)]
    assert traced.by_name(f"send {topic}").parent_id == traced.by_name("order").span_id


def test_brokers_before_headers(kafka_address, consume, topic):
    from kafka import KafkaProducer

    with (
        instrumented(LIBRARY) as traced,
        closing(
            KafkaProducer(bootstrap_servers=kafka_address, api_version=(0, 10, 2), compression_type="gzip")
        ) as old,
    ):
        assert old.config["api_version"] < (0, 11)
        old.send(topic, b"a").get(60)
        (record,) = fetch(consume())
    assert (record.value, record.headers) == (b"a", [])
    sent = traced.spans[0]
    assert (sent.name, sent.status_code.name) == (f"send {topic}", "UNSET")


def test_a_compressed_batch_and_a_transaction(kafka_address, consume, topic):
    from kafka import KafkaProducer

    with (
        instrumented(LIBRARY) as traced,
        closing(
            KafkaProducer(
                bootstrap_servers=kafka_address, transactional_id=topic, compression_type="gzip", linger_ms=50
            )
        ) as producer,
    ):
        producer.init_transactions()
        producer.begin_transaction()
        for number in range(3):
            producer.send(topic, b"%d" % number)
        producer.commit_transaction()
        producer.begin_transaction()
        aborted = producer.send(topic, b"lost")
        producer.abort_transaction()
        assert aborted.is_done
        consumer = consume(isolation_level="read_committed")
        records = fetch(consumer, 3)
        assert current_name() == f"process {topic}"
        consumer.close()
        assert current_name() is None
    assert [record.value for record in records] == [b"0", b"1", b"2"]
    *sent, batch = traced.spans
    assert [span.name for span in sent] == [f"send {topic}"] * 4
    assert [span.attributes.get("messaging.kafka.offset") for span in sent[:3]] == [0, 1, 2]
    assert [link.context.span_id for link in batch.links] == [span.span_id for span in sent[:3]]
    assert (batch.name, batch.kind.name, batch.parent_id) == (f"process {topic}", "CONSUMER", 0)
    assert batch.attributes["messaging.batch.message_count"] == 3
    assert batch.attributes["messaging.destination.partition.id"] == "0"
    assert "messaging.kafka.offset" not in batch.attributes


def test_fetching_nothing_makes_no_span(producer, consume, topic):
    with instrumented(LIBRARY) as traced:
        consumer = consume(consumer_timeout_ms=200)
        assert consumer.poll(timeout_ms=100) == {}
        assert list(consumer) == []
    assert traced.spans == []


def test_within_another_operation(producer, consume, topic):
    """What follows belongs to that operation, whatever was fetched."""
    with instrumented(LIBRARY) as traced:
        producer.send(topic, b"a").get(60)
        producer.send(topic, b"b").get(60)
        consumer = consume()
        with traced.tracer.start_as_current_span("request"):
            assert next(consumer).value == b"a"
            assert current_name() == "request"
            fetch(consumer)
            assert current_name() == "request"
    one, two, *polls, request = traced.spans
    assert [span.name for span in polls] == [f"poll {topic}"] * 2
    for sent, poll in zip((one, two), polls):
        assert (poll.kind.name, poll.parent_id, poll.trace_id) == (
            "CLIENT",
            request.span_id,
            request.trace_id,
        )
        assert [link.context.span_id for link in poll.links] == [sent.span_id]
        assert poll.attributes["messaging.operation.type"] == "receive"
    assert "messaging.batch.message_count" not in polls[0].attributes


def test_an_error_ends_the_handling(producer, consume, topic):
    with instrumented(LIBRARY) as traced:
        for value in b"abc":
            producer.send(topic, bytes([value])).get(60)
        consumer = consume()
        with pytest.raises(LookupError, match="a"):
            try:
                raise LookupError(next(consumer).value.decode())
            finally:
                fetch(consumer)  # begins while the error is on its way
        assert current_name() == f"process {topic}"
        with pytest.raises(ValueError, match="out of stock"):
            try:
                next(consumer)
                raise ValueError("out of stock")
            finally:
                consumer.close()
        assert current_name() is None
    processed = [span for span in traced.spans if span.name == f"process {topic}"]
    assert [span.attributes.get("error.type") for span in processed] == ["LookupError", None, "ValueError"]


def test_nothing_is_left_current(producer, consume, topic):
    """However a loop is left, and whoever has the consumer."""

    def records(consumer):
        # With `yield from` the generator would close the consumer.
        for record in consumer:  # noqa: UP028
            yield record

    def fail(consumer):
        for record in consumer:
            raise LookupError(record.value)

    with instrumented(LIBRARY) as traced:
        for _ in range(5):
            producer.send(topic, b"a").get(60)
        consumer = consume(group_id=None)
        with pytest.raises(LookupError):
            fail(consumer)
        assert current_name() is None
        generator = records(consumer)
        next(generator)
        assert current_name() == f"process {topic}"
        generator.close()
        assert current_name() is None
        iterator = iter(consumer)
        assert iter(iterator) is iterator
        assert iterator.config is consumer.config
        next(iterator)
        del iterator
        assert current_name() is None

        other = threading.Thread(target=fetch, args=(consumer,))
        other.start()
        other.join(60)
        del other
        assert current_name() is None
        assert [span.name.partition(" ")[0] for span in traced.spans] == ["send"] * 5 + ["process"] * 4


def test_from_outside(kafka_address, sandbox, arrivals, topic):
    """A shop and a worker, as users start them; the worker's consumer is never closed."""
    environ = {**arrivals.environ, "KAFKA": kafka_address, "TOPIC": topic, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    shop = """
        import os
        import sqlite3
        from kafka import KafkaProducer

        database = sqlite3.connect(":memory:")
        producer = KafkaProducer(bootstrap_servers=os.environ["KAFKA"])
        for number in range(2):
            future = producer.send(os.environ["TOPIC"], b"%d" % number)
            future.add_callback(lambda _metadata: None)
        producer.flush()
    """
    worker = """
        import os
        import sqlite3
        from kafka import KafkaConsumer

        database = sqlite3.connect(":memory:")
        consumer = KafkaConsumer(
            os.environ["TOPIC"],
            bootstrap_servers=os.environ["KAFKA"],
            group_id=os.environ["TOPIC"],
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        seen = 0
        while seen < 2:
            for records in consumer.poll(1000, max_records=1).values():
                for record in records:
                    database.execute("SELECT 1")
                    seen += 1
        if os.environ["TOPIC"]:
            raise SystemExit(3)
    """
    produce(sandbox, environ, shop)
    sandbox.write("worker.py", worker)
    done = sandbox.run("worker.py", **{**environ, "OTEL_SERVICE_NAME": "worker"})
    assert (done.code, done.out, done.err, done.said) == (3, "", "", [])
    sent = [f"client PRODUCER send {topic}\n"] * 2
    processed = [f"worker CONSUMER process {topic}\n  worker CLIENT SELECT\n"] * 2
    assert shape(arrivals.spans) == "".join([*sent, *processed])


def test_a_loop_from_outside(kafka_address, sandbox, arrivals, topic):
    environ = {**arrivals.environ, "KAFKA": kafka_address, "TOPIC": topic}
    program = """
        import os
        import sqlite3
        from kafka import KafkaConsumer, KafkaProducer

        database = sqlite3.connect(":memory:")
        producer = KafkaProducer(bootstrap_servers=os.environ["KAFKA"])
        producer.send(os.environ["TOPIC"], b"1")
        consumer = KafkaConsumer(
            os.environ["TOPIC"], bootstrap_servers=os.environ["KAFKA"], auto_offset_reset="earliest"
        )
        for record in consumer:
            database.execute("SELECT 1")
            break
        database.execute("SELECT 2 FROM sqlite_master")
        consumer.close()
    """
    produce(sandbox, environ, program)
    assert shape(arrivals.spans) == (
        "client CLIENT SELECT sqlite_master\n"
        f"client PRODUCER send {topic}\n"
        f"  client CONSUMER process {topic}\n"
        "    client CLIENT SELECT\n"
    )
