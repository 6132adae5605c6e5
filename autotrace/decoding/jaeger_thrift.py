"""Jaeger spans in Thrift: a Batch as HTTP carries it, an `emitBatch` message as datagrams do.

Spec: https://github.com/jaegertracing/jaeger-idl/tree/main/thrift and
https://github.com/open-telemetry/opentelemetry-specification/blob/v1.31.0/specification/trace/sdk_exporters/jaeger.md
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, TypeVar

from autotrace.decoding.decoded import (
    MAX_SPANS,
    TOO_MANY_SPANS,
    Decoded,
    InvalidSpanError,
    MalformedError,
)
from autotrace.decoding.thrift import BinaryReader, CompactReader
from autotrace.store.records import (
    FLAG_DEBUG,
    FLAG_SAMPLED,
    KIND_CLIENT,
    KIND_NAMES,
    KIND_UNSPECIFIED,
    STATUS_ERROR,
    STATUS_OK,
    STATUS_UNSET,
    EventRecord,
    LinkRecord,
    ResourceRecord,
    ScopeRecord,
    SpanRecord,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from autotrace.decoding.thrift import Reader

_EMIT: Final = b"emitBatch"

_KINDS: Final = {name: number for number, name in enumerate(KIND_NAMES) if name}
_STATUSES: Final = {"OK": STATUS_OK, "ERROR": STATUS_ERROR}
_HTTP_STATUSES: Final = ("http.response.status_code", "http.status_code")
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500

_CHILD_OF: Final = 0
_SAMPLED: Final = 1
_DEBUG: Final = 2
_LINK: Final = "link"
_MASK64: Final = 2**64 - 1

_VALUES: Final = {0: (3, bytes), 1: (4, float), 2: (5, bool), 3: (6, int), 4: (7, bytes)}
"""Field and type of a tag's value by its vType: some clients fill the other fields too, with nothing."""
_BINARY: Final = 4

_Field = TypeVar("_Field")


def decode(body: bytes) -> Decoded:
    """The spans of a Batch in the binary protocol.

    Raises:
        MalformedError: It is none.
    """
    return _guarded(lambda: _batch(BinaryReader(body).struct()))


def decode_compact_message(packet: bytes) -> Decoded:
    """The spans of an `emitBatch` message in the compact protocol.

    Raises:
        MalformedError: It is none.
    """
    return _guarded(lambda: _message(CompactReader(packet)))


def decode_binary_message(packet: bytes) -> Decoded:
    """The spans of an `emitBatch` message in the binary protocol.

    Raises:
        MalformedError: It is none.
    """
    return _guarded(lambda: _message(BinaryReader(packet)))


def _guarded(decoding: Callable[[], Decoded]) -> Decoded:
    try:
        return decoding()
    except (IndexError, struct.error):
        raise MalformedError("the message ends too early") from None


def _message(reader: Reader) -> Decoded:
    if reader.message_name() != _EMIT:
        raise MalformedError("not an emitBatch message")
    return _batch(_get(reader.struct(), 1, dict))


def _batch(batch: dict[int, Any]) -> Decoded:
    resource = _resource(batch)
    spans: list[SpanRecord] = []
    rejected, reason = 0, ""
    scopes: dict[tuple[str, str], ScopeRecord] = {}
    members = _structs(batch, 2)
    if len(members) > MAX_SPANS:
        raise MalformedError(TOO_MANY_SPANS)
    for member in members:
        try:
            spans.append(_span(member, resource, scopes))
        except InvalidSpanError as error:
            rejected += 1
            reason = reason or str(error)
    return Decoded(spans, rejected, reason)


def _resource(batch: dict[int, Any]) -> ResourceRecord:
    process = _get(batch, 1, dict)
    service = _text(_get(process, 1, bytes)) or ("empty" if 1 in process else "missing") + "-service-name"
    tags = _tags(process, 2)
    hostname, version = tags.pop("hostname", None), tags.pop("jaeger.version", None)
    if hostname is not None:
        tags.setdefault("host.name", hostname)
    if version is not None:
        tags["opencensus.exporterversion"] = f"Jaeger-{version}"
    return ResourceRecord({"service.name": service, **tags})


def _span(
    span: dict[int, Any], resource: ResourceRecord, scopes: dict[tuple[str, str], ScopeRecord]
) -> SpanRecord:
    trace_id, span_id = _trace_id(span, 1), _get(span, 3, int) & _MASK64
    if not trace_id or not span_id:
        raise InvalidSpanError("a trace id and a span id must not be all zero")
    references = [
        (_get(each, 1, int), _trace_id(each, 2), _get(each, 4, int) & _MASK64) for each in _structs(span, 6)
    ]
    parent_id = _get(span, 4, int) & _MASK64 or _parent_of(trace_id, references)
    tags = _tags(span, 10)
    kind = _kind(tags)
    status, message = _status(tags, kind)
    scope = (
        _taken(tags, "otel.scope.name", "otel.library.name"),
        _taken(tags, "otel.scope.version", "otel.library.version"),
    )
    links = [
        _link(kind_of, *ids)
        for kind_of, *ids in references
        if (kind_of, *ids) != (_CHILD_OF, trace_id, parent_id)
    ]
    events = _described(links, [_event(log) for log in _structs(span, 11)])
    flags = _get(span, 7, int)
    return SpanRecord(
        trace_id,
        span_id,
        parent_id,
        _text(_get(span, 5, bytes)) or "empty-span-name",
        kind,
        max(_get(span, 8, int), 0) * 1000,
        _get(span, 9, int) * 1000,
        status,
        message,
        FLAG_SAMPLED * bool(flags & _SAMPLED) | FLAG_DEBUG * bool(flags & _DEBUG),
        _taken(tags, "w3c.tracestate"),
        tags,
        tuple(events),
        tuple(links),
        _count(tags, "otel.dropped_attributes_count"),
        _count(tags, "otel.dropped_events_count"),
        _count(tags, "otel.dropped_links_count"),
        resource,
        scopes.setdefault(scope, ScopeRecord(*scope, {})),
    )


