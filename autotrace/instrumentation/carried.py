"""A task that brings its context along to the thread of a pool, and takes it away again."""

from __future__ import annotations

from threading import local
from typing import TYPE_CHECKING, Any

from autotrace.patching.guard import absorbed, guard
from autotrace.tracing.context import attach, detach

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.tracing.context import Context

_of_thread = local()
"""`endings`: what is to be called when the task that runs in this thread is over."""


class Carried:
    """A function that runs in the context of whoever handed it over."""

    __slots__ = ("_context", "_function")

    def __init__(self, context: Context, function: Callable[..., Any]) -> None:
        self._context = context
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function in that context."""
        try:
            token = attach(self._context)
        except Exception as error:
            absorbed(error)
            return self._function(*args, **kwargs)
        outer = getattr(_of_thread, "endings", None)
        endings: list[Callable[[], None]] = []
        _of_thread.endings = endings
        try:
            return self._function(*args, **kwargs)
        finally:
            _of_thread.endings = outer
            for ending in endings:
                with guard:
                    ending()
            detach(token)


def at_the_end(ending: Callable[[], None]) -> None:
    """Call `ending` once this thread's task is over; never, where the thread is no pool's."""
    endings = getattr(_of_thread, "endings", None)
    if endings is not None and ending not in endings:
        endings.append(ending)
