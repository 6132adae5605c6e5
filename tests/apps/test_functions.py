"""`AUTOTRACE_TRACE_FUNCTIONS`: functions of an unmodified program, seen from outside."""

from __future__ import annotations

import pytest

PRICING = '''
import asyncio, functools, json
from json import dumps
from contextlib import contextmanager

def discount(price, *, share=0.5):
    """Docs."""
    return _rounded(price * share)

def _rounded(price):
    return round(price)

def refuse(price):
    raise ValueError(f"no {price}")

async def ask(price):
    await asyncio.sleep(0)
    return discount(price)

def steps(count):
    for number in range(count):
        discount(number)
        yield number
    return "done"

async def async_steps(count):
    for number in range(count):
        yield discount(number)

@functools.lru_cache(maxsize=None)
def rate(country):
    return len(country)

class Money:
    def __init__(self, cents):
        self.cents = cents
'''

CART = """
import functools

class Base:
    def inherited(self):
        return "inherited"

class Cart(Base):
    def __init__(self, *prices):
        self.prices = prices

    def total(self):
        return self.shipping() + sum(self.prices)

    def _secret(self):
        return 7

    @staticmethod
    def shipping():
        return 5

    @classmethod
    def of(cls, *prices):
        return cls(*prices)

    @property
    def size(self):
        return len(self.prices)

    @functools.cached_property
    def largest(self):
        return max(self.prices)
"""


@pytest.fixture
def run(sandbox, arrivals):
    """Run a program beside the modules above; check what it prints, return what we said."""
    sandbox.write("shop/__init__.py", "")
    sandbox.write("shop/pricing.py", PRICING)
    sandbox.write("shop/cart.py", CART)

    def start(program, functions, out, **variables):
        sandbox.write("app.py", program)
        plain = sandbox.run("app.py", traced=False)
        assert (plain.code, plain.out, plain.err) == (0, out, "")
        done = sandbox.run("app.py", AUTOTRACE_TRACE_FUNCTIONS=functions, **arrivals.environ, **variables)
        assert (done.code, done.out, done.err) == (0, out, "")
        return done.said

    return start


EVERY_KIND = """
import asyncio, inspect, pickle
from shop import pricing
from shop.pricing import discount, steps

print(discount(10), asyncio.run(pricing.ask(20)), [*steps(2)], pricing.rate("NO"), pricing.rate("NO"))

async def gather():
    return [step async for step in pricing.async_steps(2)]

print(asyncio.run(gather()))
try:
    pricing.refuse(7)
except ValueError as error:
    print(error)
print(inspect.signature(discount), discount.__doc__, discount.__qualname__, discount.__module__)
print(inspect.iscoroutinefunction(pricing.ask), inspect.isgeneratorfunction(steps))
print(inspect.isasyncgenfunction(pricing.async_steps), pricing.rate.cache_info().hits)
print(*(pickle.loads(pickle.dumps(function)) is function for function in (discount, pricing.rate)))
"""

SAID_BY_EVERY_KIND = """\
5 10 [0, 1] 2 2
[0, 0]
no 7
(price, *, share=0.5) Docs. discount shop.pricing
True True
True 1
True True
"""


def test_every_public_function_of_a_module(run, arrivals):
    assert run(EVERY_KIND, "shop.pricing:*", SAID_BY_EVERY_KIND) == []
    app = "app autotrace.functions INTERNAL shop.pricing"
    assert arrivals.tree == (
        f"{app}.discount\n"
        f"{app}.ask\n"
        f"  {app}.discount\n"
        f"{app}.steps\n"
        f"  {app}.discount\n"
        f"  {app}.discount\n"
        f"{app}.rate\n"
        f"{app}.rate\n"
        f"{app}.async_steps\n"
        f"  {app}.discount\n"
        f"  {app}.discount\n"
        f"{app}.refuse ERROR\n"
    )
    refused = arrivals.named("shop.pricing.refuse")
    assert refused.attributes == {"code.function.name": "shop.pricing.refuse", "error.type": "ValueError"}


