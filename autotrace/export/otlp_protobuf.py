"""OTLP in protobuf, written straight from span slots to bytes.

The whole format is `field tag, length, content`; what repeats (attribute pairs, names) is remembered
encoded. Measured on Python 3.11: 2 us for a span of ten attributes, a tenth of the generated classes.

Spec: https://opentelemetry.io/docs/specs/otlp/ and opentelemetry-proto's trace.proto, common.proto
"""

from __future__ import annotations

import struct
from struct import Struct
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind, StatusCode

from autotrace.export.encoded_memory import Names, Pairs
from autotrace.export.grouping import Grouping
from autotrace.export.plain_values import (
    INT64_MAX,
    INT64_MIN,
    MAX_DEPTH,
    UINT32_MAX,
    integer_text,
    text_of,
    unsigned,
    utf8,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from autotrace.tracing.resource import Resource
    from autotrace.tracing.scope import Scope
    from autotrace.tracing.span import Event, Link, Span

CONTENT_TYPE: Final = "application/x-protobuf"

# Field tags: number << 3 | wire kind. Kinds: 0 varint, 1 eight bytes, 2 length and content, 5 four bytes.
_MEMBER_1: Final = b"\x0a"
_MEMBER_2: Final = b"\x12"
_MEMBER_3: Final = b"\x1a"
_MEMBER_4: Final = b"\x22"
_SPAN_NAME: Final = b"\x2a"
_SPAN_ATTRIBUTE: Final = b"\x4a"
_SPAN_EVENT: Final = b"\x5a"
_SPAN_LINK: Final = b"\x6a"
_SPAN_STATUS: Final = b"\x7a"

_KINDS: Final = {
    id(SpanKind.INTERNAL): b"\x30\x01",
    id(SpanKind.SERVER): b"\x30\x02",
    id(SpanKind.CLIENT): b"\x30\x03",
    id(SpanKind.PRODUCER): b"\x30\x04",
    id(SpanKind.CONSUMER): b"\x30\x05",
}
_OK: Final = StatusCode.OK
_UNSET: Final = StatusCode.UNSET

_ONE_BYTE: Final = 1 << 7
_SHORT: Final = _ONE_BYTE - 4
"""Key and text of a pair up to which all its lengths take one byte."""
_TWO_BYTES: Final = 1 << 14
"""The first numbers that do not fit a varint of that length."""

_REMOTE_KNOWN: Final = 0x100
_REMOTE: Final = 0x200

_times: Final = Struct("<BQBQ").pack  # start_time_unix_nano, end_time_unix_nano
_fixed64: Final = Struct("<BQ").pack
_double: Final = Struct("<Bd").pack
_link_flags: Final = Struct("<BI").pack
_flags: Final = Struct("<2sI").pack
_ids: Final = Struct(">2s16s2sQ").pack
_parent: Final = Struct(">2sQ").pack
_start: Final = Struct("BBB").pack


def encode(spans: Sequence[Span]) -> bytes:
    """An ExportTraceServiceRequest, grouped by resource and scope, spans in the order given.

    Raises:
        Exception: A span holds what cannot be encoded.
    """
    grouping = Grouping(_resource, _scope)
    resource = scope = None
    for span in spans:
        if span.instrumentation_scope is not scope or span.resource is not resource:
            resource, scope = span.resource, span.instrumentation_scope
            add = grouping.of(resource, scope).append
        add(_span(span))
    out = []
    for encoded_resource, scopes in grouping.resources():
        scope_spans = [
            _sized(_MEMBER_2, b"".join((encoded, *members))) for encoded, members in scopes.items()
        ]
        out.append(_sized(_MEMBER_1, encoded_resource + b"".join(scope_spans)))
    return b"".join(out)


def _varint(number: int) -> bytes:
    if number < _ONE_BYTE:
        return bytes((number,))
    if number < _TWO_BYTES:
        return bytes((number & 0x7F | 0x80, number >> 7))
    return bytes((number & 0x7F | 0x80,)) + _varint(number >> 7)


def _sized(tag: bytes, content: bytes) -> bytes:
    return b"%b%b%b" % (tag, _varint(len(content)), content)


def _count(tag: bytes, number: int) -> bytes:
    return tag + _varint(unsigned(number, UINT32_MAX)) if number else b""


def _any_value(value: Any, depth: int = 0) -> bytes:
    if isinstance(value, str):
        return _sized(b"\x0a", utf8(value))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        if INT64_MIN <= value <= INT64_MAX:
            return b"\x18" + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)
        return _sized(b"\x0a", integer_text(value).encode())
    if isinstance(value, float):
        return _double(0x21, value)
    if value is None or depth > MAX_DEPTH:
        return b""
    if isinstance(value, (tuple, list)):
        members = [_sized(_MEMBER_1, _any_value(member, depth + 1)) for member in value]
        return _sized(b"\x2a", b"".join(members))
    if isinstance(value, dict):
        entries = [_sized(_MEMBER_1, _key_value(key, member, depth + 1)) for key, member in value.items()]
        return _sized(b"\x32", b"".join(entries))
    if isinstance(value, (bytes, bytearray)):
        return _sized(b"\x3a", bytes(value))
    return _sized(b"\x0a", utf8(text_of(value)))


def _key_value(key: Any, value: Any, depth: int = 0) -> bytes:
    return _sized(_MEMBER_1, utf8(text_of(key))) + _sized(_MEMBER_2, _any_value(value, depth))


