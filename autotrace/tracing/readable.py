"""A span as the JSON object that the SDK's `ReadableSpan.to_json` makes.

Imported by the first span that is asked for it: only exporters written for the SDK do so.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext

    from autotrace.tracing.span import Span


def as_json_object(span: Span) -> dict[str, Any]:
    """What `json.dumps` takes. Byte strings, on which the SDK fails, become base64."""
    status = {"status_code": span.status_code.name}
    if span.status_description:
        status["description"] = span.status_description
    return {
        "name": span.name,
        "context": _context(span.get_span_context()),
        "kind": str(span.kind),
        "parent_id": f"0x{span.parent_id:016x}" if span.parent_id else None,
        "start_time": _moment(span.start_time) if span.start_time else None,
        "end_time": _moment(span.end_time) if span.end_time else None,
        "status": status,
        "attributes": _attributes(span.attributes),
        "events": [
            {
                "name": event.name,
                "timestamp": _moment(event.timestamp),
                "attributes": _attributes(event.attributes),
            }
            for event in span.events
        ],
        "links": [
            {"context": _context(link.context), "attributes": _attributes(link.attributes)}
            for link in span.links
        ],
        "resource": {
            "attributes": _attributes(span.resource.attributes),
            "schema_url": span.resource.schema_url,
        },
    }


def _context(context: SpanContext) -> dict[str, str]:
    return {
        "trace_id": f"0x{context.trace_id:032x}",
        "span_id": f"0x{context.span_id:016x}",
        "trace_state": repr(context.trace_state),
    }


def _attributes(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: _value(value) for key, value in (attributes or {}).items()}


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return _attributes(value)
    if isinstance(value, (tuple, list)):
        return [_value(member) for member in value]
    return value


def _moment(nanoseconds: int) -> str:
    """ISO 8601 with microseconds, rounded through a float as the SDK does."""
    try:
        moment = datetime.fromtimestamp(nanoseconds / 1e9, tz=timezone.utc)
    except (OverflowError, ValueError, OSError, TypeError):
        return f"{nanoseconds} ns"  # beyond the year 9999, or no number
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
