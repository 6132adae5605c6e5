"""`start_as_current_span`: a span for a block or for each call of a function.

A plain class: the generator that the SDK uses costs several times as much.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry.context import Context

from autotrace.tracing.context import SPAN_KEY, attach, current, detach
from autotrace.tracing.span import record_outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from opentelemetry import trace

    from autotrace.tracing.tracer import Tracer

    Function = TypeVar("Function", bound=Callable[..., Any])


class SpanBlock:
    """Context manager and decorator in one; as a decorator it serves any number of calls at once."""

    __slots__ = ("_arguments", "_end_on_exit", "_span", "_token", "_tracer")

    def __init__(self, tracer: Tracer, arguments: tuple[Any, ...], end_on_exit: bool) -> None:
        self._tracer = tracer
        self._arguments = arguments
        self._end_on_exit = end_on_exit

    def __enter__(self) -> trace.Span:
        span = self._span = self._tracer.start_span(*self._arguments)
        self._token = attach(Context({**current(), SPAN_KEY: span}))
        return span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        span = self._span
        was = current()
        detach(self._token)
        if was.get(SPAN_KEY) is not span:
            _stay_out_of_what_is_over(was)
        if error is not None and span.is_recording():
            record_outcome(span, error, self._arguments[6], self._arguments[7])
        if self._end_on_exit:
            span.end()

    def _again(self) -> SpanBlock:
        return SpanBlock(self._tracer, self._arguments, self._end_on_exit)

    def __call__(self, function: Function) -> Function:
        """Decorate a function or coroutine function."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call(*args: Any, **kwargs: Any) -> Any:
                with self._again():
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                with self._again():
                    return function(*args, **kwargs)

        return call  # type: ignore[return-value]  # functools.wraps keeps the signature


def _stay_out_of_what_is_over(was: Context) -> None:
    """After a block that was left late, as that of a generator which is closed in a later request.

    What was current when it was entered must not come back where it has ended since.
    """
    back: Any = current().get(SPAN_KEY)
    if back is not None and not back.is_recording():
        attach(was)
