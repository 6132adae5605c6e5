"""Attributes survive as JSON text, whatever they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotrace.store.codec import decode_attributes, encode_attributes, storable

any_text = st.text(st.characters(), max_size=8)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=8), any_text)
keys = st.one_of(any_text, st.sampled_from(["$bytes", "$float", "$map", "$"]))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=8,
)


def normal(value: Any) -> Any:
    """As it comes back: lists are tuples, surrogate pairs are characters."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if isinstance(value, (list, tuple)):
        return tuple(normal(member) for member in value)
    if isinstance(value, dict):
        return {normal(key): normal(member) for key, member in value.items()}
    return value


@given(st.dictionaries(keys, values, max_size=5))
def test_everything_comes_back(attributes: dict[str, Any]) -> None:
    """Compared as text: NaN differs from itself, and True would equal 1."""
    text = encode_attributes(attributes)
    assert repr(decode_attributes(text)) == repr(normal(attributes))


@given(st.dictionaries(keys, values, min_size=1, max_size=5))
def test_the_text_is_strict_json_in_ascii(attributes: dict[str, Any]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = encode_attributes(attributes)
    assert text is not None
    assert text.isascii()
    json.loads(text, parse_constant=refuse)


def test_no_attributes_take_no_space() -> None:
    assert encode_attributes({}) is None
    assert decode_attributes(None) == {}


@pytest.mark.parametrize(
    "value",
    [10**400, 10**5000, object(), {1: 2}, bytearray(b"x"), {"a": object()}],
    ids=["large", "huge", "object", "integer key", "bytearray", "nested object"],
)
def test_what_nobody_foresaw_does_not_raise(value: Any) -> None:
    assert "k" in decode_attributes(encode_attributes({"k": value}))


def test_endless_nesting_ends() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert "k" in decode_attributes(encode_attributes({"k": endless}))


def test_a_name_with_a_lone_surrogate_can_be_stored() -> None:
    assert storable("caf\ud800é") == "caf\\ud800é"
    assert storable("käse") == "käse"