def _pairs(tag: bytes) -> Pairs[bytes]:
    return Pairs(lambda key, value: _sized(tag, _key_value(key, value)))


def _span_pair(key: Any, value: Any) -> bytes:
    """A span's attribute that is not remembered: a short text, the usual case, in one stroke."""
    if type(value) is str and type(key) is str:
        head, text = _keys[key], utf8(value)
        size = len(text)
        if len(head) + size < _SHORT:
            return b"\x4a%c%b\x12%c\x0a%c%b" % (len(head) + size + 4, head, size + 2, size, text)
    return _sized(_SPAN_ATTRIBUTE, _key_value(key, value))


_keys: Final = Names[bytes](lambda key: _sized(_MEMBER_1, utf8(key)))
_span_pairs: Final = Pairs(_span_pair)
_pair: Final = _span_pairs.__getitem__
_event_pairs: Final = _pairs(_MEMBER_3)
_names: Final = Names[bytes](lambda name: _sized(_SPAN_NAME, utf8(text_of(name))))


def _attributes(tag: bytes, attributes: Mapping[str, Any] | None) -> bytes:
    return b"".join([_sized(tag, _key_value(key, value)) for key, value in (attributes or {}).items()])


# Fields of a message may come in any order: schema_url goes before the members, so that what all members
# share is one piece.


def _resource(resource: Resource) -> bytes:
    """A ResourceSpans but for its scopes."""
    attributes = _attributes(_MEMBER_1, resource.attributes)
    return _sized(_MEMBER_1, attributes) + _text(_MEMBER_3, resource.schema_url)


def _scope(scope: Scope) -> bytes:
    """A ScopeSpans but for its spans."""
    content = _text(_MEMBER_1, scope.name) + _text(_MEMBER_2, scope.version)
    content += _attributes(_MEMBER_3, scope.attributes)
    return _sized(_MEMBER_1, content) + _text(_MEMBER_3, scope.schema_url)


def _text(tag: bytes, text: str | None) -> bytes:
    return _sized(tag, utf8(text_of(text))) if text else b""


def _span(span: Span) -> bytes:
    """The hot path: no helper is called where a line does."""
    attributes = span._attributes
    try:
        encoded = b"".join(map(_pair, attributes.items()))
    except TypeError:  # a value that cannot be hashed
        encoded = b"".join(_span_pairs.all_of(attributes))
    parent_id, trace_state = span.parent_id, span.trace_state
    try:
        times = _times(0x39, span.start_time, 0x41, span.end_time)
    except struct.error:
        times = _times(0x39, unsigned(span.start_time), 0x41, unsigned(span.end_time))
    content = b"".join(
        (
            _ids(b"\x0a\x10", span.trace_id.to_bytes(16, "big"), b"\x12\x08", span.span_id),
            _text(_MEMBER_3, trace_state.to_header()) if trace_state else b"",
            _parent(b"\x22\x08", parent_id) if parent_id else b"",
            _names[span.name],
            _KINDS.get(id(span.kind), b""),
            times,
            encoded,
            _rest(span)
            if span._events
            or span._links
            or span.status_code is not _UNSET
            or span.dropped_attributes
            or span.dropped_events
            or span.dropped_links
            else b"",
            _flags(b"\x85\x01", (0x300 if span.parent_is_remote else 0x100) | span.trace_flags & 0xFF),
        )
    )
    size = len(content)
    if _ONE_BYTE <= size < _TWO_BYTES:
        return _start(0x12, size & 0x7F | 0x80, size >> 7) + content
    return _sized(_MEMBER_2, content)


def _rest(span: Span) -> bytes:
    """Fields 10 to 15."""
    return b"".join(
        (
            _count(b"\x50", span.dropped_attributes),
            *[_sized(_SPAN_EVENT, _event(event)) for event in span._events or ()],
            _count(b"\x60", span.dropped_events),
            *[_sized(_SPAN_LINK, _link(link)) for link in span._links or ()],
            _count(b"\x70", span.dropped_links),
            _status(span),
        )
    )


def _event(event: Event) -> bytes:
    return b"".join(
        (
            _fixed64(0x09, unsigned(event.timestamp)),
            _text(_MEMBER_2, event.name),
            *_event_pairs.all_of(event.attributes),
            _count(b"\x20", event.dropped_attributes),
        )
    )


def _link(link: Link) -> bytes:
    context = link.context
    flags = (_REMOTE_KNOWN | _REMOTE if context.is_remote else _REMOTE_KNOWN) | context.trace_flags & 0xFF
    return b"".join(
        (
            b"\x0a\x10",
            context.trace_id.to_bytes(16, "big"),
            b"\x12\x08",
            context.span_id.to_bytes(8, "big"),
            _text(_MEMBER_3, context.trace_state.to_header()) if context.trace_state else b"",
            _attributes(_MEMBER_4, link.attributes),
            _count(b"\x28", link.dropped_attributes),
            _link_flags(0x35, flags),
        )
    )


def _status(span: Span) -> bytes:
    code = span.status_code
    if code is _UNSET:
        return b""
    if code is _OK:
        return _SPAN_STATUS + b"\x02\x18\x01"
    return _sized(_SPAN_STATUS, _text(_MEMBER_2, span.status_description) + b"\x18\x02")
