"""A trace as OTLP JSON, as collectors take it.

Spec: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

    from autotrace.store.records import EventRecord, LinkRecord, ResourceRecord, ScopeRecord, SpanRecord

_MAX_INT64: Final = 2**63 - 1
_FLAGS: Final = 2**32 - 1
"""What OTLP has of a span's flags."""
_MAX_DECIMAL_BITS: Final = 8192
"""Python refuses to write more than 4300 decimal digits."""


def request(spans: Iterable[SpanRecord]) -> dict[str, Any]:
    """What is sent to `/v1/traces`; spans of one resource and scope together."""
    groups: dict[int, dict[int, list[SpanRecord]]] = {}
    for span in spans:  # the records are the reader's: one object per resource and scope
        groups.setdefault(id(span.resource), {}).setdefault(id(span.scope), []).append(span)
    return {"resourceSpans": [_resource_spans(list(scopes.values())) for scopes in groups.values()]}


def _resource_spans(scopes: list[list[SpanRecord]]) -> dict[str, Any]:
    resource = scopes[0][0].resource
    return {
        "resource": _resource(resource),
        "scopeSpans": [
            {
                "scope": _scope(spans[0].scope),
                "spans": [_span(span) for span in spans],
                "schemaUrl": spans[0].scope.schema_url,
            }
            for spans in scopes
        ],
        "schemaUrl": resource.schema_url,
    }


def _resource(resource: ResourceRecord) -> dict[str, Any]:
    return {
        "attributes": _key_values(resource.attributes),
        "droppedAttributesCount": resource.dropped_attributes,
    }


def _scope(scope: ScopeRecord) -> dict[str, Any]:
    return {
        "name": scope.name,
        "version": scope.version,
        "attributes": _key_values(scope.attributes),
        "droppedAttributesCount": scope.dropped_attributes,
    }


def _span(span: SpanRecord) -> dict[str, Any]:
    return {
        "traceId": f"{span.trace_id:032x}",
        "spanId": f"{span.span_id:016x}",
        "parentSpanId": f"{span.parent_id:016x}" if span.parent_id else "",
        "traceState": span.trace_state,
        "flags": span.flags & _FLAGS,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _key_values(span.attributes),
        "droppedAttributesCount": span.dropped_attributes,
        "events": [_event(event) for event in span.events],
        "droppedEventsCount": span.dropped_events,
        "links": [_link(link) for link in span.links],
        "droppedLinksCount": span.dropped_links,
        "status": {"code": span.status, "message": span.status_message},
    }


def _event(event: EventRecord) -> dict[str, Any]:
    return {
        "timeUnixNano": str(event.timestamp),
        "name": event.name,
        "attributes": _key_values(event.attributes),
        "droppedAttributesCount": event.dropped_attributes,
    }


def _link(link: LinkRecord) -> dict[str, Any]:
    return {
        "traceId": f"{link.trace_id:032x}",
        "spanId": f"{link.span_id:016x}",
        "traceState": link.trace_state,
        "flags": link.flags,
        "attributes": _key_values(link.attributes),
        "droppedAttributesCount": link.dropped_attributes,
    }


def _key_values(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any_value(value)} for key, value in attributes.items()]


def _any_value(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        if abs(value) <= _MAX_INT64:
            return {"intValue": str(value)}
        return {"stringValue": str(value) if value.bit_length() <= _MAX_DECIMAL_BITS else hex(value)}
    if isinstance(value, float):
        return {"doubleValue": value if value - value == 0 else _named(value)}
    if isinstance(value, bytes):
        return {"bytesValue": b64encode(value).decode()}
    if isinstance(value, (tuple, list)):
        return {"arrayValue": {"values": [_any_value(member) for member in value]}}
    return {"kvlistValue": {"values": _key_values(value)}}


def _named(value: float) -> str:
    if value > 0:
        return "Infinity"
    return "-Infinity" if value < 0 else "NaN"
