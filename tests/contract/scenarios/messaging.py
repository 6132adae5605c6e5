"""One unit of work for each library that sends messages."""

from __future__ import annotations

from scenarios.scenario import START, Scenario

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def send_a_task_of_celery(_url: str) -> Any:
    """To a broker in memory; what arrives there is run as a worker's pool would run it."""
    from celery import Celery
    from celery.app.trace import trace_task_ret

    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.worker_hijack_root_logger = False

    @app.task(name="shop.add")
    def add(one: int, two: int) -> int:
        return one + two

    add.delay(3, two=4)
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
        message = queue.get(timeout=10)
        message.ack()
    headers = {**message.headers, "delivery_info": {"routing_key": "celery"}}
    failed, result, _ = trace_task_ret(
        "shop.add",
        message.headers["id"],
        headers,
        message.body,
        message.content_type,
        message.content_encoding,
        app=app,
    )
    return [failed, result, add.apply((1, 2)).get(), message.headers["task"]]


def call_by_grpc(_url: str) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    def list_orders(_request: bytes, context: Any) -> Any:
        yield str("traceparent" in dict(context.invocation_metadata())).encode()
        yield b"2"

    methods = {
        "Get": grpc.unary_unary_rpc_method_handler(lambda request, _context: request.upper()),
        "List": grpc.unary_stream_rpc_method_handler(list_orders),
    }
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool, [grpc.method_handlers_generic_handler("shop.Orders", methods)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            got = channel.unary_unary("/shop.Orders/Get")(b"a", timeout=60)
            listed = list(channel.unary_stream("/shop.Orders/List")(b"", timeout=60))
        server.stop(None).wait(60)
    return [got.decode(), len(listed)]


def call_by_grpc_in_asyncio(_url: str) -> Any:
    import asyncio

    import grpc

    async def get(request: bytes, _context: Any) -> bytes:
        return request.upper()

    async def list_orders(_request: bytes, _context: Any) -> Any:
        yield b"1"
        yield b"2"

    methods = {
        "Get": grpc.unary_unary_rpc_method_handler(get),
        "List": grpc.unary_stream_rpc_method_handler(list_orders),
    }

    async def work() -> Any:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Orders", methods)])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            got = await channel.unary_unary("/shop.Orders/Get")(b"a", timeout=60)
            listed = [one async for one in channel.unary_stream("/shop.Orders/List")(b"", timeout=60)]
        await server.stop(None)
        return [got.decode(), len(listed)]

    return asyncio.run(work())


def send_and_consume_with_pika(url: str) -> Any:
    import pika

    received: list[str] = []

    def on_message(channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        received.append(body.decode())
        channel.basic_ack(method.delivery_tag)
        channel.stop_consuming()

    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.exchange_declare("shop", auto_delete=True)
        channel.queue_bind(queue, "shop", "orders")
        channel.basic_publish("shop", "orders", b"a")
        channel.basic_consume(queue, on_message)
        channel.start_consuming()
    return received


MESSAGE = """
    autotrace.pika PRODUCER publish shop:orders
      autotrace.pika CONSUMER consume shop:orders
"""
MESSAGE_END = ("autotrace.instrumentation.pika:finish",)

CALLS = """
    autotrace.grpc CLIENT shop.Orders/Get
      autotrace.grpc SERVER shop.Orders/Get
    autotrace.grpc CLIENT shop.Orders/List
      autotrace.grpc SERVER shop.Orders/List
"""
CALL_END = ("autotrace.instrumentation.grpc:Call.finish",)


def publish_and_consume_with_kombu(_url: str) -> Any:
    import kombu

    received: list[Any] = []

    def on_message(body: Any, message: Any) -> None:
        received.append([body, sorted(set(message.headers) - {"traceparent"})])
        message.ack()

    with kombu.Connection("memory://") as connection:
        queue = kombu.Queue("orders", kombu.Exchange("shop"), routing_key="new")
        headers = {"tenant": "blue"}
        kombu.Producer(connection.channel()).publish(
            {"order": 7}, "new", exchange=queue.exchange, declare=[queue], headers=headers
        )
        with kombu.Consumer(connection, [queue], callbacks=[on_message]):
            connection.drain_events(timeout=60)
    return [received, headers]


KOMBU_MESSAGE = """
    autotrace.kombu PRODUCER publish shop:new
      autotrace.kombu CONSUMER consume shop:new
"""


def send_by_kombu(url: str) -> Any:
    import kombu

    with kombu.Connection(url) as connection:
        queue = connection.SimpleQueue("kombu")
        queue.put({"order": 7})
        message = queue.get(timeout=60)
        message.ack()
        queue.close()
    return message.payload


def enqueue_and_work_with_rq(url: str) -> Any:
    import os

    from redis import Redis
    from rq import Queue, SimpleWorker

    from autotrace.instrumentation.redis import silence

    connection = Redis.from_url(url)
    silence(connection.connection_pool)  # for whom RQ is not traced it has a lot to tell
    queue = Queue(os.urandom(8).hex(), connection=connection)
    job = queue.enqueue("posixpath.join", "a", "b")
    worker = SimpleWorker([queue], connection=connection)
    assert worker.work(burst=True, logging_level="ERROR")
    job.refresh()
    result = job.return_value()
    connection.close()
    return [result, sorted(job.meta)]


def send_and_consume_with_aio_pika(url: str) -> Any:
    import asyncio

    import aio_pika

    async def work() -> Any:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            exchange = await channel.declare_exchange("aio", auto_delete=True)
            queue = await channel.declare_queue("", exclusive=True)
            await queue.bind(exchange, "orders")
            await exchange.publish(aio_pika.Message(b"a"), "orders")
            fetched = await queue.get(timeout=60)
            async with fetched.process():
                pass
            arrived = asyncio.get_running_loop().create_future()

            async def on_message(message: Any) -> None:
                arrived.set_result(message.body.decode())

            await queue.consume(on_message, no_ack=True)
            await exchange.publish(aio_pika.Message(b"b"), "orders")
            return [fetched.body.decode(), await asyncio.wait_for(arrived, 60)]

    return asyncio.run(work())


AIO_MESSAGES = """
    autotrace.aiormq PRODUCER publish aio:orders
      autotrace.aio-pika CONSUMER consume aio:orders
    autotrace.aiormq PRODUCER publish aio:orders
      autotrace.aiormq CONSUMER consume aio:orders
"""
FETCHED_ONLY = "autotrace.aio-pika CONSUMER consume aio:orders"
UNFETCHED = """
    autotrace.aiormq PRODUCER publish aio:orders
    autotrace.aiormq PRODUCER publish aio:orders
      autotrace.aiormq CONSUMER consume aio:orders
"""
AIO_END = ("autotrace.instrumentation.aiormq:finish",)


def send_and_work_with_dramatiq(_url: str) -> Any:
    import dramatiq
    import dramatiq.brokers.rabbitmq
    import dramatiq.brokers.redis
    import dramatiq.results.backends.redis
    from dramatiq.brokers.stub import StubBroker

    broker = StubBroker(middleware=[])
    added: list[int] = []

    @dramatiq.actor(broker=broker, actor_name="add")
    def add(one: int, two: int) -> None:
        added.append(one + two)

    sent = add.send(3, 4)
    worker = dramatiq.Worker(broker, worker_timeout=100, worker_threads=1)
    worker.start()
    broker.join("default", timeout=60_000)
    worker.stop()
    return [added, sent.args, sent.queue_name]


def enqueue_with_dramatiq_on_redis(url: str) -> Any:
    import os

    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    from autotrace.instrumentation.redis import silence

    broker = RedisBroker(url=url, namespace=os.urandom(8).hex(), middleware=[])
    silence(broker.client.connection_pool)  # for whom dramatiq is not traced it has a lot to tell

    @dramatiq.actor(broker=broker, actor_name="add")
    def add(one: int, two: int) -> None:
        pass

    sent = add.send(3, 4)
    broker.close()
    return [sent.args, sent.queue_name]


def enqueue_with_dramatiq_on_rabbitmq(url: str) -> Any:
    import dramatiq
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    broker = RabbitmqBroker(url=url, middleware=[], confirm_delivery=True)

    @dramatiq.actor(broker=broker, actor_name="add", queue_name="dramatiq")
    def add(one: int, two: int) -> None:
        pass

    sent = add.send(3, 4)
    for queue in ("dramatiq", "dramatiq.DQ", "dramatiq.XQ"):
        broker.channel.queue_delete(queue)
    broker.close()
    return [sent.args]


def keep_results_with_dramatiq(url: str) -> Any:
    import dramatiq
    from dramatiq.results.backends.redis import RedisBackend

    from autotrace.instrumentation.redis import silence

    backend = RedisBackend(url=url)
    silence(backend.client.connection_pool)
    message = dramatiq.Message("default", "add", (), {}, {})
    backend.store_result(message, 7, 60_000)
    result = backend.get_result(message)
    backend.client.close()
    return result


ACTOR = """
    autotrace.dramatiq PRODUCER send add
      autotrace.dramatiq CONSUMER process add
"""
ACTOR_SENT = "autotrace.dramatiq PRODUCER send add"


def enqueue_and_execute_with_huey(url: str) -> Any:
    import os

    import huey.consumer  # noqa: F401
    from huey import RedisHuey

    from autotrace.instrumentation.redis import silence

    shop = RedisHuey(os.urandom(8).hex(), url=url)
    silence(shop.storage.pool)  # for whom huey is not traced it has a lot to tell

    @shop.task(name="add")
    def add(one: int, two: int) -> int:
        return one + two

    result = add(3, two=4)
    task = shop.dequeue()
    shop.execute(task)
    value = result.get()
    shop.storage.conn.close()
    return [value, type(task.kwargs).__name__, task.kwargs]


def enqueue_and_work_with_arq(url: str) -> Any:
    import asyncio
    import os

    import arq
    from arq.connections import RedisSettings
    from arq.worker import Worker, func

    from autotrace.instrumentation.redis import silence

    async def add(ctx: Any, one: int, two: int) -> Any:
        return [one + two, sorted(ctx)]

    async def work() -> Any:
        queue = os.urandom(8).hex()
        pool = arq.ArqRedis.from_url(url)
        silence(pool.connection_pool)  # for whom arq is not traced it has a lot to tell
        pool.default_queue_name = queue
        job = await pool.enqueue_job("add", 3, two=4)
        worker = Worker(
            [func(add, name="add")],
            redis_pool=pool,
            queue_name=queue,
            burst=True,
            handle_signals=False,
            redis_settings=RedisSettings.from_dsn(url),
        )
        await worker.async_run()
        result = await job.result(timeout=60)
        await pool.aclose()
        return result

    return asyncio.run(work())


def send_and_poll_with_kafka_python(address: str) -> Any:
    import kafka

    class Producer(kafka.KafkaProducer):
        def __del__(self) -> None:
            """The library's takes away the logger of its module."""

    producer = Producer(bootstrap_servers=address)
    headers = [("tenant", b"blue")]
    sent = producer.send("orders", b"a", headers=headers).get(60)
    consumer = kafka.KafkaConsumer(bootstrap_servers=address)
    consumer.assign([sent.topic_partition])
    consumer.seek(sent.topic_partition, sent.offset)
    for record in consumer:
        value = record.value.decode()
        break
    consumer.close()
    producer.close()
    tenant = [pair for pair in record.headers if pair[0] != "traceparent"]
    return [value, str(tenant), str(headers), type(record).__name__]


KAFKA_RECORD = """
    autotrace.kafka-python PRODUCER send orders
      autotrace.kafka-python CONSUMER process orders
"""
CONFLUENT_RECORD = KAFKA_RECORD.replace("kafka-python", "confluent-kafka")


def send_and_poll_with_confluent_kafka(address: str) -> Any:
    import confluent_kafka

    class Producer(confluent_kafka.Producer):
        pass

    delivered: list[Any] = []
    headers = [("tenant", b"blue")]
    producer = Producer({"bootstrap.servers": address})
    producer.produce(
        "orders",
        b"a",
        headers=headers,
        on_delivery=lambda *told: delivered.append((told[0], told[1].offset())),
    )
    producer.flush(60)
    ((error, offset),) = delivered
    consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "shop"})
    consumer.assign([confluent_kafka.TopicPartition("orders", 0, offset)])
    message = consumer.poll(60)
    consumer.close()
    tenant = [pair for pair in message.headers() if pair[0] != "traceparent"]
    kinds = [str(isinstance(producer, confluent_kafka.Producer)), str(type(consumer))]
    return [message.value().decode(), str(tenant), str(headers), str(error), *kinds]


