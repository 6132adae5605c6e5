"""What came into the store since the last look: ids of spans are the order of arrival."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from typing import Final

_FIRST: Final = (
    "SELECT spans.id, span_id, trace_id FROM spans JOIN traces ON traces.id = trace ORDER BY spans.id LIMIT 1"
)


class Mark:
    """How far somebody who follows the store has seen."""

    def __init__(self) -> None:
        self._newest = 0
        self._first: tuple[int, int, bytes] | None = None

    def advance(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """The ids of two spans: what came after the first, up to the other, is new, and now seen."""
        seen = self._newest
        first = connection.execute(_FIRST).fetchone()
        (newest,) = connection.execute("SELECT ifnull(max(id), 0) FROM spans").fetchone()
        if newest < seen:
            # Either the newest spans were removed, or the store was emptied, or is another one.
            seen = newest if first == self._first else 0
        self._newest, self._first = newest, first
        return seen, newest
