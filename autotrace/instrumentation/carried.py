"""A task that brings its context along to the thread of a pool, and takes it away again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.patching.guard import absorbed
from autotrace.tracing.context import attach, detach

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.tracing.context import Context


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
        try:
            return self._function(*args, **kwargs)
        finally:
            detach(token)
