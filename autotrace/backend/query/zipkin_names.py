"""The names that Zipkin's query API lists: sorted, in lower case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.backend.query.zipkin_encoding import is_plain, remote_endpoint
from autotrace.backend.query.zipkin_search import services_named
from autotrace.store.codec import decode_attributes
from autotrace.store.records import UNKNOWN_SERVICE, ResourceRecord, ScopeRecord

if TYPE_CHECKING:
    import sqlite3
    from typing import Final

    from autotrace.store.reader import Reader

_NEWEST: Final = 20_000
"""Spans of a service among which its remote services are looked for."""


def services(reader: Reader) -> list[str]:
    """Of all spans that have one."""
    return sorted({name.lower() for name in reader.services()} - {UNKNOWN_SERVICE})


def span_names(reader: Reader, service: str) -> list[str]:
    """Of the spans of `service`."""
    with reader.snapshot() as connection:
        rows = [
            name
            for number in services_named(connection, service)
            for (name,) in connection.execute("SELECT name FROM operations WHERE service = ?", (number,))
        ]
    return sorted({name.lower() for name in rows if name}) if service else []


def remote_services(reader: Reader, service: str) -> list[str]:
    """What the spans of `service` name as their other side."""
    names: set[str] = set()
    if not service:
        return []
    with reader.snapshot() as connection:
        origins: dict[tuple[int, int], bool] = {}
        for number in services_named(connection, service):
            for resource, scope, kind, attributes in connection.execute(
                "SELECT s.resource, s.scope, o.kind, s.attributes"
                " FROM spans s INDEXED BY spans_by_service JOIN operations o ON o.id = s.operation"
                " WHERE s.service = ? AND s.attributes IS NOT NULL ORDER BY s.start DESC LIMIT ?",
                (number, _NEWEST),
            ):
                if (resource, scope) not in origins:
                    origins[resource, scope] = _is_plain(connection, resource, scope)
                endpoint = remote_endpoint(
                    decode_attributes(attributes), kind, as_it_came=origins[resource, scope]
                )
                names.add(endpoint.get("serviceName", ""))
    return sorted(names - {""})


def _is_plain(connection: sqlite3.Connection, resource: int, scope: int) -> bool:
    (attributes,) = connection.execute(
        "SELECT attributes FROM resources WHERE id = ?", (resource,)
    ).fetchone()
    (name,) = connection.execute("SELECT name FROM scopes WHERE id = ?", (scope,)).fetchone()
    return is_plain(ResourceRecord(decode_attributes(attributes)), ScopeRecord(name, "", {}))
