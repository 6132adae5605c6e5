from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest
from headers import current_span, injected
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context import Context

from autotrace.propagation.baggage import MAX_LENGTH, Baggage, Value

FORMAT = Baggage()


def received(header):
    return dict(baggage.get_all(FORMAT.extract({"baggage": header})))


def written(entries):
    context = Context()
    for key, value in entries.items():
        context = baggage.set_baggage(key, value, context)
    return injected(FORMAT, context).get("baggage")


@pytest.mark.parametrize(
    ("header", "entries"),
    [
        ("a=1", {"a": "1"}),
        ("a=1,b=2", {"a": "1", "b": "2"}),
        (["a=1", "b=2"], {"a": "1", "b": "2"}),
        (" a = 1 , \tb\t=\t2 ", {"a": "1", "b": "2"}),
        ("a=", {"a": ""}),
        ("a=1=2==", {"a": "1=2=="}),
        ("a=1+2", {"a": "1+2"}),
        ("a=1%2B2%20%2C%3B%3D%25", {"a": "1+2 ,;=%"}),
        ("a=%C3%A9%E2%82%AC%F0%9F%98%80", {"a": "\u00e9\u20ac\U0001f600"}),
        ("a=%FF%41", {"a": "\ufffdA"}),
        ("a=%C3", {"a": "\ufffd"}),
        ("a=100%,b=%zz%4", {"a": "100%", "b": "%zz%4"}),
        ("a%20b=1", {"a%20b": "1"}),
        ("!#$%&'*+-.^_`|~09azAZ=1", {"!#$%&'*+-.^_`|~09azAZ": "1"}),
        ("a=!#$%25&'()*+-./:<=>?@[]^_`{|}~", {"a": "!#$%&'()*+-./:<=>?@[]^_`{|}~"}),
        ("a=1,a=2", {"a": "2"}),
        ("a=1,,\t,b=2,", {"a": "1", "b": "2"}),
        ('broken,=1,a b=1,a@=1,a=x y,b="q",c=1\\2,d=\u00e9,\u00e9=1,e=\x00,good=1', {"good": "1"}),
        ("a=1;p=\x00,b=1;p=\u00e9,good=1", {"good": "1"}),
        ("\udcff=1,a=\udcff,good=1", {"good": "1"}),
        ("", {}),
        (",", {}),
        ("=", {}),
        (";", {}),
    ],
)
def test_extract(header, entries):
    assert received(header) == entries


@pytest.mark.parametrize(
    ("entries", "header"),
    [
        ({"a": "1", "b": "2"}, "a=1,b=2"),
        ({"a": '\u00e9 ,;\\"%=+\n'}, "a=%C3%A9%20%2C%3B%5C%22%25=%2B%0A"),
        ({"a": 1, "b": True, "c": None, "d": 1.5}, "a=1,b=True,c=None,d=1.5"),
        ({"a": "\ud800"}, "a=%3F"),
        ({"a b": "1", "": "2", "\u00e9": "3", "a\r\nx": "4", "good": "5"}, "good=5"),
        ({"bad key": "1"}, None),
        ({}, None),
        ({"a": Value("1", "p;q=2")}, "a=1;p;q=2"),
        ({"a": Value("1", "p\r\nx: y")}, "a=1"),
        ({"a": Value("1", "p,b=2")}, "a=1"),
    ],
)
def test_inject(entries, header):
    assert written(entries) == header


def test_a_value_that_cannot_be_told_is_left_out():
    class Broken:
        def __str__(self):
            raise ZeroDivisionError

    class Loud(str):
        __slots__ = ()

        def __str__(self):
            raise ZeroDivisionError

    assert written({"a": Broken(), "b": Loud("fine"), "c": "3"}) == "b=fine,c=3"


def test_properties_are_kept_and_sent_on():
    context = FORMAT.extract({"baggage": 'a=1;p="x y"; q ;r=1,b=2;,c=3'})
    value = baggage.get_baggage("a", context)
    assert value == "1"
    assert value.metadata == 'p="x y"; q ;r=1'
    assert type(baggage.get_baggage("b", context)) is str
    assert injected(FORMAT, context) == {"baggage": 'a=1;p="x y"; q ;r=1,b=2,c=3'}


def test_a_value_with_properties_is_copied_and_pickled():
    value = Value("1", "p")
    for twin in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert (twin, twin.metadata, type(twin)) == ("1", "p", Value)


def test_baggage_is_added_to_what_the_context_has():
    before = baggage.set_baggage("kept", "0", baggage.set_baggage("a", "0", current_span(k="v")))
    after = FORMAT.extract({"baggage": "a=1"}, before)
    assert dict(baggage.get_all(after)) == {"kept": "0", "a": "1"}
    assert after["k"] == "v"
    assert baggage.get_baggage("a", before) == "0"


@pytest.mark.parametrize("header", [None, "", "broken", [], 7, b"a=1"])
def test_nothing_found_leaves_the_context_alone(header):
    before = current_span()
    assert FORMAT.extract({"baggage": header}, before) is before


def test_64_members_and_8192_characters_pass():
    many = ",".join(f"k{i}=v" for i in range(64))
    assert written(received(many)) == many
    big = "a=" + "x" * 4000 + ",b=" + "y" * (MAX_LENGTH - 4005)
    assert len(big) == MAX_LENGTH
    assert written(received(big)) == big


def test_beyond_the_limits_whole_members_are_dropped():
    over = "a=1,b=" + "x" * MAX_LENGTH + ",c=3"
    assert received(over) == {"a": "1"}
    assert received("b=" + "x" * MAX_LENGTH) == {}
    assert written({"a": "1", "b": "x" * MAX_LENGTH, "c": "3"}) == "a=1,c=3"
    assert written({"a": "1", "b": "\u20ac" * (MAX_LENGTH // 9 + 1), "c": "3"}) == "a=1,c=3"
    header = written({f"k{i}": "v" for i in range(1000)})
    assert header == ",".join(f"k{i}=v" for i in range(180))


@given(
    st.dictionaries(st.from_regex(r"\A[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,20}\Z"), st.text(max_size=30), max_size=20)
)
def test_any_text_survives_the_journey(entries):
    expected = {key: value.encode("utf-8", "replace").decode() for key, value in entries.items()}
    header = written(entries)
    assert received(header) == expected if entries else header is None


def test_the_baggage_module_is_not_imported_before_there_is_baggage():
    program = """
import sys
from autotrace.propagation.registry import build
from autotrace.tracing.context import Context
propagator = build(["tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", "ottrace"])
propagator.inject({}, propagator.extract({"traceparent": "00-%032x-%016x-01" % (1, 2)}))
assert "opentelemetry.baggage" not in sys.modules
context = propagator.extract({"baggage": "a=1"})
from opentelemetry import baggage
assert baggage.get_baggage("a", context) == "1"
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)
