"""Celery with a real broker: from whoever sends a task to the process of a worker that runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
import time
from contextlib import contextmanager

import pytest

celery = pytest.importorskip("celery")

TASKS = """
import os, sys
from celery import Celery, chain, group
from opentelemetry import trace

app = Celery("shop", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.update(task_default_queue="orders", broker_connection_retry_on_startup=True)
tracer = trace.get_tracer("app")

@app.task(name="shop.add")
def add(one, two):
    with tracer.start_as_current_span("inside"):
        return one + two

@app.task(name="shop.fail")
def fail():
    raise LookupError("out of stock")

@app.task(name="shop.retry", bind=True, max_retries=2)
def retry(self):
    if self.request.retries < 1:
        raise self.retry(exc=OSError("busy"), countdown=0)
    return "done"

@app.task(name="shop.wait", bind=True)
def wait(self):
    if self.request.retries < 1:
        raise self.retry(countdown=0)
    return "done"
"""

CLIENT = """
import sys
from tasks import add, app, chain, fail, group, retry, tracer, wait

with tracer.start_as_current_span("client"):
    assert add.delay(1, 2).get(timeout=60) == 3
    headers = {"tenant": "blue"}
    assert add.apply_async((3, 4), headers=headers, queue="orders").get(timeout=60) == 7
    assert headers == {"tenant": "blue"}
    assert retry.delay().get(timeout=60) == "done"
    assert wait.delay().get(timeout=60) == "done"
    try:
        fail.delay().get(timeout=60)
    except LookupError as error:
        assert error.args == ("out of stock",)
    else:
        raise AssertionError
    assert chain(add.s(1, 1), add.s(2))().get(timeout=60) == 4
with tracer.start_as_current_span("several"):
    assert group(add.s(number, number) for number in range(4))().get(timeout=60) == [0, 2, 4, 6]
assert app.send_task("shop.add", (1, 2)).get(timeout=60) == 3
"""


@pytest.fixture
def environ(sandbox, arrivals, redis_url):
    database = redis_url.rpartition("/")[0] + "/7"
    sandbox.write("tasks.py", TASKS)
    return {
        **sandbox.environ,
        **arrivals.environ,
        "BROKER": database,
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis",
        "EVENTLET_NO_GREENDNS": "yes",  # its DNS client imports trio where that is installed
    }


@contextmanager
def worker(sandbox, environ, *options):
    """A worker that is ready, and is asked to end after the block."""
    command = ["autotrace-run", "celery", "-A", "tasks", "worker", "--loglevel=INFO", *options]
    log = sandbox.directory / "worker.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env={**environ, "OTEL_SERVICE_NAME": "worker"},
            cwd=sandbox.directory,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        until(lambda: " ready." in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield log
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
        assert "autotrace: " not in log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def client(sandbox, environ, code):
    sandbox.write("client.py", textwrap.dedent(code))
    done = sandbox.run("client.py", **{**environ, "OTEL_SERVICE_NAME": "client"})
    assert (done.code, done.out, done.err, done.said) == (0, "", "", [])


def shape(spans, parent="", indent=""):
    """The tree with children in order of their names: which of two processes is first is left to them."""
    ids = {span.span_id for span in spans}
    roots = (span for span in spans if (span.parent_id == parent if parent else span.parent_id not in ids))
    lines = [
        f"{indent}{span.service} {span.kind} {span.name}{' ERROR' * span.failed}\n"
        + shape([*spans], span.span_id, indent + "  ")
        for span in roots
    ]
    return "".join(sorted(lines))


ADDED = """
client PRODUCER send shop.add
  worker CONSUMER process shop.add
    worker INTERNAL inside
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
      worker PRODUCER send shop.add
        worker CONSUMER process shop.add
          worker INTERNAL inside
  client PRODUCER send shop.fail
    worker CONSUMER process shop.fail ERROR
  client PRODUCER send shop.retry
    worker CONSUMER process shop.retry ERROR
      worker PRODUCER send shop.retry
        worker CONSUMER process shop.retry
  client PRODUCER send shop.wait
    worker CONSUMER process shop.wait
      worker PRODUCER send shop.wait
        worker CONSUMER process shop.wait
client INTERNAL several
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
"""

POOLS = {
    "prefork": ("--concurrency=2",),
    "solo": ("--pool=solo",),
    "threads": ("--pool=threads", "--concurrency=2"),
    "gevent": ("--pool=gevent", "--concurrency=2"),
    "eventlet": ("--pool=eventlet", "--concurrency=2"),
}


@pytest.mark.slow
@pytest.mark.parametrize("pool", POOLS)
def test_every_task_is_in_the_trace_of_its_sender(sandbox, arrivals, environ, redis_url, pool):
    with worker(sandbox, environ, *POOLS[pool]):
        client(sandbox, environ, CLIENT)
    assert shape(arrivals.spans) == WANTED.lstrip()
    assert len({span.span_id for span in arrivals.spans}) == len(arrivals.spans)
    consumers = [span for span in arrivals.spans if span.kind == "CONSUMER"]
    producer = next(span for span in arrivals.spans if span.kind == "PRODUCER")
    consumer = next(span for span in consumers if span.parent_id == producer.span_id)
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    broker = {"messaging.system": "redis", "server.address": "127.0.0.1", "server.port": port}
    message = {
        "celery.task_name": "shop.add",
        "messaging.destination.name": "orders",
        "messaging.message.id": producer.attributes["messaging.message.id"],
    }

    def operation(name):
        return {"messaging.operation.name": name, "messaging.operation.type": name}

    assert producer.attributes == {**broker, **message, **operation("send")}
    assert consumer.attributes == {
        **broker,
        **message,
        **operation("process"),
        "celery.state": "SUCCESS",
    }
    failed = arrivals.named("process shop.fail")
    assert (failed.attributes["error.type"], failed.attributes["celery.state"]) == ("LookupError", "FAILURE")
    retries = [
        span.attributes.get("celery.retries") for span in consumers if span.name == "process shop.retry"
    ]
    assert retries == [None, 1]


@pytest.mark.slow
def test_a_worker_process_for_each_task_loses_nothing(sandbox, arrivals, environ):
    """Each leaves by `os._exit` as soon as its task is done."""
    code = "from tasks import add, group\ngroup(add.s(1, 2) for _ in range(6))().get(timeout=60)"
    with worker(sandbox, environ, "--concurrency=6", "--max-tasks-per-child=1"):
        client(sandbox, environ, code)
    assert shape(arrivals.spans) == 6 * ADDED.lstrip()
    assert len({span.resource["process.pid"] for span in arrivals.spans if span.kind == "CONSUMER"}) == 6


@pytest.mark.slow
def test_an_eager_application(sandbox, arrivals, environ):
    client(
        sandbox,
        environ,
        """
        from tasks import add, app, fail, tracer

        app.conf.task_always_eager = True
        with tracer.start_as_current_span("eager"):
            assert add.delay(1, 2).get() == 3
            assert fail.delay().failed()
        """,
    )
    assert arrivals.tree == (
        "client app INTERNAL eager\n"
        "  client autotrace.celery INTERNAL process shop.add\n"
        "    client app INTERNAL inside\n"
        "  client autotrace.celery INTERNAL process shop.fail ERROR\n"
    )
