"""Reads the store: names, whole traces, and a summary per trace.

Every method is one read transaction: it sees one state of the store, whatever writers do meanwhile.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from autotrace.store.codec import decode_attributes, decode_events, decode_links
from autotrace.store.connection import open_empty, open_reader
from autotrace.store.errors import StoreError, reason_of
from autotrace.store.records import ResourceRecord, ScopeRecord, SpanRecord
from autotrace.store.rows import unsigned
from autotrace.store.search import matching

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from typing_extensions import Self

    from autotrace.store.search import Query


class TraceSummary(NamedTuple):
    """One line of a listing."""

    trace_id: int
    start: int
    """Nanoseconds since the epoch, of the earliest span."""
    duration: int
    """Nanoseconds, from the earliest start to the latest end."""
    spans: int
    errors: int
    root_service: str
    root_name: str
    services: tuple[str, ...]
    """Sorted."""


class Reader:
    """Reads the database at `path`. Not for two threads at once; must not live through a fork.

    Raises:
        StoreError: From every method, when the store cannot be read; `StoreMissingError` when there is none.
    """

    def __init__(self, path: str) -> None:
        """Open the store at `path`; an empty one when that is empty."""
        with _reasons():
            self._connection = open_reader(path) if path else open_empty()

    def close(self) -> None:
        """Release the files."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def services(self) -> list[str]:
        """The names of all services, sorted."""
        with self.snapshot() as connection:
            return [name for (name,) in connection.execute("SELECT name FROM services ORDER BY name")]

    def operations(self, service: str) -> list[tuple[str, int]]:
        """Names and kinds of the spans of `service`, sorted."""
        with self.snapshot() as connection:
            return connection.execute(
                "SELECT o.name, o.kind FROM operations o JOIN services s ON s.id = o.service"
                " WHERE s.name = ? ORDER BY o.name, o.kind",
                (service,),
            ).fetchall()

    def search(self, query: Query) -> list[TraceSummary]:
        """The newest traces with a span that meets all of `query`, newest first."""
        with self.snapshot() as connection:
            return [_summary(connection, number) for number in matching(connection, query)]

    def matching(self, query: Query) -> list[int]:
        """Ids of the newest traces with a span that meets all of `query`, newest first."""
        with self.snapshot() as connection:
            return trace_ids(connection, matching(connection, query))

    def find(self, prefix: str, limit: int = 10) -> list[int]:
        """Ids of traces that begin with the hex digits `prefix`, newest first.

        A 64-bit id is found by its 16 digits as well as by its 32. Anything but hex digits finds nothing.
        """
        with self.snapshot() as connection:
            found = {
                number: int.from_bytes(trace_id, "big")
                for low, high in _ranges(prefix.lower())
                for number, trace_id in connection.execute(
                    "SELECT id, trace_id FROM traces WHERE trace_id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?",
                    (low, high, limit),
                )
            }
        return [found[number] for number in sorted(found, reverse=True)[:limit]]

    def last(self) -> int | None:
        """The id of the trace that arrived last; None in an empty store."""
        with self.snapshot() as connection:
            row = connection.execute("SELECT trace_id FROM traces ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else int.from_bytes(row[0], "big")

    def summary(self, trace_id: int) -> TraceSummary | None:
        """The summary of one trace; None when it is not here."""
        with self.snapshot() as connection:
            row = connection.execute(
                "SELECT id FROM traces WHERE trace_id = ?", (trace_id.to_bytes(16, "big"),)
            ).fetchone()
            return None if row is None else _summary(connection, row[0])

    def trace(self, trace_id: int) -> list[SpanRecord]:
        """All spans of a trace in the order of arrival; empty when it is not here."""
        with self.snapshot() as connection:
            return _spans(connection, trace_id)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """All that is read within sees one state of the store, by other methods too."""
        connection = self._connection
        with _reasons():
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")


def trace_ids(connection: sqlite3.Connection, numbers: Iterable[int]) -> list[int]:
    """The ids of the traces in these rows."""
    find = "SELECT trace_id FROM traces WHERE id = ?"
    return [
        int.from_bytes(trace_id, "big")
        for number in numbers
        for (trace_id,) in connection.execute(find, (number,))
    ]


def extent(connection: sqlite3.Connection) -> tuple[int, int]:
    """The lowest and the highest id of a span; 0 and 0 in an empty store."""
    lowest, highest = connection.execute(
        "SELECT (SELECT min(id) FROM spans), (SELECT max(id) FROM spans)"
    ).fetchone()
    return lowest or 0, highest or 0


def _spans(connection: sqlite3.Connection, trace_id: int) -> list[SpanRecord]:
    resources: dict[int, ResourceRecord] = {}
    scopes: dict[int, ScopeRecord] = {}
    spans = []
    for row in connection.execute(
        "SELECT s.resource, s.scope, s.span_id, s.parent_id, o.name, o.kind, s.start, s.duration, s.status,"
        " s.status_message, s.flags, s.trace_state, s.attributes, s.events, s.links,"
        " s.dropped_attributes, s.dropped_events, s.dropped_links"
        " FROM traces t JOIN spans s ON s.trace = t.id JOIN operations o ON o.id = s.operation"
        " WHERE t.trace_id = ? ORDER BY s.id",
        (trace_id.to_bytes(16, "big"),),
    ):
        resource, scope, span_id, parent_id, name, kind, start, duration, status, message, flags, state = row[
            :12
        ]
        attributes, events, links, dropped_attributes, dropped_events, dropped_links = row[12:]
        if resource not in resources:
            resources[resource] = _resource(connection, resource)
        if scope not in scopes:
            scopes[scope] = _scope(connection, scope)
        spans.append(
            SpanRecord(
                trace_id,
                unsigned(span_id),
                unsigned(parent_id),
                name,
                kind,
                start,
                duration,
                status,
                message or "",
                flags,
                state or "",
                decode_attributes(attributes),
                decode_events(events),
                decode_links(links),
                dropped_attributes,
                dropped_events,
                dropped_links,
                resources[resource],
                scopes[scope],
            )
        )
    return spans


def _resource(connection: sqlite3.Connection, number: int) -> ResourceRecord:
    attributes, schema_url, dropped = connection.execute(
        "SELECT attributes, schema_url, dropped_attributes FROM resources WHERE id = ?", (number,)
    ).fetchone()
    return ResourceRecord(decode_attributes(attributes), schema_url, dropped)


def _scope(connection: sqlite3.Connection, number: int) -> ScopeRecord:
    name, version, attributes, schema_url, dropped = connection.execute(
        "SELECT name, version, attributes, schema_url, dropped_attributes FROM scopes WHERE id = ?", (number,)
    ).fetchone()
    return ScopeRecord(name, version, decode_attributes(attributes), schema_url, dropped)


def _summary(connection: sqlite3.Connection, number: int) -> TraceSummary:
    trace_id, start, end, spans, errors = connection.execute(
        "SELECT trace_id, start, end, spans, errors FROM traces WHERE id = ?", (number,)
    ).fetchone()
    members = connection.execute(
        "SELECT span_id, parent_id, service, operation FROM spans WHERE trace = ? ORDER BY start, id",
        (number,),
    ).fetchall()
    here = {span_id for span_id, *_ in members}
    # The true root if it is here, else the first whose parent is not, else (a cycle) simply the first.
    root = min(members, key=lambda span: (span[1] != 0, span[1] in here), default=(0, 0, 0, 0))
    names = dict(
        connection.execute(
            "SELECT id, name FROM services WHERE id IN (SELECT DISTINCT service FROM spans WHERE trace = ?)",
            (number,),
        )
    )
    name = connection.execute("SELECT name FROM operations WHERE id = ?", (root[3],)).fetchone()
    return TraceSummary(
        int.from_bytes(trace_id, "big"),
        start,
        max(0, end - start),
        spans,
        errors,
        names.get(root[2], ""),
        name[0] if name else "",
        tuple(sorted(names.values())),
    )


def _ranges(prefix: str) -> Iterator[tuple[bytes, bytes]]:
    """The ranges of 16-byte ids whose printed form begins with `prefix`."""
    if not prefix or not set(prefix) <= set("0123456789abcdef"):
        return
    for digits in (prefix, "0" * 16 + prefix):
        if len(digits) <= 32:  # noqa: PLR2004 - hex digits of a trace id
            yield bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))


@contextmanager
def _reasons() -> Iterator[None]:
    """Turn what sqlite3 and the operating system raise into StoreError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(reason_of(error)) from error
