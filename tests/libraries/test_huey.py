"""huey with a real Redis: from whoever calls a task to the consumer that runs it."""

from __future__ import annotations

import pytest
from workers import produce, shape, until, worker

pytest.importorskip("huey")

SHOP = """
import os
from huey import RedisHuey
from opentelemetry import trace

huey = RedisHuey(os.environ["NAMESPACE"], url=os.environ["BROKER"])
tracer = trace.get_tracer("app")

@huey.task()
def add(one, two):
    with tracer.start_as_current_span("inside"):
        return one + two

@huey.task()
def fail():
    raise LookupError("out of stock")

@huey.task(retries=1, context=True)
def retried(task=None):
    if task.retries:
        raise OSError("busy")
"""

CLIENT = """
from shop import add, fail, huey, retried, tracer

with tracer.start_as_current_span("client"):
    assert add(1, two=2).get(blocking=True, timeout=60) == 3
    task = add.s(3, 4)
    for _ in range(2):
        huey.enqueue(task)
    assert type(task.kwargs) is dict and "_autotrace" not in str(vars(task))
    add.schedule((5, 6), delay=1)
    huey.enqueue(add.s(7, 8).then(add, 9))
    fail()
    retried()
"""

WANTED = """
client INTERNAL client
  client PRODUCER send shop.add
    worker CONSUMER process shop.add
      worker INTERNAL inside
  client PRODUCER send shop.add
    worker CONSUMER process shop.add
      worker INTERNAL inside
  client PRODUCER send shop.add
    worker CONSUMER process shop.add
      worker INTERNAL inside
  client PRODUCER send shop.add
    worker CONSUMER process shop.add
      worker INTERNAL inside
  client PRODUCER send shop.add
    worker CONSUMER process shop.add
      worker INTERNAL inside
      worker PRODUCER send shop.add
        worker CONSUMER process shop.add
          worker INTERNAL inside
  client PRODUCER send shop.fail
    worker CONSUMER process shop.fail ERROR
  client PRODUCER send shop.retried
    worker CONSUMER process shop.retried
    worker CONSUMER process shop.retried ERROR
"""


@pytest.fixture
def environ(sandbox, arrivals, redis_url):
    sandbox.write("shop.py", SHOP)
    return {**sandbox.environ, **arrivals.environ, "BROKER": redis_url, "PYTHONPATH": str(sandbox.directory)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["thread", "process", "greenlet"])
def test_every_task_is_in_the_trace_of_its_sender(sandbox, arrivals, environ, kind):
    environ["NAMESPACE"] = f"shop-{kind}"
    patched = "from gevent import monkey\nmonkey.patch_all()\n" if kind == "greenlet" else ""
    sandbox.write("consumer.py", f"{patched}from shop import huey")
    command = ("huey_consumer", "consumer.huey", "--workers=2", f"--worker-type={kind}")
    with worker(sandbox, environ, *command, ready="Huey consumer started"):
        produce(sandbox, environ, CLIENT)
        until(lambda: sum(span.kind == "CONSUMER" for span in arrivals.spans) >= 9)
        produce(sandbox, environ, "import shop\nshop.add(1, 2)", traced=False)
        until(lambda: sum(span.kind == "CONSUMER" for span in arrivals.spans) >= 10)
    alone = "worker CONSUMER process shop.add\n  worker INTERNAL inside\n"
    assert shape(arrivals.spans) == WANTED.lstrip() + alone
    producer = next(span for span in arrivals.spans if span.kind == "PRODUCER")
    consumer = next(span for span in arrivals.spans if span.parent_id == producer.span_id)
    for span, operation in ((producer, "send"), (consumer, "process")):
        assert span.attributes == {
            "messaging.system": "redis",
            "messaging.destination.name": f"shop-{kind}",
            "messaging.message.id": producer.attributes["messaging.message.id"],
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "huey.task_name": "shop.add",
        }
    assert arrivals.named("process shop.fail").attributes["error.type"] == "LookupError"


@pytest.mark.slow
def test_an_untraced_consumer_and_tasks_on_the_spot(sandbox, arrivals, environ):
    environ["NAMESPACE"] = "shop-plain"
    produce(sandbox, environ, "import shop\nshop.add(1, two=2)")
    check = """
    from shop import huey
    task = huey.dequeue()
    assert huey.execute(task) == 3 and task.kwargs == {"two": 2}
    """
    produce(sandbox, environ, check, traced=False)
    produce(sandbox, environ, "import shop\nshop.huey.immediate = True\nassert shop.add(1, 2).get() == 3")
    assert shape(arrivals.spans) == (
        "client INTERNAL process shop.add\n  client INTERNAL inside\nclient PRODUCER send shop.add\n"
    )