def poll_with_confluent_kafka_in_asyncio(address: str) -> Any:
    import asyncio

    import confluent_kafka
    from confluent_kafka.aio import AIOConsumer

    async def work() -> Any:
        offsets: list[int] = []
        producer = confluent_kafka.Producer({"bootstrap.servers": address})
        producer.produce("orders", b"a", on_delivery=lambda _error, sent: offsets.append(sent.offset()))
        producer.flush(60)
        consumer = AIOConsumer({"bootstrap.servers": address, "group.id": "shop"})
        await consumer.assign([confluent_kafka.TopicPartition("orders", 0, offsets[0])])
        message = await consumer.poll(60)
        await consumer.close()
        return message.value().decode()

    return asyncio.run(work())


def send_and_fetch_with_aiokafka(address: str) -> Any:
    import asyncio

    import aiokafka

    async def work() -> Any:
        headers = [("tenant", b"blue")]
        made = aiokafka.AIOKafkaProducer._PRODUCER_CLIENT_ID_SEQUENCE
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=address)
        aiokafka.AIOKafkaProducer._PRODUCER_CLIENT_ID_SEQUENCE = made  # as it was: it counts them
        async with producer:
            sent = await producer.send_and_wait("orders", b"a", headers=headers)
        async with aiokafka.AIOKafkaConsumer(bootstrap_servers=address) as consumer:
            consumer.assign([sent.topic_partition])
            consumer.seek(sent.topic_partition, sent.offset)
            async for record in consumer:
                value = record.value.decode()
                break
        tenant = [pair for pair in record.headers if pair[0] != "traceparent"]
        return [value, str(tenant), str(headers), type(record).__name__]

    return asyncio.run(work())


