"""kombu on RabbitMQ, used by a program itself and by Celery, which has spans of its own."""

from __future__ import annotations

import kombu
import pytest
from instrumented import instrumented
from opentelemetry import trace
from workers import produce, shape, until, worker

LIBRARY = "kombu"


def work(url, seen):
    """Publish twice with the same headers, consume both."""
    headers = {"tenant": "blue"}
    queue = kombu.Queue("goods", kombu.Exchange("shop-kombu", auto_delete=True), "new", auto_delete=True)

    def on_message(body, message):
        kept = {key: text for key, text in message.headers.items() if key != "traceparent"}
        seen.append((body, kept))
        assert trace.get_current_span().is_recording() is ("traceparent" in message.headers)
        message.ack()
        if len(seen) == 2:
            raise LookupError("out of stock")

    with kombu.Connection(url) as connection:
        producer = connection.Producer()
        for number in range(2):
            producer.publish(
                {"order": number},
                "new",
                exchange=queue.exchange,
                declare=[queue],
                headers=headers,
                message_id="m1",
            )
        assert headers == {"tenant": "blue"}
        with connection.Consumer([queue], callbacks=[on_message]), pytest.raises(LookupError):
            while True:
                connection.drain_events(timeout=60)


def test_a_message_is_in_the_trace_of_its_sender(rabbitmq_url):
    plain, seen = [], []
    work(rabbitmq_url, plain)
    with instrumented(LIBRARY) as traced:
        work(rabbitmq_url, seen)
    assert seen == plain
    sent, consumed = traced.spans[:2], traced.spans[2:]
    assert [(span.name, span.kind.name) for span in sent] == 2 * [("publish shop-kombu:new", "PRODUCER")]
    assert [(span.name, span.kind.name) for span in consumed] == 2 * [("consume shop-kombu:new", "CONSUMER")]
    assert [span.parent_id for span in consumed] == [span.span_id for span in sent]
    assert [span.attributes.get("error.type") for span in consumed] == [None, "LookupError"]
    assert dict(sent[0].attributes) == {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": "shop-kombu:new",
        "messaging.message.id": "m1",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "server.address": "127.0.0.1",
        "server.port": kombu.Connection(rabbitmq_url).port,
    }


TASKS = """
import os
from celery import Celery

app = Celery("shop", broker=os.environ["BROKER"], backend="rpc://")
app.conf.update(
    task_default_queue="celery-orders", broker_connection_retry_on_startup=True, worker_send_task_events=True
)

@app.task(name="shop.add")
def add(one, two):
    return one + two
"""


@pytest.mark.slow
def test_celery_over_rabbitmq_has_no_other_spans(sandbox, arrivals, rabbitmq_url):
    """With events, remote control and results by messages: none of them is the application's."""
    sandbox.write("tasks.py", TASKS)
    environ = {**sandbox.environ, **arrivals.environ, "BROKER": rabbitmq_url}
    with worker(sandbox, environ, "celery", "-A", "tasks", "worker", "-c1", "-lINFO", ready=" ready."):
        code = """
        from tasks import add, app
        assert add.delay(1, 2).get(timeout=60) == 3
        assert app.control.ping()
        """
        produce(sandbox, environ, code)
        until(lambda: len(arrivals.spans) >= 2)
    assert shape(arrivals.spans) == "client PRODUCER send shop.add\n  worker CONSUMER process shop.add\n"
