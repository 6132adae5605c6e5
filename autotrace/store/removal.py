"""Whole traces are deleted, in steps that hold the write lock for milliseconds.

By the retention, which makes room, and by whoever has seen enough of them.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from autotrace.store.connection import open_writer
from autotrace.store.errors import BUSY, StoreError, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

_T = TypeVar("_T")

STEP_SPANS: Final = 1000
"""Spans that one step deletes at most: 11 ms on a laptop."""

_STEP_TRACES: Final = 200
_STEP_INTERNED: Final = 200
_PATIENCE: Final = 10.0
"""Seconds for which a step waits for other writers."""
_BREATH: Final = 0.002
"""Seconds between two attempts."""

_ONE: Final = "SELECT id, spans FROM traces WHERE trace_id = ?"
_ALL: Final = "SELECT id, spans FROM traces WHERE id <= ? ORDER BY id LIMIT ?"


class write_lock:  # noqa: N801 - reads as what it is
    """A write transaction: committed at the end, rolled back when an exception leaves it.

    `BEGIN IMMEDIATE`: a transaction that reads first and writes later could fail for no fault of its own.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            # After an exception, or when the commit failed. SQLite may have rolled back by itself: disk full.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def remove_some(connection: sqlite3.Connection, traces: Sequence[tuple[int, int]]) -> int:
    """Delete the first of these traces, as many as a step may, in the caller's transaction; how many.

    Where even the first is too large it is as much of it as a step may, and the answer is 0.

    Args:
        connection: To the store.
        traces: Their rows, each with its number of spans.
    """
    doomed = _within_quota(traces)
    if traces and not doomed:
        _remove_part(connection, traces[0][0])
    marks = ", ".join("?" * len(doomed))
    connection.execute(f"DELETE FROM spans WHERE trace IN ({marks})", doomed)  # noqa: S608
    connection.execute(f"DELETE FROM traces WHERE id IN ({marks})", doomed)  # noqa: S608
    return len(doomed)


def remove_unused_names(connection: sqlite3.Connection) -> bool:
    """Drop some of the names that no span uses any more; False when none was left."""
    with write_lock(connection):
        (oldest,) = connection.execute("SELECT ifnull(min(id), 9e18) FROM spans").fetchone()
        found = 0
        for table in ("operations", "resources", "scopes", "services"):
            found += connection.execute(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE newest < ? LIMIT ?)",  # noqa: S608
                (oldest, _STEP_INTERNED),
            ).rowcount
    return found > 0


def remove(path: str, trace_id: int | None) -> int:
    """Delete a trace, or all that are here by now, from the store at `path`; how many those were.

    Raises:
        StoreError: It cannot be written, or others hold it for too long; what was done stays done.
    """
    try:
        with closing(open_writer(path, time.monotonic() + _PATIENCE)) as connection:
            find: tuple[str, tuple[object, ...]]
            if trace_id is None:
                (newest,) = connection.execute("SELECT ifnull(max(id), 0) FROM traces").fetchone()
                find = _ALL, (newest, _STEP_TRACES)
            else:
                find = _ONE, (trace_id.to_bytes(16, "big"),)
            removed = 0
            while (step := _patiently(lambda: _remove_found(connection, *find))) is not None:
                removed += step
            while _patiently(lambda: remove_unused_names(connection)):
                pass
            return removed
    except (sqlite3.Error, OSError) as error:
        raise StoreError(reason_of(error)) from error


def _remove_found(connection: sqlite3.Connection, query: str, parameters: tuple[object, ...]) -> int | None:
    """One step with the traces that `query` selects; None when there are none."""
    with write_lock(connection):
        found = connection.execute(query, parameters).fetchall()
        return remove_some(connection, found) if found else None


def _patiently(step: Callable[[], _T]) -> _T:
    """What `step` returns, as soon as other writers let it."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return step()
        except sqlite3.Error as error:
            if reason_of(error) != BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_BREATH)


def _within_quota(traces: Sequence[tuple[int, int]]) -> list[int]:
    """The first of these traces, as many as have no more spans than a step deletes."""
    quota, ids = STEP_SPANS, []
    for number, spans in traces:
        quota -= spans
        if quota < 0:
            break
        ids.append(number)
    return ids


def _remove_part(connection: sqlite3.Connection, trace: int) -> None:
    """Delete as much of one large trace as a step may."""
    connection.execute(
        "DELETE FROM spans WHERE id IN (SELECT id FROM spans WHERE trace = ? LIMIT ?)",
        (trace, STEP_SPANS),
    )
    # Now it counts as aged, so that whoever looks next goes on with it, even when the store is small
    # enough again; and what is left of it may be less than it says.
    connection.execute(
        "UPDATE traces SET written = 0, spans = max(spans - ?, 0) WHERE id = ?", (STEP_SPANS, trace)
    )
