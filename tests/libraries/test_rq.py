"""RQ with a real Redis: from whoever enqueues a job to the work horse that runs it."""

from __future__ import annotations

import pytest
from workers import produce, shape, until, worker

pytest.importorskip("rq")

JOBS = """
import os
from opentelemetry import trace
from redis import Redis

tracer = trace.get_tracer("app")

def add(one, two):
    with tracer.start_as_current_span("inside"):
        return one + two

def fail():
    raise LookupError("out of stock")

def count():
    from rq import get_current_job
    return get_current_job().connection.incr("counted")

def retried():
    if Redis.from_url(os.environ["BROKER"]).incr("attempts") < 2:
        raise OSError("busy")

def on_success(job, connection, result):
    with tracer.start_as_current_span("callback"):
        pass
"""

CLIENT = """
import os, time
from datetime import timedelta
import jobs
from redis import Redis
from rq import Queue, Retry

queue = Queue("orders", connection=Redis.from_url(os.environ["BROKER"]))
with jobs.tracer.start_as_current_span("client"):
    meta = {"tenant": "blue"}
    job = queue.enqueue(jobs.add, 1, 2, job_id="j1", meta=meta, on_success=jobs.on_success)
    assert job.meta == meta == {"tenant": "blue"}
    queue.enqueue(jobs.fail)
    queue.enqueue(jobs.count)
    queue.enqueue(jobs.retried, retry=Retry(max=2))
    queue.enqueue_in(timedelta(seconds=1), jobs.add, 3, 4)
    queue.enqueue(jobs.add, 5, 6, depends_on=job)
    queue.enqueue_many([Queue.prepare_data(jobs.add, (7, 8)), Queue.prepare_data(jobs.add, (9, 10))])
"""

WANTED = """
client INTERNAL client
  client PRODUCER send jobs.add
    worker CONSUMER process jobs.add
      worker INTERNAL callback
      worker INTERNAL inside
  client PRODUCER send jobs.add
    worker CONSUMER process jobs.add
      worker INTERNAL inside
  client PRODUCER send jobs.add
    worker CONSUMER process jobs.add
      worker INTERNAL inside
  client PRODUCER send jobs.add
    worker CONSUMER process jobs.add
      worker INTERNAL inside
  client PRODUCER send jobs.add
    worker CONSUMER process jobs.add
      worker INTERNAL inside
  client PRODUCER send jobs.count
    worker CONSUMER process jobs.count
      worker CLIENT INCRBY
  client PRODUCER send jobs.fail
    worker CONSUMER process jobs.fail ERROR
  client PRODUCER send jobs.retried
    worker CONSUMER process jobs.retried
      worker CLIENT INCRBY
    worker CONSUMER process jobs.retried ERROR
      worker CLIENT INCRBY
"""


@pytest.fixture
def environ(sandbox, arrivals, redis_url):
    sandbox.write("jobs.py", JOBS)
    return {
        **sandbox.environ,
        **arrivals.environ,
        "BROKER": redis_url.rpartition("/")[0] + "/8",
        "PYTHONPATH": str(sandbox.directory),
    }


def command(environ, *words):
    return ("rq", "worker", "orders", "--url", environ["BROKER"], *words)


@pytest.mark.slow
def test_every_job_is_in_the_trace_of_its_sender(sandbox, arrivals, environ, redis_url):
    """Each in a work horse of its own, which leaves by `os._exit`."""
    with worker(sandbox, environ, *command(environ, "--with-scheduler"), ready="Listening on"):
        produce(sandbox, environ, CLIENT)
        until(lambda: sum(span.kind == "CONSUMER" for span in arrivals.spans) >= 9)
    assert shape(arrivals.spans) == WANTED.lstrip()
    producer = next(span for span in arrivals.spans if span.kind == "PRODUCER")
    consumer = next(span for span in arrivals.spans if span.parent_id == producer.span_id)
    common = {
        "messaging.system": "redis",
        "messaging.destination.name": "orders",
        "messaging.message.id": "j1",
        "rq.task_name": "jobs.add",
    }
    for span, operation in ((producer, "send"), (consumer, "process")):
        assert span.attributes == {
            **common,
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
        }
    failed = arrivals.named("process jobs.fail")
    assert failed.attributes["error.type"] == "LookupError"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rq.SimpleWorker", "rq.worker.SpawnWorker"])
def test_other_workers_and_an_untraced_sender(sandbox, arrivals, environ, kind):
    code = CLIENT.partition("with jobs")[0] + "queue.enqueue(jobs.add, 1, 2)"
    produce(sandbox, environ, code, traced=False)
    done = sandbox.execute(
        "autotrace-run",
        *command(environ, "--burst", "--worker-class", kind),
        **{**environ, "OTEL_SERVICE_NAME": "worker"},
    )
    assert (done.code, done.said) == (0, [])
    assert shape(arrivals.spans) == "worker CONSUMER process jobs.add\n  worker INTERNAL inside\n"


@pytest.mark.slow
def test_a_queue_that_runs_jobs_on_the_spot(sandbox, arrivals, environ):
    code = """
    import os
    import jobs
    from redis import Redis
    from rq import Queue

    queue = Queue("orders", connection=Redis.from_url(os.environ["BROKER"]), is_async=False)
    assert queue.enqueue(jobs.add, 1, 2).return_value() == 3
    """
    produce(sandbox, {**environ, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis"}, code)
    assert shape(arrivals.spans) == "client INTERNAL process jobs.add\n  client INTERNAL inside\n"
