"""Spans for huey's tasks: one where a task is enqueued, one where a consumer runs it.

Patched: `Huey.enqueue`, which calls of tasks, pipelines and groups go through; `Huey._execute`, a run;
`Huey._emit`, which is told of errors. A task that huey enqueues again (after its delay or an error) is none
of the application's: it stays the child of the span that sent it first.

The context is pickled with the keyword arguments, which become an `OrderedDict` that has the trace headers
in its `__dict__`: for a consumer without autotrace it is a dict like any other. Other serializers than huey's
own may leave it behind.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.jobs import Jobs
from autotrace.instrumentation.messaging import observe_housekeeping
from autotrace.instrumentation.redis import silence
from autotrace.instrumentation.tasks import HEADERS
from autotrace.patching.guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_RUN: Final = "_autotrace_run"
"""Of a task: its span, while it runs."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `huey.api`."""
    jobs = Jobs(patcher, "huey")

    def observe_enqueue(call: Call) -> Generator[None, Outcome, None]:
        huey, task = call.args[0], call.get(1, "task")
        if not isinstance(task, module.Task) or huey.immediate or HEADERS in task.__dict__:
            return
        sent = jobs.send(_system(huey), _name(task), str(huey.name), task.id)
        if sent is None:
            return
        task.__dict__[HEADERS] = sent.headers
        outcome = yield
        del task.__dict__[HEADERS]  # the application may send its own again
        sent.finish(outcome.error)

    def observe_execute(call: Call) -> Generator[None, Outcome, None]:
        huey, task = call.args[0], call.get(1, "task")
        if huey.immediate:
            run = jobs.run_here(_name(task))
        else:
            headers = task.__dict__.get(HEADERS)
            begun = jobs.process(_system(huey), _name(task), str(huey.name), task.id, headers)
            if begun is None:
                return
            run = begun
        task.__dict__[_RUN] = run
        outcome = yield
        task.__dict__.pop(_RUN, None)
        run.finish(outcome.error)

    patcher.wrap(module, "Huey.enqueue", observe_enqueue)
    patcher.wrap(module, "Huey._execute", observe_execute)
    patcher.wrap(module, "Huey._emit", observe_emit)
    patcher.wrap(module, "Huey._requeue_task", observe_housekeeping)


def install_registry(module: ModuleType, patcher: Patcher) -> None:
    """Patch `huey.registry`."""

    def make_create_message(original: Function) -> Function:
        def create_message(self: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
            message = original(self, task, *args, **kwargs)
            with guard:
                headers = task.__dict__.get(HEADERS)
                if headers and patcher.enabled:
                    carrier = OrderedDict(message.kwargs or {})
                    carrier.__dict__[HEADERS] = headers
                    message = message._replace(kwargs=carrier)
            return message

        return create_message

    def observe_create_task(call: Call) -> Generator[None, Outcome, None]:
        carrier = call.get(1, "message").kwargs
        headers = getattr(carrier, "__dict__", {}).get(HEADERS)
        if not headers:
            return
        outcome = yield
        if outcome.error is None:
            outcome.result.__dict__[HEADERS] = headers
            outcome.result.kwargs = dict(carrier)

    patcher.replace(module, "Registry.create_message", make_create_message)
    patcher.wrap(module, "Registry.create_task", observe_create_task)


def install_storage(module: ModuleType, patcher: Patcher) -> None:
    """Patch `huey.storage`: a pool that the application shares with it is left alone."""

    def observe_init(call: Call) -> Generator[None, Outcome, None]:
        outcome = yield
        pool = getattr(call.args[0], "pool", None)
        if outcome.error is None and pool is not None and pool is not call.kwargs.get("connection_pool"):
            silence(pool)

    patcher.wrap(module, "RedisStorage.__init__", observe_init)


def install_consumer(module: ModuleType, patcher: Patcher) -> None:
    """Patch `huey.consumer`."""
    for loop in ("Worker.loop", "Scheduler.loop"):
        patcher.wrap(module, loop, observe_housekeeping)


def observe_emit(call: Call) -> Generator[None, Outcome, None]:
    """Around the signal that tells of an error, which is being handled."""
    run = call.get(2, "task").__dict__.get(_RUN)
    if run is not None and call.get(1, "signal") in ("error", "timeout"):
        error = sys.exc_info()[1]
        if error is not None:
            run.fail(error)
    yield


def _name(task: Any) -> str:
    """As huey's registry has it."""
    return f"{type(task).__module__}.{type(task).__name__}"


def _system(huey: Any) -> str:
    storage = type(huey.storage).__name__.lower()
    return next((name for name in ("redis", "sqlite", "postgres") if name in storage), "huey")
