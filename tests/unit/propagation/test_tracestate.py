from __future__ import annotations

import copy
import pickle

import pytest
from opentelemetry.trace import TraceState as ApiTraceState

from autotrace.propagation.tracestate import LONG_MEMBER, MAX_LENGTH, MAX_MEMBERS, TraceState, parse

LONGEST_KEY = "a" * 256
LONGEST_VALUE = "v" * 256
ALL_KEY_CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz_-*/@"
ALL_VALUE_CHARACTERS = "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) not in ",=")


@pytest.mark.parametrize(
    ("header", "members"),
    [
        ("foo=1", {"foo": "1"}),
        ("foo=1,bar=2", {"foo": "1", "bar": "2"}),
        ("foo=1 \t , \tbar=2, \t baz=3\t", {"foo": "1", "bar": "2", "baz": "3"}),
        (" foo=1", {"foo": "1"}),
        ("foo=1,", {"foo": "1"}),
        (",foo=1,,\t ,bar=2", {"foo": "1", "bar": "2"}),
        ("foo=  1", {"foo": "  1"}),
        ("foo=a b", {"foo": "a b"}),
        ("foo@=1", {"foo@": "1"}),
        ("foo@@bar=1,bar=2", {"foo@@bar": "1", "bar": "2"}),
        ("foo@bar@baz=1", {"foo@bar@baz": "1"}),
        ("0=1", {"0": "1"}),
        ("t" * 241 + "@" + "v" * 14 + "=1", {"t" * 241 + "@" + "v" * 14: "1"}),
        (f"{LONGEST_KEY}={LONGEST_VALUE}", {LONGEST_KEY: LONGEST_VALUE}),
        (f"{ALL_KEY_CHARACTERS}={ALL_VALUE_CHARACTERS}", {ALL_KEY_CHARACTERS: ALL_VALUE_CHARACTERS}),
        ("foo=1,bar=2,foo=3", {"foo": "1", "bar": "2"}),
        (",".join(f"k{i}=v" for i in range(MAX_MEMBERS)), {f"k{i}": "v" for i in range(MAX_MEMBERS)}),
    ],
)
def test_legal_headers(header, members):
    state = parse(header)
    assert isinstance(state, ApiTraceState)
    assert dict(state) == members
    assert list(state) == list(members)


@pytest.mark.parametrize(
    "header",
    [
        "foo",
        "foo=",
        "=1",
        "foo=1=2",
        "foo =1",
        "foo\t=1",
        "FOO=1",
        "fOo=1",
        "@foo=1",
        "_foo=1",
        "-foo=1",
        "*foo=1",
        "foo.bar=1",
        "foo=\t1",
        "foo=a\tb",
        "foo=\u00e9",
        "foo=\x7f",
        "foo=1\n",
        "f\u00f6\u00f6=1",
        "\u0661=1",
        "a" * 257 + "=1",
        "foo=" + "v" * 257,
        "foo=1;bar=2",
        "\udcff=1",
    ],
)
def test_a_bad_member_costs_the_whole_list(header):
    assert parse(header) is None
    assert parse(f"good=1,{header},fine=2") is None
    assert TraceState.from_header(["good=1", header]) == {}


@pytest.mark.parametrize("header", ["", " ", "\t", ",", " ,\t,"])
def test_an_empty_list_is_none(header):
    assert parse(header) is None
    assert TraceState.from_header([header]) == {}


def test_33_members_cost_the_whole_list_also_when_they_repeat():
    assert parse(",".join(f"k{i}=v" for i in range(MAX_MEMBERS + 1))) is None
    assert parse(",".join(["k=v"] * (MAX_MEMBERS + 1))) is None


def test_huge_input_is_refused_unread():
    assert parse("," * 10_000_000 + "a=b") is None


def test_changes_keep_level_2_keys_and_our_type():
    state = TraceState.from_header(["foo@=1,bar=2"])
    changed = state.add("a@@b", "3").update("bar", "4").delete("nothing")
    assert type(changed) is TraceState
    assert changed.to_header() == "bar=4,a@@b=3,foo@=1"
    assert changed.delete("foo@").to_header() == "bar=4,a@@b=3"
    assert changed.update("new", "5").to_header() == "new=5,bar=4,a@@b=3,foo@=1"
    assert state.to_header() == "foo@=1,bar=2"


def test_illegal_and_repeated_additions_change_nothing():
    state = TraceState([("a", "1"), ("A", "2"), ("b", ""), ("a", "3"), (1, "x"), ("c", None)])
    assert state.to_header() == "a=1"
    assert state.add("a", "2") is state
    assert state.add("@a", "2") is state
    assert state.update("b", "trailing ") is state
    assert state.update("b", 1) is state


def test_the_33rd_member_pushes_out_the_one_at_the_right():
    state = TraceState([(f"k{i}", "v") for i in range(40)])
    assert list(state) == [f"k{i}" for i in range(MAX_MEMBERS)]
    assert list(state.add("new", "v")) == ["new"] + [f"k{i}" for i in range(MAX_MEMBERS - 1)]
    assert list(state.update("k31", "w")) == ["k31"] + [f"k{i}" for i in range(MAX_MEMBERS - 1)]


def test_trimming_drops_long_members_first_then_from_the_right():
    long = {f"long{i}": "v" * 250 for i in range(16)}
    short = {f"short{i}": "v" * 100 for i in range(16)}
    header = TraceState([*long.items(), *short.items()]).to_header()
    kept = header.split(",")
    assert len(header) <= MAX_LENGTH
    assert len(header) + 1 + len("long15=") + 250 > MAX_LENGTH
    assert [member for member in kept if len(member) <= LONG_MEMBER] == [f"{k}={v}" for k, v in short.items()]
    assert [member.split("=")[0] for member in kept[:-16]] == [f"long{i}" for i in range(len(kept) - 16)]
    assert all(member in {f"{k}={v}" for k, v in {**long, **short}.items()} for member in kept)


def test_512_characters_always_pass():
    state = TraceState([(LONGEST_KEY[:255], LONGEST_VALUE)])
    assert len(state.to_header()) == 512


def test_it_is_a_plain_value():
    state = TraceState([("a@", "1")])
    assert state == TraceState([("a@", "1")])
    assert TraceState.get_default().to_header() == ""
    assert not TraceState()
    for twin in (copy.copy(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
        assert type(twin) is TraceState
        assert twin == state
