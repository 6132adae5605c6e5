"""arq with a real Redis: from whoever enqueues a job to the worker that runs it, several at a time."""

from __future__ import annotations

import pytest
from workers import produce, shape, until, worker

pytest.importorskip("arq")

SHOP = """
import asyncio, os
from arq import Retry
from arq.connections import RedisSettings
from opentelemetry import trace

tracer = trace.get_tracer("app")
settings = RedisSettings.from_dsn(os.environ["BROKER"])

async def add(ctx, one, two):
    with tracer.start_as_current_span("inside"):
        await asyncio.sleep(0.05)
        return one + two

async def fail(ctx):
    raise LookupError("out of stock")

async def retried(ctx):
    if ctx["job_try"] < 2:
        raise Retry(defer=0.01)
    await ctx["redis"].enqueue_job("add", 5, 6)

class Settings:
    functions = [add, fail, retried]
    redis_settings = settings
    poll_delay = 0.05

    @staticmethod
    async def on_startup(ctx):
        print("ready", flush=True)
"""

CLIENT = """
import asyncio
import arq
from shop import settings, tracer

async def main():
    pool = await arq.create_pool(settings)
    with tracer.start_as_current_span("client"):
        job = await pool.enqueue_job("add", 1, two=2, _job_id="j1")
        await asyncio.gather(pool.enqueue_job("add", 3, 4), pool.enqueue_job("fail"))
        await pool.enqueue_job("add", 7, 8, _defer_by=0.5)
        await pool.enqueue_job("retried")
        assert await job.result(timeout=60, poll_delay=0.05) == 3
    await pool.aclose()

asyncio.run(main())
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
  client PRODUCER send fail
    worker CONSUMER process fail ERROR
  client PRODUCER send retried
    worker CONSUMER process retried
    worker CONSUMER process retried
      worker PRODUCER send add
        worker CONSUMER process add
          worker INTERNAL inside
"""


@pytest.mark.slow
def test_every_job_is_in_the_trace_of_its_sender(sandbox, arrivals, redis_url):
    sandbox.write("shop.py", SHOP)
    environ = {**sandbox.environ, **arrivals.environ, "BROKER": redis_url.rpartition("/")[0] + "/9"}
    environ["PYTHONPATH"] = str(sandbox.directory)
    with worker(sandbox, environ, "arq", "shop.Settings", ready="ready"):
        produce(sandbox, environ, CLIENT)
        until(lambda: sum(span.kind == "CONSUMER" for span in arrivals.spans) >= 7)
        produce(sandbox, environ, CLIENT.replace('"retried"', '"fail"').replace('"j1"', '"j2"'), traced=False)
        until(lambda: sum(span.kind == "CONSUMER" for span in arrivals.spans) >= 12)
    alone = (
        3 * "worker CONSUMER process add\n  worker INTERNAL inside\n"
        + 2 * "worker CONSUMER process fail ERROR\n"
    )
    assert shape(arrivals.spans) == WANTED.lstrip() + alone
    producer = next(span for span in arrivals.spans if span.kind == "PRODUCER")
    consumer = next(span for span in arrivals.spans if span.parent_id == producer.span_id)
    for span, operation in ((producer, "send"), (consumer, "process")):
        assert span.attributes == {
            "messaging.system": "redis",
            "messaging.destination.name": "arq:queue",
            "messaging.message.id": "j1",
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "arq.task_name": "add",
        }
    failed = next(span for span in arrivals.spans if span.name == "process fail")
    assert failed.attributes["error.type"] == "LookupError"
    retries = [
        span.attributes.get("arq.retries") for span in arrivals.spans if span.name == "process retried"
    ]
    assert retries == [None, 1]
