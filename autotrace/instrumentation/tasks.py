"""Tasks that bring their context along to a process of a pool.

A task is pickled as a `functools.partial` of its function, with trace headers in the `__dict__`: a worker
that cannot load autotrace calls it and is none the wiser. Ours unpacks it when it takes the task from its
queue.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.carried import Carried
from autotrace.patching.guard import absorbed
from autotrace.tracing.context import Context, current

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

HEADERS: Final = "_autotrace_headers"
"""Where they are, in the `__dict__` of what is pickled."""


def packed(patcher: Patcher) -> dict[str, str]:
    """The current context as trace headers; empty where there is nothing to say."""
    headers: dict[str, str] = {}
    context = current()
    if context:
        patcher.propagator.inject(headers, context)
    return headers


class _Addressed:
    """A function on its way to another process."""

    __slots__ = ("_function", "_headers")

    def __init__(self, function: Function, headers: dict[str, str]) -> None:
        self._function = function
        self._headers = headers

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """It has not gone anywhere."""
        return self._function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        # Not a partial by itself: multiprocessing pickles those without their `__dict__`.
        return partial, (self._function,), (self._function, (), {}, {HEADERS: self._headers})


def addressed(function: Function, patcher: Patcher) -> Function:
    """The function with the current context."""
    headers = packed(patcher)
    return _Addressed(function, headers) if headers else function


def unpacked(function: Function, patcher: Patcher) -> Function:
    """The function, to be called in the context that came with it.

    In none where none came: what was current where the pool was made is not the task's.
    """
    if type(function) is Carried:
        return function
    headers = getattr(function, "__dict__", {}).get(HEADERS)
    return Carried(patcher.propagator.extract(headers) if headers else Context(), function)


class Tasks:
    """The queue that a worker takes its tasks from, with something done to each of them."""

    def __init__(self, queue: Any, unpack: Callable[[Any], Any], patcher: Patcher) -> None:
        self._queue = queue
        self._unpack = unpack
        self._patcher = patcher

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """The next task; None asks the worker to end."""
        task = self._queue.get(*args, **kwargs)
        if task is not None and self._patcher.enabled:
            try:
                return self._unpack(task)
            except Exception as error:
                absorbed(error)
        return task

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)
