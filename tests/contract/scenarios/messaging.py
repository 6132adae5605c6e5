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


def send_by_kombu(url: str) -> Any:
    import os

    import kombu

    with kombu.Connection(url) as connection:
        queue = connection.SimpleQueue(os.urandom(8).hex())
        queue.put({"order": 7})
        message = queue.get(timeout=60)
        message.ack()
        queue.close()
    return message.payload


SCENARIOS = {
    "kombu.transport.redis": Scenario(
        send_by_kombu,
        "",
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