METHODS = """
from shop.cart import Cart
cart = Cart.of(1, 2)
print(cart.total(), Cart.shipping(), cart.inherited(), cart.size, cart.largest, cart.largest, cart._secret())
print(type(vars(Cart)["size"]).__name__, type(vars(Cart)["of"]).__name__, "inherited" in dir(Cart))
"""

SAID_BY_METHODS = "8 5 inherited 2 2 2 7\nproperty classmethod True\n"


@pytest.mark.parametrize(
    ("functions", "names"),
    [
        ("shop.cart:Cart.*", ["Cart.of", "Cart.total", "Cart.shipping", "Cart.shipping"]),
        ("shop.cart:Cart.total", ["Cart.total"]),
        (
            ", ".join(
                f"shop.cart:Cart.{name}" for name in ("size", "largest", "_secret", "inherited", "__init__")
            ),
            ["Cart.__init__", "Cart.inherited", "Cart.size", "Cart.largest", "Cart._secret"],
        ),
    ],
    ids=["a whole class", "one", "by their names"],
)
def test_methods(run, arrivals, functions, names):
    assert run(METHODS, functions, SAID_BY_METHODS) == []
    assert [span.name for span in arrivals.spans] == [f"shop.cart.{name}" for name in names]


def test_what_does_not_exist_is_said_once_and_the_rest_is_in_force(run, arrivals):
    functions = (
        "shop.pricing:discuont,shop.pricing:Money,shop.cart:Crat.total,shop.cart:Cart.tota,shop.pricing:Money.*,"
        "shop.pricing.discount,__main__:work,shop.pricing:discount"
    )
    program = "import shop.cart, shop.pricing; print(shop.pricing.discount(10))"
    syntax, *others = run(program, functions, "5\n")
    setting = "AUTOTRACE_TRACE_FUNCTIONS: "
    assert syntax.startswith("AUTOTRACE_TRACE_FUNCTIONS='shop.pricing:discuont,")
    assert syntax.endswith(
        "is no list of module:function ('shop.pricing.discount', '__main__:work': the program's own file has "
        "no functions before it runs): that element is left out"
    )
    assert others == [
        f"{setting}shop.cart:Crat.total is not traced: there is no Crat: did you mean Cart?",
        f"{setting}shop.cart:Cart.tota is not traced: there is no tota: did you mean total?",
        f"{setting}shop.pricing:discuont is not traced: there is no discuont: did you mean discount?",
        f"{setting}shop.pricing:Money is not traced: it is no function: name its methods, as in Money.*",
        f"{setting}shop.pricing:Money.* is not traced: there is no public function",
    ]
    assert [span.name for span in arrivals.spans] == ["shop.pricing.discount"]


def test_a_mistake_is_said_also_where_nothing_else_would_be_traced(run):
    (line,) = run("print(1)", "shop.pricing.discount", "1\n")
    assert "AUTOTRACE_TRACE_FUNCTIONS='shop.pricing.discount' is no list of module:function" in line


def test_spans_of_libraries_are_inside(run, arrivals):
    program = """
import sqlite3
from shop.pricing import steps
from shop import pricing
connection = sqlite3.connect(":memory:")
pricing.discount = pricing.discount  # an application may do as it likes

def work():
    for number in steps(1):
        connection.execute("SELECT 42")

work()
connection.close()
print("done")
"""
    assert run(program, "shop.pricing:steps", "done\n") == []
    # The statement is the consumer's, not the generator's.
    assert arrivals.tree == (
        "app autotrace.functions INTERNAL shop.pricing.steps\napp autotrace.sqlite3 CLIENT SELECT\n"
    )


def test_switched_off(run, arrivals):
    program = "import shop.pricing; print(shop.pricing.discount(10))"
    assert run(program, "shop.pricing:*", "5\n", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="functions") == []
    assert arrivals.spans == []
