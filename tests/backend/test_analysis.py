"""What is computed from spans, on traces made for it. Times in milliseconds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from viewer_server import CLIENT, MS, START, span

from autotrace.analysis import operations
from autotrace.analysis.latency import latency
from autotrace.analysis.operations import ranking, trace_of
from autotrace.analysis.quantiles import histogram, percentile
from autotrace.analysis.service_map import Place, ServiceMap, around, service_map, spans_of
from autotrace.analysis.timing import critical_path, own_times, self_time
from autotrace.backend.viewer.document import document
from autotrace.store.records import KIND_CONSUMER, KIND_PRODUCER, KIND_SERVER
from autotrace.store.tree import build, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autotrace.store.records import SpanRecord
    from autotrace.store.tree import Node

Spans = list[tuple[int, int, float, "float | None"]]
"""Id, parent, start, duration."""


def trace(spans: Spans) -> list[Node]:
    return build([span(1, number, parent, at, duration) for number, parent, at, duration in spans])


def path_of(spans: Spans) -> list[tuple[int, float, float]]:
    """The critical path by rising time: span, from, to."""
    found = critical_path(trace(spans))
    return sorted(
        (
            (node.span.span_id, (part.start - START) / MS, (part.end - START) / MS)
            for node, parts in found.items()
            for part in parts
        ),
        key=lambda part: part[1:],
    )


def self_times(spans: Spans) -> dict[int, float]:
    return {step.node.span.span_id: self_time(step.node) / MS for step in walk(trace(spans))}


@pytest.mark.parametrize(
    ("spans", "path"),
    [
        ([(1, 0, 0, 10)], [(1, 0, 10)]),
        # one after the other
        (
            [(1, 0, 0, 100), (2, 1, 10, 30), (3, 1, 50, 40)],
            [(1, 0, 10), (2, 10, 40), (1, 40, 50), (3, 50, 90), (1, 90, 100)],
        ),
        # side by side: the one that ended last held it up
        ([(1, 0, 0, 100), (2, 1, 10, 80), (3, 1, 20, 30)], [(1, 0, 10), (2, 10, 90), (1, 90, 100)]),
        # overlapping: before the later one began, nobody knows that the earlier one was waited for
        ([(1, 0, 0, 100), (2, 1, 10, 50), (3, 1, 40, 50)], [(1, 0, 40), (3, 40, 90), (1, 90, 100)]),
        # nested
        (
            [(1, 0, 0, 10), (2, 1, 1, 8), (3, 2, 2, 6)],
            [(1, 0, 1), (2, 1, 2), (3, 2, 8), (2, 8, 9), (1, 9, 10)],
        ),
        # goes on after its parent: cut
        ([(1, 0, 0, 10), (2, 1, 5, 50)], [(1, 0, 5), (2, 5, 10)]),
        # begins after its parent: held nobody up
        ([(1, 0, 0, 10), (2, 1, 20, 50)], [(1, 0, 10)]),
        # a clock that goes before: cut
        ([(1, 0, 0, 10), (2, 1, -5, 10)], [(2, 0, 5), (1, 5, 10)]),
        # wholly elsewhere by its clock
        ([(1, 0, 0, 10), (2, 1, -500, 5)], [(1, 0, 10)]),
        # no duration
        ([(1, 0, 0, 10), (2, 1, 5, None), (3, 1, 6, 0)], [(1, 0, 10)]),
        # lost parents: the true root counts; without one, all together
        ([(1, 0, 0, 10), (2, 99, 5, 100)], [(1, 0, 10)]),
        ([(1, 98, 0, 10), (2, 99, 20, 10)], [(1, 0, 10), (2, 20, 30)]),
        # children without a gap
        ([(1, 0, 0, 10), (2, 1, 0, 5), (3, 1, 5, 5)], [(2, 0, 5), (3, 5, 10)]),
    ],
)
def test_critical_path(spans: Spans, path: list[tuple[int, float, float]]) -> None:
    assert path_of(spans) == path


spans_of_a_trace = st.lists(
    st.tuples(st.integers(0, 12), st.integers(-50, 50), st.one_of(st.none(), st.integers(-5, 60))),
    min_size=1,
    max_size=12,
).map(lambda drawn: [(number, *each) for number, each in enumerate(drawn, 1)])


@given(spans_of_a_trace)
def test_critical_path_never_overlaps_and_stays_within_its_spans(spans: Any) -> None:
    """Whatever clocks and lost parents do; circles among them."""
    roots = trace(spans)
    path = critical_path(roots)
    parts = sorted(part for parts in path.values() for part in parts)
    assert all(before.end <= after.start for before, after in zip(parts, parts[1:]))
    for node, own in path.items():
        assert all(node.span.start <= part.start < part.end <= node.span.end for part in own)
    for step in walk(roots):
        assert 0 <= self_time(step.node) <= max(0, step.node.span.duration or 0)
    true_roots = [root for root in roots if not root.span.parent_id]
    if len(true_roots) == 1:  # then it is as long as the root
        assert sum(part.end - part.start for part in parts) == max(0, true_roots[0].span.duration or 0)


@pytest.mark.parametrize(
    ("spans", "own"),
    [
        ([(1, 0, 0, 10), (2, 1, 2, 3), (3, 1, 7, 1)], {1: 6, 2: 3, 3: 1}),
        ([(1, 0, 0, 10), (2, 1, 2, 4), (3, 1, 4, 4)], {1: 4, 2: 4, 3: 4}),  # side by side: time counts once
        ([(1, 0, 0, 10), (2, 1, 5, 50), (3, 1, -5, 7)], {1: 3, 2: 50, 3: 7}),  # what sticks out is cut
        ([(1, 0, 0, None), (2, 1, 0, 5)], {1: 0, 2: 5}),
        ([(1, 0, 0, 10), (2, 1, 0, 10), (3, 2, 0, 10)], {1: 0, 2: 0, 3: 10}),
        ([(1, 0, -2, 3), (2, 1, 0, -1)], {1: 3, 2: 0}),  # a clock that was set back
    ],
)
def test_self_time(spans: Spans, own: dict[int, float]) -> None:
    assert self_times(spans) == own


@given(spans_of_a_trace)
def test_self_time_is_the_same_without_a_tree(drawn: Any) -> None:
    spans = [(number, parent % number, at, duration) for number, parent, at, duration in drawn]
    records = [span(1, number, parent, at, duration) for number, parent, at, duration in spans]
    rows = trace_of([*records, records[-1]]).rows  # one of them was sent twice
    assert {row[0]: own / MS for row, own in own_times(rows)} == self_times(spans)


def test_two_halves_of_a_span_share_its_time() -> None:
    rows = [(7, 0, "web", "GET", 0, 10, 0), (7, 0, "api", "GET", 2, 6, 0), (8, 7, "api", "SELECT", 3, 1, 0)]
    assert {row[2:4]: own for row, own in own_times(rows)} == {
        ("web", "GET"): 4,
        ("api", "GET"): 5,
        ("api", "SELECT"): 1,
    }


def test_operations_are_ranked_until_there_are_enough_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no duration is a call all the same, and clocks that were set back count for nothing."""
    monkeypatch.setattr(operations, "MAX_SPANS", 3)
    traces = [
        trace_of([span(1, 1, 0, 0, 5), span(1, 2, 9, 0, None), span(1, 3, 9, 0, -4, name="GET /b")]),
        trace_of([span(2, 1, 0, 0, 500)]),
    ]
    found = ranking(iter(traces), "shop", "")
    assert (found.traces, found.spans, found.complete) == (1, 3, False)
    assert found.work == [
        ("shop", "GET /a", 5 * MS, 2, 0, 5 * MS, 5 * MS, 5 * MS, 1),
        ("shop", "GET /b", 0, 1, 0, 0, 0, 0, 1),
    ]
    assert ranking(traces[:1], "shop", "GET /b").work == found.work[1:]
    assert ranking(traces[:1], "other", "").work == []


