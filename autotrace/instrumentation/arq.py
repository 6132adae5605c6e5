"""Spans for arq's jobs: one where a job is enqueued, one where a worker runs it.

Patched: `ArqRedis.enqueue_job` and `Worker.run_job`. The context is a further entry of what is serialized,
put in and taken out by way of the serializer that arq is given. Each attempt is a run, and the child of the
span that sent the job.

A run begins when the job has been read. What a worker does for itself makes no spans.
"""

from __future__ import annotations

import pickle
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.jobs import Jobs
from autotrace.instrumentation.messaging import observe_housekeeping
from autotrace.instrumentation.semconv import MESSAGING_MESSAGE_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType
    from typing import Final

    from autotrace.instrumentation.jobs import Begun
    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_ENTRY: Final = "trace_headers"

_headers: ContextVar[dict[str, Any] | None] = ContextVar("autotrace-arq-headers", default=None)
"""Of the job that is being sent."""
_attempt: ContextVar[_Attempt | None] = ContextVar("autotrace-arq-attempt", default=None)
"""At a job that is being run."""


class _Attempt:
    """What is known of a run before its function is."""

    __slots__ = ("job", "queue", "run")

    def __init__(self, job: str, queue: str) -> None:
        self.job = job
        self.queue = queue
        self.run: Begun | None = None


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `arq.connections`."""
    jobs = Jobs(patcher, "arq")

    def observe_enqueue(call: Call) -> Generator[None, Outcome, None]:
        queue = call.kwargs.get("_queue_name") or call.args[0].default_queue_name
        sent = jobs.send("redis", str(call.get(1, "function")), str(queue), call.kwargs.get("_job_id"))
        if sent is None:
            return
        token = _headers.set(sent.headers)
        outcome = yield
        _headers.reset(token)
        if outcome.result is not None:
            sent.tell(MESSAGING_MESSAGE_ID, str(outcome.result.job_id))
        sent.finish(outcome.error)

    patcher.wrap(module, "ArqRedis.enqueue_job", observe_enqueue)
    patcher.wrap(module, "serialize_job", _observe_serialize)
    patcher.wrap(module, "create_pool", observe_housekeeping)
    job: Any = module.Job
    patcher.wrap(job, "result", observe_housekeeping)


def install_worker(module: ModuleType, patcher: Patcher) -> None:
    """Patch `arq.worker`."""
    jobs = Jobs(patcher, "arq")

    def observe_run_job(call: Call) -> Generator[None, Outcome, None]:
        attempt = _Attempt(str(call.get(1, "job_id")), str(call.args[0].queue_name))
        token = _attempt.set(attempt)
        outcome = yield
        _attempt.reset(token)
        if attempt.run is not None:
            attempt.run.finish(outcome.error)

    def observe_deserialize(call: Call) -> Generator[None, Outcome, None]:
        attempt, found = _attempt.get(), {}
        if attempt is None:
            return
        deserialize = call.kwargs.get("deserializer") or pickle.loads

        def loads(data: bytes) -> Any:
            entries = deserialize(data)
            if isinstance(entries, dict):
                found.update(entries)
            return entries

        call.set(1, "deserializer", loads)
        outcome = yield
        if outcome.error is None:
            name = str(outcome.result[0])
            attempt.run = jobs.process("redis", name, attempt.queue, attempt.job, found.get(_ENTRY))

    patcher.wrap(module, "Worker.__init__", _observe_init(patcher))
    patcher.wrap(module, "Worker.run_job", observe_run_job)
    patcher.wrap(module, "deserialize_job_raw", observe_deserialize)
    for name in ("create_pool", "log_redis_info"):
        patcher.wrap(module, name, observe_housekeeping)
    for method in ("_poll_iteration", "finish_job", "finish_failed_job", "close"):
        patcher.wrap(module, f"Worker.{method}", observe_housekeeping)


def _observe_init(patcher: Patcher) -> Callable[[Call], Any]:
    def observe(call: Call) -> Generator[None, Outcome, None]:
        outcome = yield
        if outcome.error is None:
            functions = call.args[0].functions
            for name, function in list(functions.items()):
                own = object.__new__(type(function))  # the application's may belong to another worker too
                own.__dict__.update(function.__dict__)
                functions[name] = own
                patcher.wrap(own, "coroutine", _observe_function)

    return observe


def _observe_serialize(call: Call) -> Generator[None, Outcome, None]:
    headers = _headers.get()
    if not headers:
        return
    serialize = call.kwargs.get("serializer") or pickle.dumps
    call.set(5, "serializer", lambda entries: serialize({**entries, _ENTRY: headers}))
    yield


def _observe_function(call: Call) -> Generator[None, Outcome, None]:
    """Around the application's function; a retry that it asks for is no error."""
    attempt = _attempt.get()
    if attempt is None or attempt.run is None:
        return
    tries = call.get(0, "ctx").get("job_try") or 1
    if tries > 1:
        attempt.run.tell("arq.retries", tries - 1)
    outcome = yield
    if outcome.error is not None and type(outcome.error).__name__ != "Retry":
        attempt.run.fail(outcome.error)
