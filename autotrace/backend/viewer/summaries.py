"""One line per trace, with what each service had to do with it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from autotrace.analysis.timing import own_times
from autotrace.store.quantities import full_id
from autotrace.store.records import STATUS_ERROR

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from typing import Final

    from autotrace.analysis.timing import Row

_KEPT: Final = 2000
"""Summaries in memory, for a trace that has not grown since."""
_MAX_SPANS: Final = 20_000
"""Of a trace; its further ones are counted, but not shared out among the services."""
_MAX_SHOWN_SERVICES: Final = 100


class Summaries:
    """Makes them, and keeps the last ones; for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[tuple[int, ...], dict[str, Any]]] = {}

    def of(self, connection: sqlite3.Connection, traces: Iterable[int]) -> list[dict[str, Any]]:
        """The summaries of these traces, by their ids, as far as they are still here, latest start first."""
        found = [self._of(connection, trace.to_bytes(16, "big")) for trace in traces]
        return sorted(
            (summary for summary in found if summary is not None), key=lambda one: one["start"], reverse=True
        )

    def _of(self, connection: sqlite3.Connection, trace: bytes) -> dict[str, Any] | None:
        row = connection.execute(
            "SELECT id, start, end, spans, errors FROM traces WHERE trace_id = ?", (trace,)
        ).fetchone()
        if row is None:
            return None
        known = self._known.get(trace)
        if known is not None and known[0] == row:
            return known[1]
        summary = _summary(connection, trace, *row)
        with self._lock:
            self._known.pop(trace, None)
            self._known[trace] = (row, summary)
            while len(self._known) > _KEPT:
                del self._known[next(iter(self._known))]
        return summary


def _summary(
    connection: sqlite3.Connection, trace: bytes, number: int, start: int, end: int, spans: int, errors: int
) -> dict[str, Any]:
    rows: list[Row] = connection.execute(
        "SELECT span_id, parent_id, service, operation, start, duration, status FROM spans"
        " WHERE trace = ? LIMIT ?",
        (number, _MAX_SPANS),
    ).fetchall()
    rows.sort(key=lambda row: row[4])
    root = _root(rows)
    work = sorted(shares(rows).items(), key=lambda item: item[1][2], reverse=True)
    services = [
        {
            "name": _name(connection, "services", service),
            "spans": count,
            "errors": failed,
            "duration": own // 1000,
        }
        for service, (count, failed, own) in work[:_MAX_SHOWN_SERVICES]
    ]
    return {
        "id": full_id(int.from_bytes(trace, "big")),
        "start": start // 1000,
        "duration": max(0, end - start) // 1000,
        "spans": spans,
        "errors": errors,
        "root": {
            "service": _name(connection, "services", root[2]),
            "name": _name(connection, "operations", root[3]),
        },
        "services": services,
    }


def shares(rows: Sequence[Row]) -> dict[int, list[int]]:
    """Per service: spans, errors, and nanoseconds that its spans worked themselves."""
    result: dict[int, list[int]] = {}
    for row, own in own_times(rows):
        share = result.setdefault(row[2], [0, 0, 0])
        share[0] += 1
        share[1] += row[6] == STATUS_ERROR
        share[2] += own
    return result


def _root(rows: Sequence[Row]) -> Row:
    """The true root if it is here, else the first whose parent is not, else (a circle) simply the first."""
    here = {row[0] for row in rows}
    return min(rows, key=lambda row: (row[1] != 0, row[1] in here), default=(0, 0, 0, 0, 0, None, 0))


def _name(connection: sqlite3.Connection, table: str, number: int) -> str:
    row = connection.execute(f"SELECT name FROM {table} WHERE id = ?", (number,)).fetchone()  # noqa: S608
    return row[0] if row else ""
