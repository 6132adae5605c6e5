"""OTLP traces in protobuf.

What repeats, attribute pairs and resources, is remembered under its bytes: 7 us for a span of ten attributes.

Spec: https://opentelemetry.io/docs/specs/otlp/ and opentelemetry-proto's trace.proto, common.proto
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

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
from autotrace.decoding.protobuf import double, fields, signed, text
from autotrace.store.records import (
    KIND_NAMES,
    STATUS_ERROR,
    EventRecord,
    LinkRecord,
    ResourceRecord,
    ScopeRecord,
    SpanRecord,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

_Record = TypeVar("_Record", ResourceRecord, ScopeRecord)

# Tags: number << 3 | kind, see protobuf.py.
_MEMBER_1: Final = 0x0A
_MEMBER_2: Final = 0x12
_MEMBER_3: Final = 0x1A
_MEMBER_4: Final = 0x22
_SPAN_NAME: Final = 0x2A
_SPAN_KIND: Final = 0x30
_SPAN_START: Final = 0x39
_SPAN_END: Final = 0x41
_SPAN_ATTRIBUTE: Final = 0x4A
_SPAN_DROPPED_ATTRIBUTES: Final = 0x50
_SPAN_EVENT: Final = 0x5A
_SPAN_DROPPED_EVENTS: Final = 0x60
_SPAN_LINK: Final = 0x6A
_SPAN_DROPPED_LINKS: Final = 0x70
_SPAN_STATUS: Final = 0x7A
_SPAN_FLAGS: Final = 0x85
_STATUS_CODE: Final = 0x18
_EVENT_TIME: Final = 0x09
_EVENT_DROPPED: Final = 0x20
_LINK_DROPPED: Final = 0x28
_LINK_FLAGS: Final = 0x35
_RESOURCE_DROPPED: Final = 0x10
_SCOPE_DROPPED: Final = 0x20
_ARRAY: Final = 0x2A
_KEY_VALUES: Final = 0x32
_SCALARS: Final[dict[int, Callable[[Any], Any]]] = {
    0x0A: text,
    0x10: bool,
    0x18: signed,
    0x21: double,
    0x3A: bytes,
}
"""string_value, bool_value, int_value, double_value, bytes_value."""

_MAX_PAIRS: Final = 8192
_LONGEST_PAIR: Final = 256
_MAX_SHARED: Final = 512
_LONGEST_SHARED: Final = 16 * 1024


def decode(body: bytes) -> Decoded:
    """The spans of an ExportTraceServiceRequest.

    Raises:
        MalformedError: It is none, or holds too many spans.
    """
    spans: list[SpanRecord] = []
    rejected, reason = 0, ""
    for tag, resource_spans in fields(body):
        if tag != _MEMBER_1:
            continue
        content, schema_url, groups = _group(resource_spans)
        resource = _resources.of(content, schema_url)
        for scope_spans in groups:
            content, schema_url, members = _group(scope_spans)
            scope = _scopes.of(content, schema_url)
            if len(spans) + rejected + len(members) > MAX_SPANS:
                raise MalformedError(TOO_MANY_SPANS)
            for member in members:
                try:
                    spans.append(_span(member, resource, scope))
                except InvalidSpanError as error:
                    rejected += 1
                    reason = reason or str(error)
    return Decoded(spans, rejected, reason)


def _group(message: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """Header, schema URL and members of ResourceSpans or ScopeSpans, which have the same shape."""
    header, schema_url, members = b"", b"", []
    for tag, content in fields(message):
        if tag == _MEMBER_2:
            members.append(content)
            if len(members) > MAX_SPANS:
                raise MalformedError(TOO_MANY_SPANS)
        elif tag == _MEMBER_1:
            header = content
        elif tag == _MEMBER_3:
            schema_url = content
    return header, schema_url, members


def _span(message: bytes, resource: ResourceRecord, scope: ScopeRecord) -> SpanRecord:
    """The hot path."""
    found: dict[int, Any] = {}
    attributes: dict[str, Any] = {}
    events: list[EventRecord] = []
    links: list[LinkRecord] = []
    more_attributes = more_events = more_links = 0
    for tag, content in fields(message):
        if tag == _SPAN_ATTRIBUTE:
            if len(attributes) < MAX_MEMBERS:
                key, value = _pairs[content]
                attributes[key] = value
            else:
                more_attributes += 1
        elif tag == _SPAN_EVENT:
            if len(events) < MAX_MEMBERS:
                events.append(_event(content))
            else:
                more_events += 1
        elif tag == _SPAN_LINK:
            link = _link(content) if len(links) < MAX_MEMBERS else None
            if link is not None:
                links.append(link)
            else:
                more_links += 1
        else:
            found[tag] = content
    get = found.get
    kind, start, end = get(_SPAN_KIND, 0), get(_SPAN_START, 0), get(_SPAN_END, 0)
    status, status_message = _status(found[_SPAN_STATUS]) if _SPAN_STATUS in found else (0, "")
    return SpanRecord(
        valid_trace_id(get(_MEMBER_1, b"")),
        valid_span_id(get(_MEMBER_2, b"")),
        valid_parent_id(get(_MEMBER_4, b"")),
        text(get(_SPAN_NAME, b"")),
        kind if kind < len(KIND_NAMES) else 0,
        start,
        end - start if start and end else None,
        status,
        status_message,
        get(_SPAN_FLAGS, 0),
        text(get(_MEMBER_3, b"")),
        attributes,
        tuple(events),
        tuple(links),
        get(_SPAN_DROPPED_ATTRIBUTES, 0) + more_attributes,
        get(_SPAN_DROPPED_EVENTS, 0) + more_events,
        get(_SPAN_DROPPED_LINKS, 0) + more_links,
        resource,
        scope,
    )


def _status(message: bytes) -> tuple[int, str]:
    found = dict(fields(message))
    code = found.get(_STATUS_CODE, 0)
    return (code if code <= STATUS_ERROR else 0), text(found.get(_MEMBER_2, b""))


def _event(message: bytes) -> EventRecord:
    found, attributes, more = _with_attributes(message, _MEMBER_3)
    return EventRecord(
        text(found.get(_MEMBER_2, b"")),
        found.get(_EVENT_TIME, 0),
        attributes,
        found.get(_EVENT_DROPPED, 0) + more,
    )


def _link(message: bytes) -> LinkRecord | None:
    """A link; None when its ids are of the wrong length."""
    found, attributes, more = _with_attributes(message, _MEMBER_4)
    trace_id, span_id = found.get(_MEMBER_1, b""), found.get(_MEMBER_2, b"")
    if len(trace_id) != TRACE_ID_BYTES or len(span_id) != SPAN_ID_BYTES:
        return None
    return LinkRecord(
        int.from_bytes(trace_id, "big"),
        int.from_bytes(span_id, "big"),
        found.get(_LINK_FLAGS, 0),
        text(found.get(_MEMBER_3, b"")),
        attributes,
        found.get(_LINK_DROPPED, 0) + more,
    )


def _resource(message: bytes, schema_url: bytes) -> ResourceRecord:
    found, attributes, more = _with_attributes(message, _MEMBER_1)
    return ResourceRecord(attributes, text(schema_url), found.get(_RESOURCE_DROPPED, 0) + more)


def _scope(message: bytes, schema_url: bytes) -> ScopeRecord:
    found, attributes, more = _with_attributes(message, _MEMBER_3)
    name, version = text(found.get(_MEMBER_1, b"")), text(found.get(_MEMBER_2, b""))
    return ScopeRecord(name, version, attributes, text(schema_url), found.get(_SCOPE_DROPPED, 0) + more)


def _with_attributes(message: bytes, attribute: int) -> tuple[dict[int, Any], dict[str, Any], int]:
    """Fields of a message but its attributes; those; how many there were too many."""
    found: dict[int, Any] = {}
    attributes: dict[str, Any] = {}
    more = 0
    for tag, content in fields(message):
        if tag != attribute:
            found[tag] = content
        elif len(attributes) < MAX_MEMBERS:
            key, value = _pairs[content]
            attributes[key] = value
        else:
            more += 1
    return found, attributes, more


def _key_value(message: bytes, depth: int = 0) -> tuple[str, Any]:
    found = dict(fields(message))
    return text(found.get(_MEMBER_1, b"")), _any_value(found.get(_MEMBER_2, b""), depth)


def _any_value(message: bytes, depth: int) -> Any:
    value: Any = None
    for tag, content in fields(message):
        scalar = _SCALARS.get(tag)
        if scalar is not None:
            value = scalar(content)
        elif depth < MAX_DEPTH:
            if tag == _ARRAY:
                value = tuple([_any_value(member, depth + 1) for member in _members(content)])
            elif tag == _KEY_VALUES:
                value = dict([_key_value(member, depth + 1) for member in _members(content)])
    return value


def _members(message: bytes) -> Iterator[bytes]:
    return (content for tag, content in fields(message) if tag == _MEMBER_1)


class _Pairs(dict[bytes, "tuple[str, Any]"]):
    """Attribute pairs under their bytes. Threads may share it: a race costs a second decoding."""

    def __missing__(self, message: bytes) -> tuple[str, Any]:
        pair = _key_value(message)
        if len(message) <= _LONGEST_PAIR:
            if len(self) >= _MAX_PAIRS:
                self.clear()
            self[message] = pair
        return pair


class _Shared(Generic[_Record]):
    """Records of resources or scopes under their bytes: the store looks each object up once a batch."""

    def __init__(self, decode: Callable[[bytes, bytes], _Record]) -> None:
        self._decode: Callable[[bytes, bytes], _Record] = decode
        self._known: dict[tuple[bytes, bytes], _Record] = {}

    def of(self, content: bytes, schema_url: bytes) -> _Record:
        """The record."""
        record = self._known.get((content, schema_url))
        if record is None:
            record = self._decode(content, schema_url)
            if len(content) <= _LONGEST_SHARED:
                if len(self._known) >= _MAX_SHARED:
                    self._known.clear()
                self._known[content, schema_url] = record
        return record


_pairs: Final = _Pairs()
_resources: Final = _Shared(_resource)
_scopes: Final = _Shared(_scope)
