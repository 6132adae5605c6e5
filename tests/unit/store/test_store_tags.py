"""Search by tags: where they may be, and which text a value has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spans import START, attribute_dicts
from stores import fill, record

from autotrace.store.reader import Reader
from autotrace.store.records import EventRecord, LinkRecord, ScopeRecord
from autotrace.store.search import Query
from autotrace.store.tags import text_of
from autotrace.tracing.resource import Resource

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (200, "200"),
        (-(2**63), "-9223372036854775808"),
        (0.5, "0.5"),
        (1.0, "1"),
        (-3.0, "-3"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-5, "0.00001"),
        (1e-7, "1e-07"),
        (float("nan"), "NaN"),
        (float("inf"), "+Inf"),
        (b"ab", "YWI="),
        (("a", 1, True), '["a",1,true]'),
        ({"a": b"ab"}, '{"a":"YWI="}'),
        (None, ""),
    ],
)
def test_text_of_values(value: Any, text: str) -> None:
    assert text_of(value) == text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "traces.db"
    base = record(trace_id=1, resource=Resource({"service.name": "shop", "host.name": "a"}))
    fill(
        path,
        base._replace(
            attributes={"route": "/a", "n": 200, "ok": True, "quote": 'say "hi"', "ü": "ß"},
            scope=ScopeRecord("lib", "1", {"team": "red"}),
            events=(EventRecord("e", START, {"exception.type": "ValueError"}),),
            links=(LinkRecord(1, 2, 0, "", {"why": "because"}),),
        ),
    )
    fill(path, base._replace(trace_id=2, attributes={"route": "/b", "n": "200", "nested": "route"}))
    fill(path, base._replace(trace_id=3, attributes={"text": '"route":"/a"'}))
    return path


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({"route": "/a"}, [1]),
        ({"route": "/"}, []),
        ({"rout": "/a"}, []),
        ({"n": "200"}, [2, 1]),
        ({"n": "20"}, []),
        ({"ok": "true"}, [1]),
        ({"quote": 'say "hi"'}, [1]),
        ({"ü": "ß"}, [1]),
        ({"team": "red"}, [1]),
        ({"exception.type": "ValueError"}, [1]),
        ({"why": "because"}, [1]),
        ({"host.name": "a"}, [3, 2, 1]),
        ({"host.name": "a", "route": "/b"}, [2]),
        ({"route": "/b", "why": "because"}, []),  # of two spans
        ({"exception.type": "ValueError", "why": "because", "team": "red", "service.name": "shop"}, [1]),
    ],
)
def test_where_a_tag_may_be(path: Path, tags: dict[str, str], found: list[int]) -> None:
    with Reader(str(path)) as reader:
        assert reader.matching(Query(tags=tuple(tags.items()))) == found
        assert reader.matching(Query(service="nobody", tags=tuple(tags.items()))) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(attributes=attribute_dicts, events=st.lists(attribute_dicts, max_size=2))
def test_every_tag_of_a_span_finds_it(
    tmp_path_factory: pytest.TempPathFactory, attributes: dict[str, Any], events: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("store") / "traces.db"
    span = record()._replace(
        attributes=attributes, events=tuple(EventRecord("e", START, each) for each in events)
    )
    fill(path, span)
    with Reader(str(path)) as reader:
        for owner in (attributes, *events):
            for key, value in owner.items():
                assert reader.matching(Query(tags=((key, text_of(value)),))) == [span.trace_id], (key, value)
                assert reader.matching(Query(tags=((key, text_of(value) + "x"),))) == []
