"""Spans for RQ's jobs: one where a job is enqueued, one where a worker runs it.

Patched: `Queue.enqueue_job`, `schedule_job` and `_enqueue_job`, one of which every job passes on its way;
`Job.to_dict` and `restore`, where the context goes along in a field of the job's hash that RQ does not read;
`perform_job` of the worker. A job that RQ itself enqueues again (after its delay, its dependencies, an
error) has the field already: it stays the child of the span that sent it first.

A worker's own commands make no spans. A queue that runs jobs on the spot makes INTERNAL spans.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.jobs import Jobs
from autotrace.instrumentation.messaging import HOUSEKEEPING, observe_housekeeping
from autotrace.instrumentation.stores import quiet
from autotrace.instrumentation.tasks import packed
from autotrace.tracing.context import attach, detach

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_HEADERS: Final = "_autotrace_headers"
"""Of a job: what goes along with it, once it has been sent or fetched."""
_RUN: Final = "_autotrace_run"
"""Of a job: its span, while a worker runs it."""
_FIELD: Final = "trace_headers"
"""Of the job's hash."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `rq.queue`, and the class of its jobs."""
    sending = _Sending(patcher)
    patcher.wrap(module, "Queue.enqueue_job", sending.observe_enqueue)
    for method in ("schedule_job", "_enqueue_job"):
        patcher.wrap(module, f"Queue.{method}", sending.observe_first)
    patcher.replace(module, "Queue.enqueue_many", quiet)
    job: Any = module.Job
    patcher.wrap(job, "to_dict", sending.observe_to_dict)
    patcher.wrap(job, "restore", _observe_restore)
    patcher.wrap(job, "_execute", _observe_perform(patcher))


def install_worker(module: ModuleType, patcher: Patcher) -> None:
    """Patch `rq.worker`."""
    jobs = Jobs(patcher, "rq")
    if _is_process_of_rq():
        attach(HOUSEKEEPING)  # never detached: only jobs are the application's

    def observe_perform_job(call: Call) -> Generator[None, Outcome, None]:
        job = call.get(1, "job")
        retries = getattr(job, "number_of_retries", None)
        run = jobs.process(
            "redis",
            str(job.func_name),
            str(job.origin),
            job.id,
            job.__dict__.get(_HEADERS),
            retries,
            quiet=True,
        )
        if run is None:
            return
        job.__dict__[_RUN] = run
        outcome = yield
        job.__dict__.pop(_RUN, None)
        run.finish(outcome.error)

    worker: Any = getattr(module, "BaseWorker", module.Worker)
    if "perform_job" not in vars(worker):
        worker = module.Worker
    patcher.wrap(worker, "perform_job", observe_perform_job)
    for method in ("__init__", "work"):
        patcher.wrap(worker, method, observe_housekeeping)

    base: Any = sys.modules.get("rq.worker.base")
    callbacks = base if hasattr(base, "execute_success_callback") else module.Job
    for name in ("execute_success_callback", "execute_failure_callback"):
        patcher.wrap(callbacks, name, observe_in_run)


def _is_process_of_rq() -> bool:
    """Whether this is the command, or the interpreter that a `SpawnWorker` has started for a job."""
    if os.path.basename(sys.argv[0]) in ("rq", "rqworker"):  # noqa: PTH119 - pathlib is not imported at start
        return True
    return "main_work_horse" in "".join(getattr(sys, "orig_argv", ()))


class _Sending:
    def __init__(self, patcher: Patcher) -> None:
        self._patcher = patcher
        self._jobs = Jobs(patcher, "rq")

    def observe_enqueue(self, call: Call) -> Generator[None, Outcome, None]:
        """Around what the application calls with a job."""
        queue, job = call.args[0], call.get(1, "job")
        if not queue.is_async:
            return
        sent = self._jobs.send("redis", str(job.func_name), str(queue.name), job.id)
        if sent is None:
            return
        job.__dict__[_HEADERS] = sent.headers
        outcome = yield
        sent.finish(outcome.error)

    def observe_first(self, call: Call) -> Generator[None, Outcome, None]:
        """Around what RQ calls too: a job that has been sent is none of the application's any more."""
        if _HEADERS in call.get(1, "job").__dict__:
            return
        yield from self.observe_enqueue(call)

    def observe_to_dict(self, call: Call) -> Generator[None, Outcome, None]:
        """Around what is written; a job that waits for others may be written without being enqueued."""
        headers = call.args[0].__dict__.get(_HEADERS)
        if headers is None:
            headers = packed(self._patcher)
        outcome = yield
        if headers and outcome.error is None:
            outcome.result[_FIELD] = json.dumps(headers)


def _observe_restore(call: Call) -> Generator[None, Outcome, None]:
    headers = {}
    for key, text in call.get(1, "raw_data").items():
        if key in (_FIELD, _FIELD.encode()):
            headers = json.loads(text)
    call.args[0].__dict__[_HEADERS] = headers
    yield


def observe_in_run(call: Call) -> Generator[None, Outcome, None]:
    """Around a function of the application that belongs to a run, given the job."""
    run = call.get(0, "job").__dict__.get(_RUN)
    if run is None:
        return
    token = attach(run.context)
    outcome = yield
    detach(token)
    if outcome.error is not None:
        run.fail(outcome.error)


def _observe_perform(patcher: Patcher) -> Callable[[Call], Any]:
    jobs = Jobs(patcher, "rq")

    def observe(call: Call) -> Generator[None, Outcome, None]:
        job = call.args[0]
        if _RUN in job.__dict__:
            yield from observe_in_run(call)
            return
        run = jobs.run_here(str(job.func_name))
        outcome = yield
        run.finish(outcome.error)

    return observe
