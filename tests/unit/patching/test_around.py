"""A wrapped function is the function, but for being watched."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import traceback
import types
import weakref

import pytest

from autotrace.patching.around import around


class Watch:
    """An observer that writes down what it sees; `broken` says where it raises."""

    def __init__(self, broken=None, declines=False, change=None):
        self.seen = []
        self.broken = broken
        self.declines = declines
        self.change = change

    def __call__(self, call):
        self.seen.append(("before", call.args, call.kwargs))
        if self.change is not None:
            self.change(call)
        if self.broken == "before":
            raise RuntimeError("broken before")
        if self.declines:
            return
        outcome = yield
        self.seen.append(("after", outcome.result, outcome.error))
        if self.broken == "after":
            raise RuntimeError("broken after")

    @property
    def outcomes(self):
        return [seen[1:] for seen in self.seen if seen[0] == "after"]


class Refusal(Exception):
    """An error of the application."""


class Calls(list):
    """The four kinds of function, each noting its calls."""

    def function(self, a, b=2):
        """Docs."""
        self.append((a, b))
        if isinstance(a, BaseException):
            raise a
        return a + b

    async def coroutine(self, a, b=2):
        """Docs."""
        await asyncio.sleep(0)
        return Calls.function(self, a, b)

    def generator(self, a, b=2):
        """Docs."""
        got = yield a
        yield got
        return Calls.function(self, a, b)

    async def async_generator(self, a, b=2):
        """Docs."""
        got = yield a
        yield got
        Calls.function(self, a, b)


def call_function(function, *arguments, **named):
    return function(*arguments, **named)


def call_coroutine(function, *arguments, **named):
    return asyncio.run(function(*arguments, **named))


def call_generator(function, *arguments, **named):
    generator = function(*arguments, **named)
    next(generator)
    generator.send("sent")
    try:
        next(generator)
    except StopIteration as ending:
        return ending.value
    raise AssertionError("it goes on")


def call_async_generator(function, *arguments, **named):
    async def run():
        generator = function(*arguments, **named)
        first = await generator.__anext__()
        assert await generator.asend("sent") == "sent"
        with pytest.raises(StopAsyncIteration):
            await generator.__anext__()
        return first

    return asyncio.run(run())


KINDS = {
    "function": call_function,
    "coroutine": call_coroutine,
    "generator": call_generator,
    "async_generator": call_async_generator,
}


@pytest.fixture(params=list(KINDS))
def kind(request):
    return request.param


@pytest.fixture
def calls():
    return Calls()


def wrapped(calls, kind, watch):
    return around(getattr(Calls, kind), watch), KINDS[kind]


# What every kind has in common.


def test_the_original_is_called_once_and_its_outcome_is_seen(calls, kind):
    watch = Watch()
    function, call = wrapped(calls, kind, watch)
    result = call(function, calls, 1, b=5)
    assert result == (1 if kind == "async_generator" else 6)
    assert calls == [(1, 5)]
    ((_, args, kwargs), after) = watch.seen
    assert (args, kwargs) == ((calls, 1), {"b": 5})
    assert after == ("after", None if kind == "async_generator" else 6, None)


def test_a_wrapper_looks_like_what_it_wraps(kind):
    original = getattr(Calls, kind)
    wrapper = around(original, Watch())
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(wrapper, name) == getattr(original, name)
    assert wrapper.__wrapped__ is original
    assert inspect.signature(wrapper) == inspect.signature(original)
    assert isinstance(wrapper, types.FunctionType)
    for predicate in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    ):
        assert predicate(wrapper) == predicate(original)


def test_an_observer_may_decline(calls, kind):
    watch = Watch(declines=True, change=lambda call: call.set(1, "a", 100))
    function, call = wrapped(calls, kind, watch)
    call(function, calls, 1)
    assert calls == [(1, 2)], "what it changed before does not count"
    assert watch.outcomes == []


def test_an_observer_may_change_arguments(calls, kind):
    def change(call):
        call.set(1, "a", 10)
        call.set(2, "b", 20)

    function, call = wrapped(calls, kind, Watch(change=change))
    given = {"b": 5}
    call(function, calls, 1, **given)
    call(function, calls, 1, 5)
    call(function, calls, a=1)
    assert calls == [(10, 20)] * 3
    assert given == {"b": 5}


def test_an_exception_goes_through_as_it_is(calls, kind):
    watch = Watch()
    function, call = wrapped(calls, kind, watch)
    error = Refusal("no", 42)
    with pytest.raises(Refusal) as raised:
        call(function, calls, error)
    assert raised.value is error
    assert raised.value.args == ("no", 42)
    assert calls == [(error, 2)]
    assert watch.outcomes == [(None, error)]
    assert error.__context__ is None
    assert error.__cause__ is None


def test_the_traceback_has_one_frame_more(calls, kind):
    def depth(function, call):
        with pytest.raises(Refusal) as raised:
            call(function, calls, Refusal())
        frames = traceback.extract_tb(raised.value.__traceback__)
        assert frames[-1].name == "function"
        return len(frames)

    function, call = wrapped(calls, kind, Watch())
    assert depth(function, call) == depth(getattr(Calls, kind), call) + 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()], ids=repr)
@pytest.mark.parametrize("kind", ["function", "generator"])
def test_what_is_not_an_error_goes_through_and_is_seen(calls, kind, error):
    watch = Watch()
    function, call = wrapped(calls, kind, watch)
    with pytest.raises(type(error)) as raised:
        call(function, calls, error)
    assert raised.value is error
    assert watch.outcomes == [(None, error)]


class Big:
    """Something of the application that should go when it is done with."""


def fail(big):
    raise Refusal("no")


async def fail_coroutine(big):
    raise Refusal("no")


def fail_generator(big):
    yield
    raise Refusal("no")


async def fail_async_generator(big):
    yield
    raise Refusal("no")


def exhaust(made):
    for _ in range(2):
        try:
            made.__anext__().send(None)
        except StopIteration:
            pass


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "wrapped"])
@pytest.mark.parametrize(
    ("function", "run"),
    [
        (fail, lambda made: made),
        (fail_coroutine, lambda made: made.send(None)),
        (fail_generator, list),
        (fail_async_generator, exhaust),
        (fail_async_generator, lambda made: made.__anext__().send(None)),
    ],
    ids=["function", "coroutine", "generator", "async generator", "abandoned async generator"],
)
def test_an_error_is_not_kept_alive(wrap, function, run):
    """An error and the frame that saw it must not hold each other until the collector comes."""

    def observer(_call):
        yield

    if wrap:
        function = around(function, observer)
    gc.disable()
    try:
        big = Big()
        gone = weakref.ref(big)
        try:
            run(function(big))
        except (Refusal, StopIteration):
            pass
        del big
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.tolerant
@pytest.mark.parametrize("broken", ["before", "after"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_broken_observer_is_invisible(calls, kind, broken, fails, capsys):
    watch = Watch(broken, change=lambda call: call.set(1, "a", 100) if broken == "before" else None)
    function, call = wrapped(calls, kind, watch)
    error = Refusal("no")
    if fails:
        with pytest.raises(Refusal) as raised:
            call(function, calls, error)
        assert raised.value is error
        assert error.__context__ is None
        assert calls == [(error, 2)]
    else:
        call(function, calls, 1)
        assert calls == [(1, 2)]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"autotrace: a span is lost, the program is unaffected: RuntimeError('broken {broken}') at "
    )
    assert __file__ in line


@pytest.mark.parametrize("broken", ["before", "after"])
def test_a_broken_observer_fails_the_tests(calls, kind, broken):
    function, call = wrapped(calls, kind, Watch(broken))
    with pytest.raises(RuntimeError, match=f"broken {broken}"):
        call(function, calls, 1)


@pytest.mark.tolerant
def test_an_observer_that_is_no_generator_is_invisible(calls, kind, capsys):
    function, call = wrapped(calls, kind, lambda _call: None)
    call(function, calls, 1)
    assert calls == [(1, 2)]
    assert "a span is lost" in capsys.readouterr().err


def test_what_belongs_to_the_application_passes_the_guard(calls, kind):
    """A signal handler that raises KeyboardInterrupt may run in the middle of our code."""

    def interrupted(_call):
        raise KeyboardInterrupt
        yield

    function, call = wrapped(calls, kind, interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(function, calls, 1)
    assert calls == []


# Coroutines.


def test_a_cancelled_coroutine_is_cancelled():
    watch = Watch()
    steps = []

    async def original():
        try:
            await asyncio.sleep(60)
        finally:
            steps.append("cleaned up")

    async def main():
        task = asyncio.ensure_future(around(original, watch)())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert steps == ["cleaned up"]
    ((result, error),) = watch.outcomes
    assert result is None
    assert isinstance(error, asyncio.CancelledError)


def test_an_observer_begins_with_the_coroutine_not_with_its_making():
    watch = Watch()

    async def original():
        return 1

    coroutine = around(original, watch)()
    assert watch.seen == []
    coroutine.close()
    assert watch.seen == []


# Generators.


def test_closing_a_generator_is_no_error():
    watch = Watch()
    steps = []

    def original():
        try:
            yield 1
            yield 2
        finally:
            steps.append("cleaned up")

    generator = around(original, watch)()
    assert next(generator) == 1
    generator.close()
    assert steps == ["cleaned up"]
    assert watch.outcomes == [(None, None)]


def test_throwing_into_a_generator():
    watch = Watch()

    def original():
        try:
            yield 1
        except Refusal as error:
            yield f"caught {error}"

    generator = around(original, watch)()
    next(generator)
    assert generator.throw(Refusal("it")) == "caught it"
    assert list(generator) == []
    assert watch.outcomes == [(None, None)]


# Async generators: whatever is done with one, wrapped or not, comes out the same.


async def plain():
    got = yield 1
    got = yield ("got", got)
    yield ("got", got)


async def catching():
    for step in range(3):
        try:
            yield step
        except Refusal as error:
            yield ("caught", str(error))


async def stubborn():
    """Does not let itself be closed."""
    while True:
        try:
            yield 1
        except GeneratorExit:
            yield "no"
            return


async def giving_in():
    """Takes being closed as a reason to return."""
    try:
        yield 1
    except GeneratorExit:
        return


async def failing():
    yield 1
    raise Refusal("failed")


async def failing_when_closed():
    try:
        yield 1
    finally:
        raise Refusal("while closing")


async def cleaning_up():
    try:
        yield 1
        yield 2
    finally:
        await asyncio.sleep(0)


async def empty():
    return
    yield


DONE_WITH = {
    "iterate": [("__anext__",)] * 5,
    "send": [("asend", None), ("asend", "x"), ("asend", "y"), ("asend", "z")],
    "send too early": [("asend", "x"), ("__anext__",)],
    "close early": [("aclose",), ("__anext__",)],
    "close": [("__anext__",), ("aclose",), ("__anext__",), ("aclose",)],
    "throw": [("__anext__",), ("athrow", Refusal("thrown")), ("__anext__",), ("__anext__",)],
    "throw early": [("athrow", Refusal("thrown")), ("__anext__",)],
    "throw at the end": [("__anext__",)] * 4 + [("athrow", Refusal("thrown"))],
    "throw cancellation": [("__anext__",), ("athrow", asyncio.CancelledError()), ("__anext__",)],
    "throw an exit": [("__anext__",), ("athrow", GeneratorExit()), ("__anext__",), ("__anext__",)],
    "throw an end": [("__anext__",), ("athrow", StopAsyncIteration()), ("__anext__",)],
    "throw another end": [("__anext__",), ("athrow", StopIteration()), ("__anext__",)],
}


@pytest.mark.parametrize("done", DONE_WITH.values(), ids=[name.replace(" ", "-") for name in DONE_WITH])
@pytest.mark.parametrize(
    "original",
    [plain, catching, stubborn, giving_in, failing, failing_when_closed, cleaning_up, empty],
    ids=lambda function: function.__name__,
)
def test_an_async_generator_answers_as_if_it_were_not_wrapped(original, done):
    async def answers(function):
        generator, told = function(), []
        for method, *arguments in done:
            try:
                told.append(await getattr(generator, method)(*arguments))
            except BaseException as error:
                told.append((type(error), str(error), type(error.__cause__)))
        return told

    watch = Watch()
    assert asyncio.run(answers(around(original, watch))) == asyncio.run(answers(original))
    assert len(watch.outcomes) <= 1


def test_breaking_out_of_an_async_generator_is_no_error():
    watch = Watch()

    async def main():
        generator = around(cleaning_up, watch)()
        async for _ in generator:
            break
        await generator.aclose()

    asyncio.run(main())
    assert watch.outcomes == [(None, None)]


@pytest.mark.parametrize("keep", [True, False], ids=["held", "dropped"])
def test_an_async_generator_that_is_left_open_is_closed_by_the_loop(keep):
    """The loop closes what it has seen begin: the wrapper, which closes the original; not both at once."""
    closed, complaints, watch = [], [], Watch()

    async def original():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0.01)
            closed.append(True)

    held = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        generator = around(original, watch)()
        await generator.__anext__()
        if keep:
            held.append(generator)
        else:
            del generator
            gc.collect()
            await asyncio.sleep(0.05)

    asyncio.run(main())
    assert closed == [True]
    assert complaints == []
    assert watch.outcomes == [(None, None)]


def test_beginning_an_async_generator_leaves_the_hooks_of_the_loop():
    async def main():
        hooks = sys.get_asyncgen_hooks()
        generator = around(plain, Watch())()
        await generator.__anext__()
        assert sys.get_asyncgen_hooks() == hooks
        await generator.aclose()

    asyncio.run(main())


def test_arguments_that_do_not_fit_fail_as_they_would(kind):
    watch = Watch()
    original = getattr(Calls, kind)
    with pytest.raises(TypeError) as plainly:
        KINDS[kind](original)
    with pytest.raises(TypeError) as observed:
        KINDS[kind](around(original, watch))
    assert str(observed.value) == str(plainly.value)
