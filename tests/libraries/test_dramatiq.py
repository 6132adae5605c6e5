"""dramatiq with real brokers: from whoever sends a message to the thread of a worker that runs the actor."""

from __future__ import annotations

import pytest
from workers import produce, shape, until, worker

pytest.importorskip("dramatiq")

SHOP = """
import os
import dramatiq
from dramatiq.middleware import AsyncIO
from opentelemetry import trace

tracer = trace.get_tracer("app")
url = os.environ["BROKER"]
if url.startswith("redis"):
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.results import Results
    from dramatiq.results.backends.redis import RedisBackend

    broker = RedisBroker(url=url, namespace=os.environ["NAMESPACE"])
    broker.add_middleware(Results(backend=RedisBackend(url=url)))
else:
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    broker = RabbitmqBroker(url=url)
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)
QUEUE = os.environ["NAMESPACE"]

@dramatiq.actor(queue_name=QUEUE)
def add(one, two):
    with tracer.start_as_current_span("inside"):
        pass

@dramatiq.actor(queue_name=QUEUE)
async def waited(*_results):
    with tracer.start_as_current_span("inside"):
        pass

@dramatiq.actor(queue_name=QUEUE, max_retries=0)
def fail():
    raise LookupError("out of stock")

@dramatiq.actor(queue_name=QUEUE, max_retries=3, min_backoff=1, max_backoff=2)
def retried():
    if not dramatiq.middleware.CurrentMessage.get_current_message().options.get("retries"):
        raise OSError("busy")
"""

CLIENT = """
import shop

with shop.tracer.start_as_current_span("client"):
    message = shop.add.message(1, 2)
    sent = shop.broker.enqueue(message)
    assert message.options == {} and sent.message_id == message.message_id
    shop.add.send_with_options(args=(3, 4), delay=500)
    shop.fail.send()
    shop.retried.send()
    (shop.add.message(5, 6) | shop.waited.message()).run()
"""

WANTED = """
client INTERNAL client
  client PRODUCER send add
    worker CONSUMER process add
      worker INTERNAL inside
  client PRODUCER send add
    worker CONSUMER process add
      worker INTERNAL inside
  client PRODUCER send add
    worker CONSUMER process add
      worker INTERNAL inside
      worker PRODUCER send waited
        worker CONSUMER process waited
          worker INTERNAL inside
  client PRODUCER send fail
    worker CONSUMER process fail ERROR
  client PRODUCER send retried
    worker CONSUMER process retried
    worker CONSUMER process retried ERROR
"""


@pytest.fixture(params=["redis", "rabbitmq"])
def environ(request, sandbox, arrivals):
    sandbox.write(
        "shop.py",
        SHOP.replace("AsyncIO())", "AsyncIO())\nbroker.add_middleware(dramatiq.middleware.CurrentMessage())"),
    )
    return {
        **sandbox.environ,
        **arrivals.environ,
        "BROKER": request.getfixturevalue(f"{request.param}_url"),
        "NAMESPACE": f"shop-{request.param}",
    }


@pytest.mark.slow
def test_every_message_is_in_the_trace_of_its_sender(sandbox, arrivals, environ):
    """In a worker process, which `multiprocessing` ends by `os._exit`."""
    with worker(
        sandbox, environ, "dramatiq", "shop", "--processes=1", "--threads=2", ready="ready for action"
    ):
        produce(sandbox, environ, CLIENT)
        until(lambda: sum(span.kind == "CONSUMER" for span in arrivals.spans) >= 7)
        produce(sandbox, environ, "import shop\nshop.add.send(7, 8)", traced=False)
        until(lambda: sum(span.kind == "CONSUMER" for span in arrivals.spans) >= 8)
    alone = "worker CONSUMER process add\n  worker INTERNAL inside\n"
    assert shape(arrivals.spans) == WANTED.lstrip() + alone
    producer = next(span for span in arrivals.spans if span.kind == "PRODUCER")
    consumer = next(span for span in arrivals.spans if span.parent_id == producer.span_id)
    for span, operation in ((producer, "send"), (consumer, "process")):
        assert span.attributes == {
            "messaging.system": environ["NAMESPACE"].removeprefix("shop-"),
            "messaging.destination.name": environ["NAMESPACE"],
            "messaging.message.id": producer.attributes["messaging.message.id"],
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "dramatiq.task_name": "add",
        }
    assert arrivals.named("process fail").attributes["error.type"] == "LookupError"
    retries = [
        span.attributes.get("dramatiq.retries") for span in arrivals.spans if span.name == "process retried"
    ]
    assert retries == [None, 1]
