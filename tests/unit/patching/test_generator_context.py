"""What an observer makes current is so for the steps of a generator, never for its consumer."""

from __future__ import annotations

import asyncio
import gc

import pytest
from opentelemetry.context import Context

from autotrace.patching.around import around
from autotrace.tracing.context import attach, current, detach


@pytest.fixture(autouse=True)
def outside():
    token = attach(Context({"where": "outside"}))
    yield
    assert where() == "outside"
    detach(token)


def where():
    return current().get("where")


def observe(_call):
    token = attach(Context({"where": "inside"}))
    yield
    detach(token)


def asynchronous(steps):
    async def generate(*arguments):
        generator = steps(*arguments)
        sent = None
        while True:
            try:
                sent = yield generator.send(sent)
            except StopIteration:
                return

    return generate


def look(count):
    for _ in range(count):
        yield where()


def test_each_step():
    seen = [(value, where()) for value in around(look, observe)(3)]
    assert seen == [("inside", "outside")] * 3


def test_each_step_of_an_async_generator():
    async def consume():
        return [(value, where()) async for value in around(asynchronous(look), observe)(3)]

    assert asyncio.run(consume()) == [("inside", "outside")] * 3


def test_what_the_generator_makes_current_lasts_until_its_next_step():
    def deeper():
        token = attach(Context({"where": "deeper"}))
        yield where()
        yield where()
        detach(token)
        yield where()

    seen = [(value, where()) for value in around(deeper, observe)()]
    assert seen == [("deeper", "outside"), ("deeper", "outside"), ("inside", "outside")]


def test_what_the_consumer_makes_current_stays():
    steps = around(look, observe)(2)
    assert next(steps) == "inside"
    token = attach(Context({"where": "elsewhere"}))
    assert [*steps] == ["inside"]
    assert where() == "elsewhere"
    detach(token)


def test_two_at_once():
    one, other = around(look, observe)(2), around(look, observe)(2)
    assert [*zip(one, other)] == [("inside", "inside")] * 2


@pytest.mark.parametrize("end", ["close", "drop", "throw"])
def test_left_early(end):
    seen = []

    def steps():
        try:
            yield where()
        finally:
            seen.append(where())

    generator = around(steps, observe)()
    next(generator)
    if end == "close":
        generator.close()
    elif end == "throw":
        with pytest.raises(KeyError):
            generator.throw(KeyError("no"))
    else:
        del generator
        gc.collect()
    assert seen == ["inside"]


def test_answers_and_the_value_returned_go_through():
    def converse():
        first = yield "a"
        try:
            second = yield first
        except KeyError as error:
            second = yield repr(error)
        return second

    steps = around(converse, observe)()
    assert [next(steps), steps.send("b"), steps.throw(KeyError("c"))] == ["a", "b", "KeyError('c')"]
    with pytest.raises(StopIteration) as end:
        steps.send("d")
    assert end.value.value == "d"


def test_a_generator_that_will_not_end():
    def stubborn():
        try:
            yield
        except GeneratorExit:
            yield

    steps = around(stubborn, observe)()
    next(steps)
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        steps.close()


def test_an_observer_that_declines_leaves_the_generator_as_it_is():
    def leak():
        attach(Context({"where": "leaked"}))
        yield

    def decline(_call):
        return
        yield

    for _ in around(leak, decline)():
        assert where() == "leaked"
    attach(Context({"where": "outside"}))