@pytest.mark.parametrize("parent", [lambda number: number - 1, lambda number: min(1, number - 1)])
def test_large_traces(parent: Any) -> None:
    """As deep as they are long, or as wide: nothing here recurses."""
    spans = [span(1, number, parent(number), number / 1000, 100 - number / 1000) for number in range(1, 5001)]
    shown = json.loads(document(spans, ()))
    assert len(shown["spans"]) == 5000
    assert shown["spans"][0]["children"] == (1 if parent(3) == 2 else 4999)
    assert max(one["depth"] for one in shown["spans"]) == (4999 if parent(3) == 2 else 1)


def test_what_numbers_cannot_say_in_a_browser() -> None:
    values = {
        "big": 2**53,
        "safe": 2**53 - 1,
        "nan": float("nan"),
        "bytes": b"ab",
        "list": (1, "a"),
        "map": {"a": 1},
    }
    (shown,) = json.loads(document([span(1, 1, 0, 0, 1, attributes=values)], ()))["spans"]
    assert dict(shown["attributes"]) == {
        "big": "9007199254740992",
        "safe": 2**53 - 1,
        "nan": "nan",
        "bytes": "YWI=",
        "list": [1, "a"],
        "map": '{"a":1}',
    }


def test_a_clock_that_differs_is_noted() -> None:
    spans = [span(1, 1, 0, 0, 10), span(1, 2, 1, -12, 10, "other")]
    assert [one["note"] for one in json.loads(document(spans, ()))["spans"]] == [
        "",
        "it starts 12.0 ms before its parent: their clocks differ",
    ]


