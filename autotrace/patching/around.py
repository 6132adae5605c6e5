"""Wrappers that put an observer around a function.

An observer is a generator function of one `Call`. It runs up to its `yield`, the original is called
by the wrapper, and the observer resumes with the `Outcome`. An observer that returns without
yielding has declined: nothing more happens. So an observer cannot call the original twice, forget
to call it, or swallow its exception.
"""

from __future__ import annotations

import functools
import inspect
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from autotrace.patching.call import Call, Outcome
from autotrace.patching.guard import guard
from autotrace.tracing.context import attach, current

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from opentelemetry.context import Context

    Function = Callable[..., Any]
    Observer = Callable[[Call], Generator[None, Outcome, None]]
    Steps = Generator[None, Outcome, None]

_DECLINED = object()


def around(original: Function, observer: Observer) -> Function:
    """Wrap `original` in the way its kind asks for; it is called exactly once."""
    if inspect.iscoroutinefunction(original):
        return _around_coroutine(original, observer)
    if inspect.isgeneratorfunction(original):
        return _around_generator(original, observer)
    if inspect.isasyncgenfunction(original):
        return _around_async_generator(original, observer)
    return _around_function(original, observer)


def _begin(observer: Observer, call: Call) -> Steps | None:
    """Run the observer up to its `yield`; None when it declined or failed."""
    with guard:
        steps = observer(call)
        if next(steps, _DECLINED) is not _DECLINED:
            return steps
    return None


def _finish(steps: Steps, outcome: Outcome) -> None:
    with guard, suppress(StopIteration):
        steps.send(outcome)


def _around_function(original: Function, observer: Observer) -> Function:
    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = Call(args, kwargs)
        steps = _begin(observer, call)
        if steps is None:
            return original(*args, **kwargs)
        outcome = Outcome()
        try:
            result = original(*call.args, **call.kwargs)  # the only line that may raise
            outcome.result = result
            return result
        except BaseException as error:
            outcome.error = error
            raise
        finally:
            _finish(steps, outcome)
            del outcome  # with an error in it, this frame and the error would hold each other

    return wrapper


def _around_coroutine(original: Function, observer: Observer) -> Function:
    @functools.wraps(original)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = Call(args, kwargs)
        steps = _begin(observer, call)
        if steps is None:
            return await original(*args, **kwargs)
        outcome = Outcome()
        try:
            result = await original(*call.args, **call.kwargs)  # the only line that may raise
            outcome.result = result
            return result
        except BaseException as error:
            outcome.error = error
            raise
        finally:
            _finish(steps, outcome)
            del outcome  # with an error in it, this frame and the error would hold each other

    return wrapper


def _around_generator(original: Function, observer: Observer) -> Function:
    """The observer sees the generator from its first step to its last; `result` is its return value.

    What the observer makes current is so for the original's steps, and not for the consumer in between.
    """

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = Call(args, kwargs)
        outside = current()
        steps = _begin(observer, call)
        if steps is None:
            return (yield from original(*args, **kwargs))
        outcome = Outcome()
        what: Any = None
        try:
            generator = original(*call.args, **call.kwargs)
            advance = generator.send
            while True:
                try:
                    value = advance(what)
                except StopIteration as end:
                    outcome.result = end.value
                    return outcome.result
                inside = current()
                attach(outside)
                try:
                    what, advance = (yield value), generator.send
                except GeneratorExit:
                    outside = current()
                    attach(inside)
                    generator.close()
                    raise
                except BaseException as error:
                    what, advance = error, generator.throw
                outside = current()
                attach(inside)
        except GeneratorExit:
            raise  # the consumer has had enough: no error
        except BaseException as error:
            outcome.error = error
            raise
        finally:
            _finish(steps, outcome)
            attach(outside)
            del outcome, what  # with an error in it, this frame and the error would hold each other

    return wrapper


def _around_async_generator(original: Function, observer: Observer) -> Function:
    """As above. There is no `yield from` for these: what is sent, thrown and closed is passed on by hand."""

    @functools.wraps(original)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = Call(args, kwargs)
        outside = current()
        steps = _begin(observer, call)
        make_current: Callable[[Context], Any] = _leave
        if steps is not None:
            make_current, args, kwargs = attach, call.args, call.kwargs
        outcome = Outcome()
        step: Any = None
        try:
            generator = original(*args, **kwargs)
            step = _first_step(generator)
            while True:
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                inside = current()
                make_current(outside)
                try:
                    sent = yield value
                except BaseException as error:  # GeneratorExit too: what the original makes of it counts
                    step = generator.athrow(error)
                else:
                    step = generator.asend(sent)
                outside = current()
                make_current(inside)
        except GeneratorExit:
            raise  # the consumer has had enough: no error
        except BaseException as error:
            outcome.error = error
            raise
        finally:
            if steps is not None:
                _finish(steps, outcome)
            make_current(outside)
            del outcome, step  # the step holds the error that was thrown

    return wrapper


def _leave(_context: Context) -> None:
    """Where nobody watches, what is current is the original's own business."""


def _first_step(generator: Any) -> Any:
    """Begin without telling the event loop, which would close the original beside the wrapper."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.__anext__()
    finally:
        sys.set_asyncgen_hooks(*hooks)
