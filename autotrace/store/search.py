"""Which traces match: the conditions of the query APIs, as SQL that stays within the indexes.

As in Jaeger, a trace matches when one of its spans meets every condition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autotrace.store import tags
from autotrace.store.records import STATUS_ERROR

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Final

_MAX_TIME: Final = 2**63 - 1


class Query(NamedTuple):
    """What to look for; all that is left out matches everything."""

    service: str = ""
    operation: str = ""
    """The exact name of a span."""
    errors_only: bool = False
    min_duration: int = 0
    """Of a span, in nanoseconds; likewise below."""
    max_duration: int | None = None
    start: int = 0
    """Nanoseconds since the epoch: the earliest start of a span."""
    end: int = _MAX_TIME
    """Likewise the latest, inclusive."""
    limit: int = 20
    tags: tuple[tuple[str, str], ...] = ()
    """Keys and texts of values, see `store.tags`."""


def matching(connection: sqlite3.Connection, query: Query) -> Iterator[int]:
    """Row ids of matching traces, newest first, at most `query.limit`; good for one read transaction."""
    if query.tags:
        return iter(first(Scan(connection, query).above(0), query.limit))
    if not query.service and not query.operation:
        return _of_all(connection, query)
    newest: dict[int, int] = {}
    for service in _services(connection, query):
        for trace, start in _of_service(connection, service, query).items():
            newest[trace] = max(start, newest.get(trace, start))
    return iter(sorted(newest, key=newest.__getitem__, reverse=True)[: query.limit])


class Scan:
    """Finds matching spans by looking at them; good for one read transaction."""

    def __init__(self, connection: sqlite3.Connection, query: Query) -> None:
        self._connection = connection
        self._tags = tags.Wanted(connection, query.tags)
        conditions, values = _span_conditions(query)
        if query.service:
            conditions += " AND service IN (SELECT id FROM services WHERE name = ?)"
            values.append(query.service)
        self._conditions = f" AND start BETWEEN ? AND ?{conditions}"
        self._values = [query.start, query.end, *values]

    def above(self, number: int) -> Iterator[int]:
        """Traces of matching spans with higher ids, latest arrival first; some repeatedly.

        Takes 0.4 s for a million spans, a second where tags are many.
        """
        condition, values = self._tags.condition()
        return self._traces(f"id > ?{self._conditions}{condition}", [number, *self._values, *values])

    def among(self, numbers: Iterable[int]) -> Iterator[int]:
        """The same for the spans with these ids."""
        ids = ",".join(map(str, numbers))
        return self._traces(f"id IN ({ids}){self._conditions}", self._values)

    def _traces(self, condition: str, values: Sequence[object]) -> Iterator[int]:
        rows = self._connection.execute(
            f"SELECT trace, {tags.COLUMNS} FROM spans NOT INDEXED WHERE {condition} ORDER BY id DESC",  # noqa: S608
            values,
        )
        return (trace for trace, *columns in rows if self._tags.met_by(*columns))


def first(numbers: Iterable[int], limit: int) -> list[int]:
    """The first `limit` distinct ones."""
    found: dict[int, None] = {}
    for number in numbers:
        found[number] = None
        if len(found) >= limit:
            break
    return list(found)


def _services(connection: sqlite3.Connection, query: Query) -> list[int]:
    """Ids of the services whose spans can match."""
    if query.service:
        rows = connection.execute("SELECT id FROM services WHERE name = ?", (query.service,))
    else:
        rows = connection.execute(
            "SELECT DISTINCT service FROM operations WHERE name = ?", (query.operation,)
        )
    return [number for (number,) in rows]


def _of_service(connection: sqlite3.Connection, service: int, query: Query) -> dict[int, int]:
    """The newest matching traces of one service, with the start of the span that matches.

    Walks the service's spans, newest first, within `spans_by_service`; a few matches end the walk early.
    """
    conditions, values = _span_conditions(query)
    walk = connection.execute(
        # INDEXED BY: without statistics the planner would rather sort.
        "SELECT trace, start FROM spans INDEXED BY spans_by_service"  # noqa: S608 - our own text
        f" WHERE service = ? AND start BETWEEN ? AND ?{conditions} ORDER BY start DESC",
        (service, query.start, query.end, *values),
    )
    found: dict[int, int] = {}
    for trace, start in walk:
        found.setdefault(trace, start)
        if len(found) >= query.limit:
            break
    walk.close()
    return found


def _of_all(connection: sqlite3.Connection, query: Query) -> Iterator[int]:
    """Walk the traces in the order of arrival, and look into those whose summary does not rule it out."""
    conditions, values = _span_conditions(query)
    hopeful = "t.end >= ? AND t.start <= ? AND t.end - t.start >= ?" + " AND t.errors > 0" * query.errors_only
    arguments: list[object] = [query.start, query.end, query.min_duration]
    if conditions or query.start:
        hopeful += (
            f" AND EXISTS (SELECT 1 FROM spans WHERE trace = t.id AND start BETWEEN ? AND ?{conditions})"  # noqa: S608
        )
        arguments += [query.start, query.end, *values]
    rows = connection.execute(
        f"SELECT t.id FROM traces t WHERE {hopeful} ORDER BY t.id DESC LIMIT ?",  # noqa: S608 - our own text
        (*arguments, query.limit),
    )
    return (number for (number,) in rows)


def _span_conditions(query: Query) -> tuple[str, list[object]]:
    conditions = ""
    values: list[object] = []
    if query.operation:
        conditions += " AND operation IN (SELECT id FROM operations WHERE name = ?)"
        values.append(query.operation)
    if query.errors_only:
        conditions += " AND status = ?"
        values.append(STATUS_ERROR)
    if query.min_duration:
        conditions += " AND duration >= ?"
        values.append(query.min_duration)
    if query.max_duration is not None:
        conditions += " AND duration <= ?"
        values.append(query.max_duration)
    return conditions, values
