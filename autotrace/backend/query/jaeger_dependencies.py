"""Which service calls which, as Jaeger counts it: a call is a span whose parent is in the same trace."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from autotrace.store.reader import Reader

_MAX_TIME: Final = 2**63 - 1


def dependencies(reader: Reader, start: int, end: int, service: str) -> list[dict[str, Any]]:
    """The calls within traces that lie entirely between `start` and `end`, nanoseconds.

    Args:
        reader: Of the store.
        start: Nanoseconds since the epoch.
        end: Likewise.
        service: Only calls from it or to it; empty for all.
    """
    counts: Counter[tuple[int, int]] = Counter()
    with reader.snapshot() as connection:
        spans = connection.execute(
            "SELECT s.trace, s.span_id, s.parent_id, s.service"
            " FROM traces t CROSS JOIN spans s INDEXED BY spans_by_trace ON s.trace = t.id"
            " WHERE t.start >= ? AND t.end <= ? ORDER BY t.id",
            [max(-_MAX_TIME, min(bound, _MAX_TIME)) for bound in (start, end)],
        )
        for _, members in groupby(spans, itemgetter(0)):
            counts.update(_calls(members))
        names = dict(connection.execute("SELECT id, name FROM services"))
    return [
        {"parent": names[parent], "child": names[child], "callCount": count}
        for (parent, child), count in counts.items()
        if not service or service in {names[parent], names[child]}
    ]


def _calls(spans: Iterable[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
    members = list(spans)
    services = {span_id: service for _, span_id, _, service in members}
    return [
        (services[parent_id], service)
        for _, _, parent_id, service in members
        if parent_id and parent_id in services
    ]
