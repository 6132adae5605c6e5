"""Spans of one trace as a tree, whatever was lost, doubled or broken on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autotrace.store.records import FLAG_SHARED, KIND_CLIENT, KIND_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from autotrace.store.records import SpanRecord


class Node:
    """A span with the spans under it, in the order of their starts."""

    __slots__ = ("children", "note", "parent", "span")

    def __init__(self, span: SpanRecord) -> None:
        self.span = span
        self.parent: Node | None = None
        self.children: list[Node] = []
        self.note = ""
        """Why this is a root although it has a parent; empty otherwise."""


class Step(NamedTuple):
    """A node as a walk meets it."""

    node: Node
    last: tuple[bool, ...]
    """For each level below the root, down to this node: whether it is the last of its siblings."""


def build(spans: Iterable[SpanRecord]) -> list[Node]:
    """The roots, in the order of their starts; every distinct span is in exactly one place.

    Exact duplicates (a batch sent twice) count once. The server half of a joined span (Zipkin) hangs
    under its client half. A span without its parent is a root, with a note.
    """
    nodes: dict[int, list[Node]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        twins = nodes.setdefault(span.span_id, [])
        if not _has(twins, span):
            twins.append(Node(span))
    everyone = sorted((node for twins in nodes.values() for node in twins), key=lambda node: node.span.start)
    for node in everyone:
        node.parent = _parent(node, nodes)
        if node.parent is not None:
            node.parent.children.append(node)
        elif node.span.parent_id:
            node.note = f"its parent {node.span.parent_id:016x} is not here"
    _cut_circles(everyone)
    return [node for node in everyone if node.parent is None]


def walk(roots: Sequence[Node]) -> Iterator[Step]:
    """Every node, parents before children, however deep."""
    waiting = [Step(root, ()) for root in reversed(roots)]
    while waiting:
        step = waiting.pop()
        yield step
        children = step.node.children
        waiting.extend(
            Step(child, (*step.last, number == len(children) - 1))
            for number, child in reversed(list(enumerate(children)))
        )


def _has(twins: Sequence[Node], span: SpanRecord) -> bool:
    """Whether `span` is among `twins`, which are in the order of their starts, and none starts later."""
    for twin in reversed(twins):
        if twin.span.start < span.start:
            break
        if twin.span == span:
            return True
    return False


def _parent(node: Node, nodes: dict[int, list[Node]]) -> Node | None:
    span = node.span
    if _is_server_half(span):
        for twin in nodes[span.span_id]:
            if twin is not node and not _is_server_half(twin.span) and twin.span.kind == KIND_CLIENT:
                return twin
    if not span.parent_id:
        return None
    candidates = [candidate for candidate in nodes.get(span.parent_id, ()) if candidate is not node]
    return max(candidates, key=lambda candidate: _fitness(candidate.span, span), default=None)


def _fitness(parent: SpanRecord, child: SpanRecord) -> int:
    """Of the two halves of a joined span, work of the server's service belongs to the server's half."""
    if _is_server_half(parent):
        return 2 if parent.resource.service == child.resource.service else 0
    return 1


def _is_server_half(span: SpanRecord) -> bool:
    return span.kind == KIND_SERVER or bool(span.flags & FLAG_SHARED)


def _cut_circles(everyone: Sequence[Node]) -> None:
    """Spans that are their own ancestors hang from no root: open each circle at its earliest span."""
    reached: set[int] = set()

    def reach(root: Node) -> None:
        waiting = [root]  # not `walk`, whose steps are as long as the tree is deep
        while waiting:
            node = waiting.pop()
            reached.add(id(node))
            waiting += node.children

    for node in everyone:
        if node.parent is None:
            reach(node)
    for node in everyone:
        if id(node) not in reached and node.parent is not None:
            node.parent.children.remove(node)
            node.parent = None
            node.note = "its ancestors form a circle"
            reach(node)
