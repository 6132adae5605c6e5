"""What a reader of a trace wants to see of a span in half a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.store.records import KIND_CLIENT, KIND_PRODUCER
from autotrace.store.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Final

    from autotrace.store.records import SpanRecord

# Stable names first, then those of older instrumentations and of Zipkin.
_STATUS: Final = (
    "http.response.status_code",
    "http.status_code",
    "rpc.response.status_code",
    "rpc.grpc.status_code",
)
_URL: Final = ("url.full", "http.url")
_PATH: Final = ("url.path", "http.target", "http.path")
_STATEMENT: Final = ("db.query.text", "db.statement", "sql.query")
_DESTINATION: Final = ("messaging.destination.name", "messaging.destination")

# Shown by the sections above, by the tree itself, or of no interest at a glance.
_KNOWN_PREFIXES: Final = (
    "http.", "url.", "db.", "messaging.", "rpc.", "net.", "network.", "server.", "client.", "user_agent.",
    "code.", "thread.", "otel.", "process.", "telemetry.", "peer.", "error", "span.kind", "component",
)  # fmt: skip
_MAX_OTHERS: Final = 6


def highlights(span: SpanRecord) -> str:
    """Status, URL or path, statement, destination; else the first attributes of its own. One line."""
    attributes = span.attributes
    parts = [
        part
        for part in (
            _first(attributes, _STATUS),
            _location(span),
            _statement(span),
            _first(attributes, _DESTINATION),
        )
        if part and part not in span.name
    ]
    if not parts:
        own = (key for key in attributes if not key.startswith(_KNOWN_PREFIXES))
        parts = [f"{one_line(key)}={one_line(attributes[key])}" for key, _ in zip(own, range(_MAX_OTHERS))]
    return "  ".join(parts)


def errors(span: SpanRecord) -> Iterator[str]:
    """What went wrong, one line per exception (`ConnectionError: refused`); nothing where nothing did."""
    exceptions = [event.attributes for event in span.events if event.name == "exception"]
    for attributes in exceptions:
        kind, message = attributes.get("exception.type"), attributes.get("exception.message")
        yield one_line(": ".join(str(part) for part in (kind, message) if part) or "exception")
    if not exceptions and span.failed:
        kind = span.attributes.get("error.type")
        # A status code as error.type stands in the highlights already.
        parts = [
            str(part)
            for part in (kind, span.status_message)
            if part and part != _first(span.attributes, _STATUS)
        ]
        if parts:
            yield one_line(": ".join(parts))


def _location(span: SpanRecord) -> str:
    if span.kind in (KIND_CLIENT, KIND_PRODUCER):
        url = _first(span.attributes, _URL)
        return url.partition("://")[2] or url
    return _first(span.attributes, _PATH)


def _statement(span: SpanRecord) -> str:
    return _first(span.attributes, _STATEMENT)


def _first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = attributes.get(name)
        if value not in (None, ""):
            return one_line(value)
    return ""