KAFKA_END = ("autotrace.instrumentation.kafka:finish",)

HUEY_TASK = """
    autotrace.huey PRODUCER send scenarios.messaging.add
      autotrace.huey CONSUMER process scenarios.messaging.add
"""
ARQ_JOB = """
    autotrace.arq PRODUCER send add
      autotrace.arq CONSUMER process add
"""

RQ_JOB = """
    autotrace.rq PRODUCER send posixpath.join
      autotrace.rq CONSUMER process posixpath.join
"""
JOB_END = ("autotrace.instrumentation.jobs:finish",)

SCENARIOS = {
    "kombu.messaging": Scenario(
        publish_and_consume_with_kombu,
        KOMBU_MESSAGE,
        before=START,
        after=("autotrace.instrumentation.kombu:finish",),
    ),
    "aiormq.channel": Scenario(
        send_and_consume_with_aio_pika,
        AIO_MESSAGES,
        FETCHED_ONLY,
        before=START,
        after=AIO_END,
        server="rabbitmq_url",
    ),
    "aio_pika.message": Scenario(
        send_and_consume_with_aio_pika,
        AIO_MESSAGES,
        UNFETCHED,
        before=START,
        after=AIO_END,
        server="rabbitmq_url",
    ),
    "dramatiq.brokers.stub": Scenario(send_and_work_with_dramatiq, ACTOR, before=START, after=JOB_END),
    "dramatiq.worker": Scenario(send_and_work_with_dramatiq, ACTOR, before=START, after=JOB_END),
    "dramatiq.broker": Scenario(send_and_work_with_dramatiq, ACTOR, before=START, after=JOB_END),
    "dramatiq.brokers.redis": Scenario(
        enqueue_with_dramatiq_on_redis, ACTOR_SENT, before=START, after=JOB_END, server="redis_url"
    ),
    "dramatiq.brokers.rabbitmq": Scenario(
        enqueue_with_dramatiq_on_rabbitmq,
        ACTOR_SENT,
        "autotrace.pika PRODUCER publish dramatiq",
        before=START,
        after=JOB_END,
        server="rabbitmq_url",
    ),
    "dramatiq.results.backends.redis": Scenario(keep_results_with_dramatiq, "", server="redis_url"),
    "kafka.producer.kafka": Scenario(
        send_and_poll_with_kafka_python, KAFKA_RECORD, before=START, after=KAFKA_END, server="kafka_address"
    ),
    "kafka.consumer.group": Scenario(
        send_and_poll_with_kafka_python, KAFKA_RECORD, before=START, after=KAFKA_END, server="kafka_address"
    ),
    "confluent_kafka.cimpl": Scenario(
        send_and_poll_with_confluent_kafka,
        CONFLUENT_RECORD,
        before=START,
        after=KAFKA_END,
        server="kafka_address",
    ),
    "confluent_kafka.aio._AIOConsumer": Scenario(
        poll_with_confluent_kafka_in_asyncio,
        CONFLUENT_RECORD,
        before=START,
        after=KAFKA_END,
        server="kafka_address",
    ),
    "aiokafka.producer.producer": Scenario(
        send_and_fetch_with_aiokafka,
        KAFKA_RECORD.replace("kafka-python", "aiokafka"),
        before=START,
        after=KAFKA_END,
        server="kafka_address",
    ),
    "aiokafka.consumer.consumer": Scenario(
        send_and_fetch_with_aiokafka,
        KAFKA_RECORD.replace("kafka-python", "aiokafka"),
        before=START,
        after=KAFKA_END,
        server="kafka_address",
    ),
    "huey.api": Scenario(
        enqueue_and_execute_with_huey, HUEY_TASK, before=START, after=JOB_END, server="redis_url"
    ),
    "huey.registry": Scenario(
        enqueue_and_execute_with_huey, HUEY_TASK, before=START, after=JOB_END, server="redis_url"
    ),
    "huey.storage": Scenario(
        enqueue_and_execute_with_huey, HUEY_TASK, before=START, after=JOB_END, server="redis_url"
    ),
    "huey.consumer": Scenario(
        enqueue_and_execute_with_huey, HUEY_TASK, before=START, after=JOB_END, server="redis_url"
    ),
    "arq.connections": Scenario(
        enqueue_and_work_with_arq, ARQ_JOB, before=START, after=JOB_END, server="redis_url"
    ),
    "arq.worker": Scenario(
        enqueue_and_work_with_arq, ARQ_JOB, before=START, after=JOB_END, server="redis_url"
    ),
    "rq.queue": Scenario(enqueue_and_work_with_rq, RQ_JOB, before=START, after=JOB_END, server="redis_url"),
    "rq.worker": Scenario(enqueue_and_work_with_rq, RQ_JOB, before=START, after=JOB_END, server="redis_url"),
    "kombu.transport.redis": Scenario(
        send_by_kombu,
        "autotrace.kombu PRODUCER publish kombu",
        """
        autotrace.redis CLIENT PING
        autotrace.redis CLIENT MULTI LLEN
        autotrace.redis CLIENT MULTI SADD
        autotrace.redis CLIENT SMEMBERS
        autotrace.redis CLIENT LPUSH
        autotrace.redis CLIENT MULTI
        autotrace.redis CLIENT MULTI
        """,
        server="redis_url",
    ),
    "celery.app.base": Scenario(
        send_a_task_of_celery,
        """
        autotrace.celery PRODUCER send shop.add
          autotrace.celery CONSUMER process shop.add
        autotrace.celery INTERNAL process shop.add
        """,
        before=START,
        after=("autotrace.instrumentation.celery:detach",),
    ),
    "pika.channel": Scenario(
        send_and_consume_with_pika, MESSAGE, before=START, after=MESSAGE_END, server="rabbitmq_url"
    ),
    "pika.adapters.blocking_connection": Scenario(
        send_and_consume_with_pika, MESSAGE, before=START, after=MESSAGE_END, server="rabbitmq_url"
    ),
    "grpc._channel": Scenario(call_by_grpc, CALLS, before=START, after=CALL_END),
    "grpc._server": Scenario(call_by_grpc, CALLS, before=START, after=CALL_END),
    "grpc": Scenario(call_by_grpc_in_asyncio, CALLS, before=START, after=CALL_END),
}
"""By the module that a row patches."""