def _parent_of(trace_id: int, references: list[tuple[int, int, int]]) -> int:
    """The first one in the same trace of which the span is a child, else that it follows from."""
    here = sorted(kind for kind, trace, _ in references if trace == trace_id)
    return next((span for kind, trace, span in references if trace == trace_id and kind == here[0]), 0)


def _kind(tags: dict[str, Any]) -> int:
    name = tags.get("span.kind")
    kind = _KINDS.get(name.lower(), KIND_UNSPECIFIED) if type(name) is str else KIND_UNSPECIFIED
    if kind:
        del tags["span.kind"]
    return kind


def _status(tags: dict[str, Any], kind: int) -> tuple[int, str]:
    """Status and message, taken out of `tags`; without a word about it, from an HTTP status."""
    code = _STATUSES.get(str(tags.pop("otel.status_code", "")).upper())
    description = _taken(tags, "otel.status_description")
    if tags.get("error") is True:
        del tags["error"]
        return STATUS_ERROR, description or str(tags.get("http.status_message", ""))
    if code is not None:
        return code, description
    http_status = next((tags[name] for name in _HTTP_STATUSES if name in tags), 0)
    if isinstance(http_status, (int, float)) and "error" not in tags:
        least = _CLIENT_ERROR if kind == KIND_CLIENT else _SERVER_ERROR
        return (STATUS_ERROR if http_status >= least else STATUS_UNSET), description
    return STATUS_UNSET, description


def _link(kind: int, trace_id: int, span_id: int) -> LinkRecord:
    """A link is what FOLLOWS_FROM says; of a second parent it is noted that it was one."""
    attributes = {"opentracing.ref_type": "child_of"} if kind == _CHILD_OF else {}
    return LinkRecord(trace_id, span_id, 0, "", attributes)


def _event(log: dict[int, Any]) -> EventRecord:
    fields = _tags(log, 2)
    dropped = _count(fields, "otel.dropped_attributes_count")
    return EventRecord(str(fields.pop("event", "")), _get(log, 1, int) * 1000, fields, dropped)


def _described(links: list[LinkRecord], events: list[EventRecord]) -> list[EventRecord]:
    """Put the attributes of `links`, which references cannot carry, where they belong; the other events."""
    if not links:
        return events
    bare: dict[tuple[Any, Any], list[int]] = {}
    for position in reversed(range(len(links))):
        if not links[position].attributes:
            ids = (f"{links[position].trace_id:032x}", f"{links[position].span_id:016x}")
            bare.setdefault(ids, []).append(position)
    others = []
    for event in events:
        attributes = dict(event.attributes)
        positions = bare.get((attributes.pop("trace_id", None), attributes.pop("span_id", None)))
        if event.name == _LINK and positions:
            position = positions.pop()
            links[position] = links[position]._replace(
                attributes=attributes, dropped_attributes=event.dropped_attributes
            )
        else:
            others.append(event)
    return others


def _tags(owner: dict[int, Any], number: int) -> dict[str, Any]:
    tags: dict[str, Any] = {}
    for tag in _structs(owner, number):
        kind = _get(tag, 2, int)
        position, shape = _VALUES.get(kind, _VALUES[0])
        value: Any = _get(tag, position, shape)
        tags[_text(_get(tag, 1, bytes))] = _text(value) if shape is bytes and kind != _BINARY else value
    return tags


def _taken(tags: dict[str, Any], *names: str) -> str:
    """The text of the first that is there; all are removed."""
    found = [tags.pop(name) for name in names if type(tags.get(name)) is str]
    return found[0] if found else ""


def _count(tags: dict[str, Any], name: str) -> int:
    return max(tags.pop(name), 0) if type(tags.get(name)) is int else 0


def _trace_id(fields: dict[int, Any], low: int) -> int:
    return (_get(fields, low + 1, int) & _MASK64) << 64 | _get(fields, low, int) & _MASK64


def _structs(fields: dict[int, Any], number: int) -> list[dict[int, Any]]:
    members = _get(fields, number, list)
    if any(type(member) is not dict for member in members):
        raise MalformedError("a list holds what is no struct")
    return members


def _get(fields: dict[int, Any], number: int, kind: type[_Field]) -> _Field:
    """A field; empty when it is not there."""
    value = fields.get(number)
    if type(value) is kind:
        return value
    if value is None:
        return kind()
    raise MalformedError("a field is of the wrong type")


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
