"""Threads, pools and asyncio: what they do belongs to the trace that started them, and to no other."""

from __future__ import annotations

import asyncio
import contextvars
import math
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from instrumented import instrumented

from autotrace.instrumentation.carried import at_the_end
from autotrace.tracing.context import SPAN_KEY, Context, attach, current


@pytest.fixture
def traced():
    with instrumented("threading", "concurrent.futures") as traced:
        yield traced


def here():
    """The id of the current span, 0 outside of one."""
    return getattr(current().get(SPAN_KEY), "span_id", 0)


def in_thread(make):
    seen = []
    thread = make(seen)
    thread.start()
    thread.join()
    return seen


def test_thread_with_a_target(traced):
    with traced.tracer.start_as_current_span("caller") as span:
        assert in_thread(lambda seen: threading.Thread(target=lambda: seen.append(here()))) == [span.span_id]
    assert in_thread(lambda seen: threading.Thread(target=lambda: seen.append(here()))) == [0]


def test_subclass_with_its_own_run(traced):
    class Worker(threading.Thread):
        def __init__(self, seen):
            super().__init__()
            self.seen = seen

        def run(self):
            self.seen.append(here())

    with traced.tracer.start_as_current_span("caller") as span:
        assert in_thread(Worker) == [span.span_id]


def test_timer(traced):
    with traced.tracer.start_as_current_span("caller") as span:
        seen = in_thread(lambda seen: threading.Timer(0, lambda: seen.append(here())))
    assert seen == [span.span_id]


def test_other_context_variables_are_not_carried(traced):
    variable = contextvars.ContextVar("mine", default="untouched")
    variable.set("set here")
    with traced.tracer.start_as_current_span("caller"):
        seen = in_thread(lambda seen: threading.Thread(target=lambda: seen.append(variable.get())))
    assert seen == ["untouched"]


def test_pool_carries_a_context_per_task_and_leaks_none(traced):
    with ThreadPoolExecutor(1) as pool:
        with traced.tracer.start_as_current_span("first") as first:
            assert pool.submit(here).result() == first.span_id
        assert pool.submit(here).result() == 0
        with traced.tracer.start_as_current_span("second") as second:
            assert list(pool.map(lambda _: here(), range(3))) == [second.span_id] * 3


def test_a_task_without_a_context_has_none_of_its_thread(traced):
    left = Context({SPAN_KEY: traced.tracer.start_span("left in the thread")})
    with ThreadPoolExecutor(1, initializer=lambda: attach(left)) as pool:
        assert pool.submit(here).result() == 0


def test_what_is_to_be_done_at_the_end_of_a_task(traced):
    done = []

    def ending():
        done.append(here())

    def task():
        at_the_end(ending)
        at_the_end(ending)  # once is enough
        done.append("task")

    at_the_end(ending)  # this thread is no pool's
    with ThreadPoolExecutor(1) as pool, traced.tracer.start_as_current_span("caller") as span:
        pool.submit(task).result()
        pool.submit(int).result()
    assert done == ["task", span.span_id]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="of Python 3.14")
def test_tasks_for_other_interpreters_are_as_they_were(traced):
    from concurrent.futures import InterpreterPoolExecutor

    with traced.tracer.start_as_current_span("caller"), InterpreterPoolExecutor(1) as pool:
        assert list(pool.map(math.sqrt, (4.0, 9.0))) == [2.0, 3.0]


def test_task_of_a_pool_keeps_its_error(traced):
    with ThreadPoolExecutor(1) as pool, traced.tracer.start_as_current_span("caller"):
        task = pool.submit(lambda: 1 / 0)
    assert isinstance(task.exception(), ZeroDivisionError)


def test_asyncio_tasks_threads_and_executors(traced):
    async def main():
        async def child():
            await asyncio.sleep(0)
            return here()

        with traced.tracer.start_as_current_span("caller") as span:
            loop = asyncio.get_running_loop()
            seen = [
                await asyncio.create_task(child()),
                await asyncio.to_thread(here),
                await loop.run_in_executor(None, here),
                *await asyncio.gather(child(), child()),
            ]
            assert seen == [span.span_id] * 5
        assert await loop.run_in_executor(None, here) == 0
        assert await asyncio.create_task(child()) == 0

    asyncio.run(main())


def test_tasks_do_not_see_each_other(traced):
    async def request(name):
        with traced.tracer.start_as_current_span(name) as span:
            for _ in range(5):
                await asyncio.sleep(0)
                assert here() == span.span_id

    async def main():
        await asyncio.gather(*(request(str(number)) for number in range(10)))

    asyncio.run(main())
    assert len(traced.spans) == 10
    assert {span.parent_id for span in traced.spans} == {0}


def test_async_generator_closed_late_says_nothing(traced, capfd):
    async def numbers():
        with traced.tracer.start_as_current_span("generator"):
            yield 1
            yield 2

    async def main():
        generator = numbers()
        async for _number in generator:
            break
        await asyncio.create_task(generator.aclose())

    asyncio.run(main())
    assert capfd.readouterr().err == ""
    assert [span.name for span in traced.spans] == ["generator"]
    assert here() == 0
