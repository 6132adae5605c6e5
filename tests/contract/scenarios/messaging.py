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


SCENARIOS = {
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
}
"""By the module that a row patches."""
