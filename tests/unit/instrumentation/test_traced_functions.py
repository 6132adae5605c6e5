"""Functions of the program's own: what a span holds, what is no failure, and that all can be taken back."""

from __future__ import annotations

import asyncio
import gc
import types
import weakref

import pytest
from instrumented import Traced
from opentelemetry.trace import StatusCode

from autotrace.instrumentation.functions import install
from autotrace.patching.patcher import Patcher
from autotrace.tracing.context import attach, current, detach, suppressing

CODE = """
import functools
from functools import partial

def add(a, b=2):
    return a + b

def twice(a):
    return add(add(a))

def fail(error):
    raise error

async def wait(error=None):
    if error:
        raise error

@functools.singledispatch
def show(value):
    return "object"

@show.register
def _(value: int):
    return "int"

@functools.lru_cache(maxsize=4)
def square(number):
    return number * number

bound = partial(add, 1)

class Refusing(type):
    def __setattr__(cls, name, value):
        raise TypeError("closed")

class Closed(metaclass=Refusing):
    def method(self):
        pass

class Rule:
    def __call__(self, value):
        return value

    @functools.lru_cache
    def cached(self, value):
        return value

    @classmethod
    def make(cls):
        return cls()

    class Inner:
        def method(self):
            return "inner"

rule = Rule()
"""


class Refusal(Exception):
    """An error of the application."""


@pytest.fixture
def shop():
    """The module, its functions traced as `entries` say; `originals` are its attributes before."""
    patchers = []

    def make(entries, **environ):
        module = types.ModuleType("shop")
        exec(CODE, vars(module))
        module.originals = dict(vars(module))
        traced = module.traced = Traced({"AUTOTRACE_TRACE_FUNCTIONS": entries, **environ})
        patcher = Patcher(traced.tracer, traced.settings, traced.propagator, lambda *_: False)
        patchers.append(patcher)
        module.patcher = patcher
        install(module, patcher)
        module.names = lambda: [span.name for span in traced.spans]
        return module

    yield make
    for patcher in patchers:
        patcher.undo()


def test_spans_nest(shop):
    module = shop("shop:*")
    assert module.twice(1) == 5
    one, other, outer = module.traced.spans
    assert [one.name, other.name, outer.name] == ["shop.add", "shop.add", "shop.twice"]
    assert one.parent_id == other.parent_id == outer.span_id
    assert dict(outer.attributes) == {"code.function.name": "shop.twice"}


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (ValueError("no"), True),
        (StopIteration(), False),
        (KeyboardInterrupt(), False),
        (asyncio.CancelledError(), False),
    ],
    ids=repr,
)
def test_what_is_a_failure(shop, error, failed):
    module = shop("shop:fail")
    with pytest.raises(type(error)):
        module.fail(error)
    span = module.traced.span
    assert (span.status_code is StatusCode.ERROR, len(span.events)) == (failed, int(failed))


def test_an_error_is_not_kept_alive(shop):
    module = shop("shop:fail,shop:wait")
    for call in (module.fail, lambda error: asyncio.run(module.wait(error))):
        error = Refusal()
        seen = weakref.ref(error)
        with pytest.raises(Refusal):
            call(error)
        del error
        gc.collect()
        assert seen() is None


def test_what_a_decorator_has_added_is_still_there(shop):
    module = shop("shop:*,shop:Rule.*")
    assert (module.show(1), module.show("a"), module.show.dispatch(int)(2)) == ("int", "object", "int")
    assert [module.square(3), module.square(3)] == [9, 9]
    assert (module.square.cache_info().hits, module.square.cache_parameters()["maxsize"]) == (1, 4)
    module.square.cache_clear()
    assert module.square.cache_info().currsize == 0
    assert module.rule.cached(5) == 5
    assert module.Rule.cached.cache_info().misses == 1
    assert isinstance(module.Rule.make(), module.Rule)
    assert module.names() == [
        *["shop.show"] * 2,
        *["shop.square"] * 2,
        "shop.Rule.cached",
        "shop.Rule.make",
    ]


def test_methods_of_inner_classes_and_those_that_python_calls(shop):
    module = shop("shop:Rule.Inner.*,shop:Rule.__call__")
    assert (module.Rule.Inner().method(), module.rule(7)) == ("inner", 7)
    assert module.names() == ["shop.Rule.Inner.method", "shop.Rule.__call__"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("shop:bound", "it is no function"),
        ("shop:partial", "it is no function: name its methods, as in partial.*"),
        ("shop:rule", "it is no function"),
        ("shop:rule.method", "there is no method"),
        ("shop:Closed.method", "closed"),
        ("shop:Rule.Iner.*", "there is no Iner: did you mean Inner?"),
    ],
)
def test_what_cannot_be_traced_is_said_and_left_as_it_was(shop, capsys, entry, reason):
    module = shop(f"{entry},shop:add")
    assert capsys.readouterr().err == (
        f"autotrace: AUTOTRACE_TRACE_FUNCTIONS: {entry} is not traced: {reason}\n"
    )
    assert (module.add(1), module.bound(1)) == (3, 2)
    assert module.names() == ["shop.add"]


def test_nothing_where_tracing_is_suppressed(shop):
    module = shop("shop:*")
    token = attach(suppressing())
    assert module.twice(1) == 5
    detach(token)
    assert module.traced.spans == []


def test_an_unsampled_trace_has_no_spans(shop):
    module = shop("shop:*", OTEL_TRACES_SAMPLER="always_off")
    before = current()
    assert module.twice(1) == 5
    assert module.traced.spans == []
    assert current() is before


def test_taken_back(shop):
    module = shop("shop:*,shop:Rule.*")
    taken = module.add
    assert taken is not module.originals["add"]
    module.patcher.undo()
    assert all(vars(module)[name] is value for name, value in module.originals.items())
    assert isinstance(vars(module.Rule)["make"], classmethod)
    assert taken(1) == 3
    assert module.traced.spans == []
