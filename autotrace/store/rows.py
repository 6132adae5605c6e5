"""From span records to rows, inside one write transaction.

What takes time and needs no lock, the JSON, is made beforehand (`prepared`).
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from autotrace.store.codec import encode_attributes, encode_events, encode_links, storable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from typing import Final

    from autotrace.store.records import ResourceRecord, ScopeRecord, SpanRecord

_MAX_INTEGER: Final = 2**63 - 1
_SIGN: Final = 1 << 63
_RANGE: Final = 1 << 64

_INSERT_SPAN: Final = """INSERT INTO spans (
    id, trace, service, operation, resource, scope, span_id, parent_id, start, duration, status, flags,
    status_message, trace_state, attributes, events, links, dropped_attributes, dropped_events, dropped_links
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


class PreparedSpan(NamedTuple):
    """A span ready to be written."""

    trace_id: bytes
    name: str
    kind: int
    start: int
    end: int
    failed: bool
    resource: ResourceRecord
    scope: ScopeRecord
    columns: tuple[object, ...]
    """From `span_id` on, in the order of `_INSERT_SPAN`."""


def prepared(spans: Sequence[SpanRecord]) -> list[PreparedSpan]:
    """What `insert` takes; a span that cannot be encoded is left out."""
    rows = []
    for span in spans:
        with suppress(Exception):  # one odd value must not cost the batch; the caller counts what is missing
            rows.append(_prepared(span))
    return rows


def _prepared(span: SpanRecord) -> PreparedSpan:
    start, duration = _integer(span.start), span.duration
    if duration is not None:
        duration = _integer(duration)
    return PreparedSpan(
        span.trace_id.to_bytes(16, "big"),
        storable(span.name),
        span.kind,
        start,
        _integer(start + (duration or 0)),
        span.failed,
        span.resource,
        span.scope,
        (
            signed(span.span_id),
            signed(span.parent_id),
            start,
            duration,
            span.status,
            _integer(span.flags),
            storable(span.status_message) if span.status_message else None,
            storable(span.trace_state) if span.trace_state else None,
            encode_attributes(span.attributes),
            encode_events(span.events),
            encode_links(span.links),
            _integer(span.dropped_attributes),
            _integer(span.dropped_events),
            _integer(span.dropped_links),
        ),
    )


def insert(connection: sqlite3.Connection, spans: Sequence[PreparedSpan]) -> None:
    """Write `spans`, and what they refer to, within the transaction that the caller has begun."""
    (last,) = connection.execute("SELECT ifnull(max(id), 0) FROM spans").fetchone()
    names = _Interned(connection, last + len(spans))
    traces = _Traces(connection)
    rows = []
    for number, span in enumerate(spans, last + 1):
        service, resource = names.resource(span.resource)
        rows.append(
            (
                number,
                traces.add(span),
                service,
                names.operation(service, span.name, span.kind),
                resource,
                names.scope(span.scope),
                *span.columns,
            )
        )
    connection.executemany(_INSERT_SPAN, rows)
    traces.update()
    names.touch()


def signed(identifier: int) -> int:
    """An unsigned 64-bit id as SQLite's signed integer; ValueError when it is wider."""
    if 0 <= identifier < _SIGN:
        return identifier
    if not _SIGN <= identifier < _RANGE:
        raise ValueError(f"not a 64-bit id: {identifier:x}")
    return identifier - _RANGE


def unsigned(identifier: int) -> int:
    """The id behind SQLite's signed integer."""
    return identifier + _RANGE if identifier < 0 else identifier


def _integer(value: int) -> int:
    """`value` within SQLite's 64 bits; only hostile times and counts lie outside."""
    if -_MAX_INTEGER <= value <= _MAX_INTEGER:
        return value
    return _MAX_INTEGER if value > 0 else -_MAX_INTEGER


class _Interned:
    """Ids of what repeats, looked up or made once per transaction."""

    def __init__(self, connection: sqlite3.Connection, newest: int) -> None:
        self._connection = connection
        self._newest = newest
        self._ids: dict[tuple[object, ...], int] = {}
        self._found: dict[str, list[tuple[int, int]]] = {}
        self._resources: dict[int, tuple[int, int]] = {}
        self._scopes: dict[int, int] = {}

    def resource(self, resource: ResourceRecord) -> tuple[int, int]:
        """Ids of its service and of itself."""
        known = self._resources.get(id(resource))  # the batch keeps it alive, so the id stays its own
        if known is None:
            known = self._resources[id(resource)] = (
                self._id("services", ("name",), (storable(resource.service),)),
                self._id(
                    "resources",
                    ("attributes", "schema_url", "dropped_attributes"),
                    (
                        encode_attributes(resource.attributes) or "{}",
                        storable(resource.schema_url),
                        _integer(resource.dropped_attributes),
                    ),
                ),
            )
        return known

    def scope(self, scope: ScopeRecord) -> int:
        """Its id."""
        known = self._scopes.get(id(scope))
        if known is None:
            known = self._scopes[id(scope)] = self._id(
                "scopes",
                ("name", "version", "attributes", "schema_url", "dropped_attributes"),
                (
                    storable(scope.name),
                    storable(scope.version),
                    encode_attributes(scope.attributes) or "{}",
                    storable(scope.schema_url),
                    _integer(scope.dropped_attributes),
                ),
            )
        return known

    def operation(self, service: int, name: str, kind: int) -> int:
        """Its id."""
        return self._id("operations", ("service", "name", "kind"), (service, name, kind))

    def touch(self) -> None:
        """Note in the rows that were there already that they are still in use."""
        for table, rows in self._found.items():
            self._connection.executemany(f"UPDATE {table} SET newest = ? WHERE id = ?", rows)  # noqa: S608 - our names

    def _id(self, table: str, columns: tuple[str, ...], values: tuple[object, ...]) -> int:
        known = self._ids.get((table, values))
        if known is not None:
            return known
        condition = " AND ".join(f"{column} = ?" for column in columns)
        row = self._connection.execute(f"SELECT id FROM {table} WHERE {condition}", values).fetchone()  # noqa: S608
        if row is not None:
            found: int = row[0]
            self._found.setdefault(table, []).append((self._newest, found))
        else:
            marks = ", ?" * len(columns)
            insert = f"INSERT INTO {table} ({', '.join(columns)}, newest) VALUES (?{marks})"  # noqa: S608
            found = self._connection.execute(insert, (*values, self._newest)).lastrowid or 0
        self._ids[table, values] = found
        return found


class _Traces:
    """The traces of one transaction, with their summaries brought up to date."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._open: dict[bytes, _Summary] = {}

    def add(self, span: PreparedSpan) -> int:
        """Count `span` in its trace, and tell the trace's id."""
        summary = self._open.get(span.trace_id)
        if summary is None:
            summary = self._open[span.trace_id] = self._load(span.trace_id)
        summary.add(span)
        return summary.id

    def update(self) -> None:
        """Write the summaries."""
        now = int(time.time())
        self._connection.executemany(
            "UPDATE traces SET start = ?, end = ?, spans = ?, errors = ?, written = ? WHERE id = ?",
            [(each.start, each.end, each.spans, each.errors, now, each.id) for each in self._open.values()],
        )

    def _load(self, trace_id: bytes) -> _Summary:
        row = self._connection.execute(
            "SELECT id, start, end, spans, errors FROM traces WHERE trace_id = ?", (trace_id,)
        ).fetchone()
        if row is not None:
            return _Summary(*row)
        made = self._connection.execute(
            "INSERT INTO traces (trace_id, start, end, spans, errors, written) VALUES (?, 0, 0, 0, 0, 0)",
            (trace_id,),
        )
        return _Summary(made.lastrowid or 0, 0, 0, 0, 0)


class _Summary:
    """A row of `traces` under way."""

    __slots__ = ("end", "errors", "id", "spans", "start")

    def __init__(self, number: int, start: int, end: int, spans: int, errors: int) -> None:
        self.id = number
        self.start = start
        self.end = end
        self.spans = spans
        self.errors = errors

    def add(self, span: PreparedSpan) -> None:
        """Count one more span; one without a time does not move the trace's."""
        if span.start and (span.start < self.start or not self.start):
            self.start = span.start
        self.end = max(self.end, span.end)
        self.spans += 1
        self.errors += span.failed
