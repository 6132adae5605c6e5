"""Where the time of a trace goes: the critical path, and what each span did itself.

Spans of a trace come from several clocks, and some are missing. So no span is believed to have
worked outside its parent's time: what sticks out is cut, what lies wholly outside does not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from autotrace.store.tree import Node

Row = tuple[int, int, "Any", "Any", int, "int | None", int]
"""Of a span, as a query gives it: id, parent's id, service, operation, start, duration, status."""


class Interval(NamedTuple):
    """A stretch of time; nanoseconds since the epoch."""

    start: int
    end: int


def self_time(node: Node) -> int:
    """Nanoseconds of a span in which none of its children was at work."""
    span = node.span
    duration = max(0, span.duration or 0)
    if not duration or not node.children:
        return duration
    return duration - covered(
        Interval(span.start, span.end), ((child.span.start, child.span.end) for child in node.children)
    )


def own_times(rows: Iterable[Row]) -> Iterator[tuple[Row, int]]:
    """The spans of one trace, each once, with their self times; for many traces, where trees cost too much.

    Of two halves of a joined span (Zipkin) the later hangs under the earlier.
    """
    distinct = sorted(dict.fromkeys(rows), key=lambda row: row[4])  # a batch may have been sent twice
    children: dict[int, list[tuple[int, int]]] = {}
    halves: dict[int, list[tuple[int, int]]] = {}
    for span_id, parent_id, _, _, start, duration, _ in distinct:
        interval = (start, start + (duration or 0))
        children.setdefault(parent_id, []).append(interval)
        halves.setdefault(span_id, []).append(interval)
    for row in distinct:
        start, duration = row[4], max(0, row[5] or 0)
        if duration:
            twins = halves[row[0]]
            interval = Interval(start, start + duration)
            under = twins[1:] if len(twins) > 1 and twins[0] == interval else children.get(row[0], ())
            duration -= covered(interval, under)
        yield row, duration


def covered(within: Interval, intervals: Iterable[tuple[int, int]]) -> int:
    """Nanoseconds of `within` that are in at least one of the `intervals`, given by rising starts."""
    total, reached = 0, within.start
    for start, end in intervals:
        part = Interval(max(start, reached), min(end, within.end))
        if part.start < part.end:  # a clock that was set back makes a span end before it starts
            total += part.end - part.start
            reached = part.end
    return total


def critical_path(roots: Sequence[Node]) -> dict[Node, list[Interval]]:
    """For the spans on the critical path: when the trace would have ended earlier had they been faster.

    Walks back from the end: the span that is at work is the one whose child ended last; before that
    child's start it is the child that had ended last by then, and so on. A child that goes on after its
    parent held nobody up from then on.
    """
    path: dict[Node, list[Interval]] = {}
    waiting: list[tuple[Node | None, Interval, Sequence[Node]]] = [(None, _whole(roots), _eldest(roots))]
    while waiting:
        node, interval, children = waiting.pop()
        working = []
        bound = interval.end
        for cut, child in sorted(
            ((_cut(child, interval), child) for child in children), key=lambda pair: pair[0][1], reverse=True
        ):
            if cut.start < cut.end <= bound:
                working.append(Interval(cut.end, bound))
                bound = cut.start
                waiting.append((child, cut, child.children))
        working.append(Interval(interval.start, bound))
        if node is not None and (own := [part for part in reversed(working) if part.start < part.end]):
            path[node] = own
    return path


def _eldest(roots: Sequence[Node]) -> Sequence[Node]:
    """The true roots if one is here; the others hang from a parent that was lost."""
    return [root for root in roots if not root.span.parent_id] or roots


def _whole(roots: Sequence[Node]) -> Interval:
    spans = [root.span for root in _eldest(roots) if root.span.start]
    return Interval(
        min((span.start for span in spans), default=0), max((span.end for span in spans), default=0)
    )


def _cut(node: Node, within: Interval) -> Interval:
    return Interval(max(node.span.start, within.start), min(node.span.end, within.end))
