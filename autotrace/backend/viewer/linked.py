"""Which other traces link to one: whoever took a message of it from a queue, say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.store.quantities import full_id
from autotrace.store.rows import unsigned

if TYPE_CHECKING:
    from typing import Final

    from autotrace.store.reader import Reader

_NEAR: Final = 20_000
"""Spans before and after the trace that are looked at: links have no index, and this takes 10 ms."""
_MOST: Final = 50


def linked_from(reader: Reader, trace: int) -> list[dict[str, str]]:
    """The spans with such a link, among those that arrived about when the trace did."""
    with reader.snapshot() as connection:
        number, first, last = connection.execute(
            "SELECT t.id, min(s.id), max(s.id) FROM traces t JOIN spans s ON s.trace = t.id"
            " WHERE t.trace_id = ?",
            (trace.to_bytes(16, "big"),),
        ).fetchone()
        if number is None:
            return []
        found = connection.execute(
            "SELECT t.trace_id, s.span_id, o.name, v.name FROM spans s JOIN traces t ON t.id = s.trace"
            " JOIN operations o ON o.id = s.operation JOIN services v ON v.id = s.service"
            " WHERE s.id BETWEEN ? AND ? AND instr(s.links, ?) AND s.trace <> ? ORDER BY s.id LIMIT ?",
            (first - _NEAR, last + _NEAR, f'["{trace:032x}"', number, _MOST),
        ).fetchall()
    return [
        {
            "trace": full_id(int.from_bytes(other, "big")),
            "span": f"{unsigned(span):016x}",
            "name": name,
            "service": service,
        }
        for other, span, name, service in found
    ]
