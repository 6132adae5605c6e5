"""Two traces side by side: what they did on the same ways, how often, and how long it took.

Spans belong together that have the same service and name, below the same services and names; the calls of a
loop are one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autotrace.analysis.timing import self_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autotrace.store.tree import Node


class Side(NamedTuple):
    """The spans of one trace on one way; nanoseconds."""

    calls: int
    errors: int
    duration: int
    self_time: int


NOTHING = Side(0, 0, 0, 0)


class Difference(NamedTuple):
    """One way in both traces."""

    service: str
    name: str
    depth: int
    """0 for a root."""
    first: Side
    second: Side

    @property
    def duration(self) -> int:
        """How much longer it took in the second, in nanoseconds."""
        return self.second.duration - self.first.duration


def compare(first: Sequence[Node], second: Sequence[Node]) -> list[Difference]:
    """All ways, parents before children; those of the first trace before those that only the second has.

    Args:
        first: Roots.
        second: Likewise.
    """
    return list(_differences(first, second))


def _differences(first: Sequence[Node], second: Sequence[Node]) -> Iterator[Difference]:
    waiting = [(0, key, *nodes) for key, nodes in reversed(_paired(first, second).items())]
    while waiting:
        depth, (service, name), left, right = waiting.pop()
        yield Difference(service, name, depth, _side(left), _side(right))
        below = _paired(
            [child for node in left for child in node.children],
            [child for node in right for child in node.children],
        )
        waiting += [(depth + 1, key, *nodes) for key, nodes in reversed(below.items())]


def _paired(
    first: Sequence[Node], second: Sequence[Node]
) -> dict[tuple[str, str], tuple[list[Node], list[Node]]]:
    pairs: dict[tuple[str, str], tuple[list[Node], list[Node]]] = {}
    for number, nodes in enumerate((first, second)):
        for node in nodes:
            key = (node.span.resource.service, node.span.name)
            pairs.setdefault(key, ([], []))[number].append(node)
    return pairs


def _side(nodes: Sequence[Node]) -> Side:
    if not nodes:
        return NOTHING
    return Side(
        len(nodes),
        sum(node.span.failed for node in nodes),
        sum(max(0, node.span.duration or 0) for node in nodes),
        sum(self_time(node) for node in nodes),
    )