def test_percentile() -> None:
    assert percentile([], 0.5) == 0
    assert [percentile(list(range(1, 101)), share) for share in (0, 0.5, 0.95, 0.99, 1)] == [
        1,
        50,
        95,
        99,
        100,
    ]
    assert percentile([7], 0.99) == 7


def test_histogram() -> None:
    assert histogram([]) == []
    found = histogram([(0, False), (999, True), (1000, False), (9_999, True), (10_000, False)])
    assert found == [
        (0, 1000, 2, 1),
        (1000, 2000, 1, 0),
        (2000, 5000, 0, 0),
        (5000, 10_000, 1, 1),
        (10_000, 20_000, 1, 0),
    ]


@given(st.lists(st.integers(0, 10**15)))
def test_histogram_counts_each_once_in_its_bucket(durations: list[int]) -> None:
    buckets = histogram((duration, False) for duration in durations)
    for bucket in buckets:
        assert bucket.spans == sum(bucket.start <= duration < bucket.end for duration in durations)
    assert sum(bucket.spans for bucket in buckets) == len(durations)


def test_latency_over_time() -> None:
    found = latency([(0, 5, False), (59, 7, True), (60, 9, False), (3600, 1, False)], 0, 3600)
    assert (found.figures.spans, found.figures.errors, found.figures.max) == (4, 1, 9)
    assert [(step.time, step.figures.spans) for step in found.series] == [(0, 2), (60, 1), (3600, 1)]


def drawn_from(spans: Sequence[SpanRecord]) -> ServiceMap:
    return service_map(spans_of(spans, complete=True).spans)


def edges(*spans: SpanRecord) -> list[tuple[str, str, int, int]]:
    drawn = drawn_from(spans)
    return [(each.caller.name, each.called.name, each.calls, each.errors) for each in drawn.traffic]


def test_service_map() -> None:
    spans = [
        span(1, 1, 0, 0, 10, "shop"),
        span(1, 2, 1, 1, 8, "shop", kind=CLIENT, attributes={"server.address": "pay"}),
        span(1, 3, 2, 2, 6, "pay", error=True),
        span(1, 4, 3, 3, 2, "pay", kind=CLIENT, attributes={"db.system.name": "mysql", "db.namespace": "p"}),
        span(2, 1, 0, 0, 10, "shop"),
        span(2, 2, 1, 1, 8, "shop", kind=CLIENT, attributes={"server.address": "bank.example"}),
        span(2, 3, 1, 1, 8, "shop", kind=KIND_PRODUCER, attributes={"messaging.system": "kafka"}),
        span(2, 4, 99, 1, 8, "lost"),
    ]
    assert edges(*spans) == [
        ("pay", "mysql p", 1, 0),
        ("shop", "bank.example", 1, 0),
        ("shop", "kafka", 1, 0),
        ("shop", "pay", 1, 1),
    ]
    drawn = drawn_from(spans)
    assert [share.place for share in drawn.shares] == [
        Place("bank.example", "external"),
        Place("kafka", "messaging"),
        Place("lost", "service"),
        Place("mysql p", "database"),
        Place("pay", "service"),
        Place("shop", "service"),
    ]
    assert {share.place.name: (share.spans, share.traces) for share in drawn.shares}["shop"] == (5, 2)
    assert [each.called.name for each in around(drawn, "pay").traffic] == ["mysql p", "pay"]
    assert [share.place.name for share in around(drawn, "pay").shares] == ["mysql p", "pay", "shop"]


def test_a_message_leads_to_its_consumer() -> None:
    assert edges(
        span(1, 1, 0, 0, 1, "shop", kind=KIND_PRODUCER, attributes={"messaging.system": "kafka"}),
        span(1, 2, 1, 5, 1, "mail", kind=KIND_CONSUMER),
    ) == [("shop", "mail", 1, 0)]


def test_two_halves_of_a_span_are_a_call() -> None:
    """Zipkin's joined spans: client and server have one id; what the server does hangs from its half."""
    assert edges(
        span(1, 7, 0, 0, 10, "web", kind=CLIENT),
        span(1, 7, 0, 2, 6, "api", kind=KIND_SERVER),
        span(1, 8, 7, 3, 1, "api", kind=CLIENT, attributes={"server.address": "db"}),
    ) == [("api", "db", 1, 0), ("web", "api", 1, 0)]
