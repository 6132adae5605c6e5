"""Spans find their place, whatever was lost, doubled or broken."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind
from spans import START
from stores import record

from autotrace.store.records import FLAG_SHARED, SpanRecord
from autotrace.store.tree import build, walk
from autotrace.tracing.resource import Resource


def span(number: int, parent: int, at: int = 0, **fields: Any) -> SpanRecord:
    return record(
        span_id=number,
        parent_id=parent,
        start_time=START + at,
        end_time=START + at + 10,
        name=f"n{number}",
        **fields,
    )


def outline(spans: list[SpanRecord]) -> list[str]:
    """A line per span: dots for its depth, its name, and the note in brackets."""
    lines = []
    for step in walk(build(spans)):
        note = f" [{step.node.note}]" if step.node.note else ""
        lines.append("." * len(step.last) + step.node.span.name + note)
    return lines


def test_children_stand_under_their_parent_in_the_order_of_their_starts() -> None:
    spans = [span(4, 2, at=9), span(3, 1, at=2), span(2, 1, at=1), span(5, 2, at=8), span(1, 0)]
    assert outline(spans) == ["n1", ".n2", "..n5", "..n4", ".n3"]


def test_a_lost_parent_makes_a_root_with_a_note() -> None:
    assert outline([span(1, 0), span(3, 0xA1, at=5)]) == [
        "n1",
        "n3 [its parent 00000000000000a1 is not here]",
    ]


def test_a_batch_sent_twice_counts_once() -> None:
    assert outline([span(1, 0), span(2, 1), span(2, 1), span(1, 0)]) == ["n1", ".n2"]


def test_circles_are_opened_at_their_earliest_span() -> None:
    spans = [span(1, 2, at=3), span(2, 3, at=1), span(3, 1, at=2), span(4, 4), span(5, 1, at=4)]
    assert outline(spans) == [
        "n4 [its parent 0000000000000004 is not here]",
        "n2 [its ancestors form a circle]",
        ".n1",
        "..n3",
        "..n5",
    ]


def test_both_halves_of_a_joined_span_have_their_place() -> None:
    """Zipkin: the server's half under the client's, and the server's own work under the server's half."""
    client, server = Resource({"service.name": "client"}), Resource({"service.name": "server"})
    spans = [
        span(2, 1, at=2, kind=SpanKind.SERVER, resource=server)._replace(
            flags=FLAG_SHARED, name="server half"
        ),
        span(2, 1, at=1, kind=SpanKind.CLIENT, resource=client)._replace(name="client half"),
        span(3, 2, at=3, resource=server),
        span(4, 2, at=4, resource=client),
        span(1, 0, resource=client),
    ]
    assert outline(spans) == ["n1", ".client half", "..server half", "...n3", "..n4"]


def test_a_very_deep_trace_needs_no_stack() -> None:
    depth = 3000
    steps = list(walk(build([span(number, number - 1) for number in range(1, depth + 1)])))
    assert len(steps[-1].last) == depth - 1


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8), st.integers(0, 5)), max_size=12))
def test_every_span_is_in_exactly_one_place(triples: list[tuple[int, int, int]]) -> None:
    spans = [span(*triple) for triple in triples]
    placed = [step.node.span for step in walk(build(spans))]
    assert len(placed) == len(set(triples))
    assert sorted((each.span_id, each.parent_id, each.start) for each in placed) == sorted(
        {(number, parent, START + at) for number, parent, at in triples}
    )
