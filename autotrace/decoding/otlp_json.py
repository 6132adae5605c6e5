"""OTLP traces in JSON.

Spec: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import binascii
from typing import Any

from autotrace.decoding.decoded import (
    MAX_DEPTH,
    MAX_MEMBERS,
    MAX_SPANS,
    SPAN_ID_BYTES,
    TOO_MANY_SPANS,
    TRACE_ID_BYTES,
    Decoded,
    InvalidSpanError,
    MalformedError,
    valid_parent_id,
    valid_span_id,
    valid_trace_id,
)
from autotrace.decoding.json_text import integer, mapping, parsed, sequence, text
from autotrace.store.records import (
    KIND_NAMES,
    STATUS_ERROR,
    EventRecord,
    LinkRecord,
    ResourceRecord,
    ScopeRecord,
    SpanRecord,
)


def decode(body: bytes) -> Decoded:
    """The spans of an ExportTraceServiceRequest. What is wrong within a span costs that span alone.

    Raises:
        MalformedError: It is none, or holds too many spans.
    """
    return decode_value(parsed(body))


def decode_value(request: Any) -> Decoded:
    """The same of JSON that is parsed already."""
    spans: list[SpanRecord] = []
    rejected, reason = 0, ""
    for resource_spans in sequence(mapping(request, "the request").get("resourceSpans"), "resourceSpans"):
        group = mapping(resource_spans, "resourceSpans")
        resource = _resource(group)
        for scope_spans in sequence(group.get("scopeSpans"), "scopeSpans"):
            scoped = mapping(scope_spans, "scopeSpans")
            scope = _scope(scoped)
            members = sequence(scoped.get("spans"), "spans")
            if len(spans) + rejected + len(members) > MAX_SPANS:
                raise MalformedError(TOO_MANY_SPANS)
            for member in members:
                try:
                    spans.append(_span(mapping(member, "a span"), resource, scope))
                except (InvalidSpanError, MalformedError) as error:
                    rejected += 1
                    reason = reason or str(error)
    return Decoded(spans, rejected, reason)


def _resource(group: dict[str, Any]) -> ResourceRecord:
    resource = mapping(group.get("resource"), "resource")
    attributes, dropped = _attributes(resource)
    return ResourceRecord(attributes, text(group.get("schemaUrl"), "schemaUrl"), dropped)


def _scope(group: dict[str, Any]) -> ScopeRecord:
    scope = mapping(group.get("scope"), "scope")
    attributes, dropped = _attributes(scope)
    return ScopeRecord(
        text(scope.get("name"), "scope.name"),
        text(scope.get("version"), "scope.version"),
        attributes,
        text(group.get("schemaUrl"), "schemaUrl"),
        dropped,
    )


def _span(span: dict[str, Any], resource: ResourceRecord, scope: ScopeRecord) -> SpanRecord:
    get = span.get
    start, end = _unsigned(get("startTimeUnixNano"), "a time"), _unsigned(get("endTimeUnixNano"), "a time")
    kind = integer(get("kind"), "kind")
    status = mapping(get("status"), "status")
    code = integer(status.get("code"), "status.code")
    attributes, dropped = _attributes(span)
    all_events, all_links = sequence(get("events"), "events"), sequence(get("links"), "links")
    links = [link for link in map(_link, all_links[:MAX_MEMBERS]) if link is not None]
    return SpanRecord(
        valid_trace_id(_id(get("traceId"))),
        valid_span_id(_id(get("spanId"))),
        valid_parent_id(_id(get("parentSpanId"))),
        text(get("name"), "name"),
        kind if 0 <= kind < len(KIND_NAMES) else 0,
        start,
        end - start if start and end else None,
        code if 0 <= code <= STATUS_ERROR else 0,
        text(status.get("message"), "status.message"),
        _count(get("flags")),
        text(get("traceState"), "traceState"),
        attributes,
        tuple([_event(event) for event in all_events[:MAX_MEMBERS]]),
        tuple(links),
        dropped,
        _count(get("droppedEventsCount")) + max(len(all_events) - MAX_MEMBERS, 0),
        _count(get("droppedLinksCount")) + len(all_links) - len(links),
        resource,
        scope,
    )


def _event(value: Any) -> EventRecord:
    event = mapping(value, "an event")
    attributes, dropped = _attributes(event)
    time = _unsigned(event.get("timeUnixNano"), "a time")
    return EventRecord(text(event.get("name"), "an event's name"), time, attributes, dropped)


def _link(value: Any) -> LinkRecord | None:
    """A link; None when its ids are of the wrong length."""
    link = mapping(value, "a link")
    trace_id, span_id = _id(link.get("traceId")), _id(link.get("spanId"))
    if len(trace_id) != TRACE_ID_BYTES or len(span_id) != SPAN_ID_BYTES:
        return None
    attributes, dropped = _attributes(link)
    return LinkRecord(
        int.from_bytes(trace_id, "big"),
        int.from_bytes(span_id, "big"),
        _count(link.get("flags")),
        text(link.get("traceState"), "traceState"),
        attributes,
        dropped,
    )


def _attributes(owner: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Those of a message, and how many it dropped or had too many."""
    pairs = sequence(owner.get("attributes"), "attributes")
    attributes = dict([_key_value(pair, 0) for pair in pairs[:MAX_MEMBERS]])
    return attributes, _count(owner.get("droppedAttributesCount")) + max(len(pairs) - MAX_MEMBERS, 0)


def _key_value(value: Any, depth: int) -> tuple[str, Any]:
    pair = mapping(value, "an attribute")
    return text(pair.get("key"), "an attribute's key"), _any_value(pair.get("value"), depth)


def _any_value(value: Any, depth: int) -> Any:
    for kind, content in mapping(value, "an attribute's value").items():
        if kind == "stringValue":
            return text(content, kind)
        if kind == "intValue":
            return integer(content, kind)
        if kind == "boolValue":
            return content is True
        if kind == "doubleValue":
            return _double(content)
        if kind == "bytesValue":
            return _bytes(text(content, kind))
        if kind in {"arrayValue", "kvlistValue"} and depth < MAX_DEPTH:
            members = sequence(mapping(content, kind).get("values"), kind)
            if kind == "arrayValue":
                return tuple([_any_value(member, depth + 1) for member in members])
            return dict([_key_value(member, depth + 1) for member in members])
    return None


def _double(content: Any) -> float:
    """A number, or `NaN`, `Infinity`, `-Infinity` as text."""
    try:
        return float(content)
    except (TypeError, ValueError, OverflowError):
        raise MalformedError("doubleValue must be a number") from None


def _bytes(content: str) -> bytes:
    """Base64 of either alphabet, padded or not."""
    plain = content.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(plain + "=" * (-len(plain) % 4))
    except ValueError:
        raise MalformedError("bytesValue must be base64") from None


def _id(value: Any) -> bytes:
    try:
        return bytes.fromhex(text(value, "an id"))
    except ValueError:
        raise InvalidSpanError("an id must be hex digits") from None


def _unsigned(value: Any, name: str) -> int:
    number = integer(value, name)
    if not 0 <= number < 2**64:
        raise MalformedError(f"{name} must be an unsigned 64-bit integer")
    return number


def _count(value: Any) -> int:
    """An unsigned 32-bit integer."""
    return min(max(integer(value, "a count"), 0), 2**32 - 1)
