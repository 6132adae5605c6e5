"""The context goes along with each task of `multiprocessing.Pool` and `ThreadPool`.

Patched where tasks are submitted: `Pool.apply_async` and `Pool._guarded_task_generation`, which all kinds
of `map` go through; where they are worked on: `worker`; and where a pool ends: `Pool._terminate_pool`.
`with Pool()` ends by killing its workers. Where no task is left, they are asked to end by themselves first,
and so send the spans of the tasks they have done.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.carried import Carried
from autotrace.instrumentation.tasks import Tasks, addressed, unpacked
from autotrace.patching.guard import absorbed, guard
from autotrace.tracing.context import current

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Final

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_GRACE: Final = 1.0
"""Seconds that idle workers have to end, beside the time to send what they have."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `multiprocessing.pool`."""
    _install_submission(module, patcher)
    _install_worker(module, patcher)
    _install_end(module, patcher)


def _install_submission(module: ModuleType, patcher: Patcher) -> None:
    def with_context(pool: Any, function: Any) -> Any:
        if not patcher.enabled or not callable(function):
            return function
        try:
            if not isinstance(pool, module.ThreadPool):
                return addressed(function, patcher)
            context = current()
            return Carried(context, function) if context else function
        except Exception as error:
            absorbed(error)
            return function

    def observe_apply(original: Function) -> Function:
        def apply_async(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
            return original(self, with_context(self, func), *args, **kwargs)

        return apply_async

    def observe_map(original: Function) -> Function:
        def _guarded_task_generation(self: Any, result_job: Any, func: Any, *args: Any) -> Any:
            return original(self, result_job, with_context(self, func), *args)

        return _guarded_task_generation

    patcher.replace(module, "Pool.apply_async", observe_apply)
    patcher.replace(module, "Pool._guarded_task_generation", observe_map)


def _install_worker(module: ModuleType, patcher: Patcher) -> None:
    def unpack(task: Any) -> Any:
        job, position, function, *rest = task
        return (job, position, unpacked(function, patcher), *rest)

    def observe(original: Function) -> Function:
        def worker(inqueue: Any, *args: Any, **kwargs: Any) -> Any:
            return original(Tasks(inqueue, unpack, patcher), *args, **kwargs)

        return worker

    patcher.replace(module, "worker", observe)


def _install_end(module: ModuleType, patcher: Patcher) -> None:
    def let_end(
        _pool_class: Any,
        _taskqueue: Any,
        _inqueue: Any,
        _outqueue: Any,
        pool: Any,
        change_notifier: Any,
        worker_handler: Any,
        _task_handler: Any,
        _result_handler: Any,
        cache: Any,
    ) -> None:
        """Do as `Pool.close`, and wait for the workers."""
        workers = list(pool)
        if cache or not all(hasattr(worker, "terminate") for worker in workers):
            return  # there is work to abandon, or these are threads
        worker_handler._state = module.CLOSE  # noqa: SLF001 - so does `close`
        change_notifier.put(None)
        deadline = monotonic() + patcher.settings.exit_timeout + _GRACE
        for worker in workers:
            worker.join(max(0.0, deadline - monotonic()))

    def observe(original: Function) -> Function:
        def _terminate_pool(*args: Any, **kwargs: Any) -> Any:
            if patcher.enabled:
                with guard:
                    let_end(*args, **kwargs)
            return original(*args, **kwargs)

        return _terminate_pool

    patcher.replace(module, "Pool._terminate_pool", observe)
