"""What a span is to Jaeger, whichever Thrift protocol then writes it.

Tags and logs are encoded one by one and then put together, so that tags that repeat are encoded once,
and a span that is too large can go without its largest.

Spec: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.31.0/specification/trace/sdk_exporters/jaeger.md
"""

# ruff: noqa: D102 - what the members of Thrift do is said where they are written

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.trace import SpanKind, StatusCode

from autotrace.export.encoded_memory import MAX_ENTRIES, Names, Pairs
from autotrace.export.plain_values import INT64_MAX, INT64_MIN, tag_text, text_of, unsigned, utf8

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from autotrace.tracing.resource import Resource
    from autotrace.tracing.scope import Scope
    from autotrace.tracing.span import Event, Link, Span

_UNSET: Final = StatusCode.UNSET
_OK: Final = StatusCode.OK
_SAMPLED: Final = 1

_CUT: Final = "autotrace.cut"
_DROPPED_ATTRIBUTES: Final = "otel.dropped_attributes_count"

_SHORTER: Final = (4096, 1024, 256)
"""Characters and bytes to cut values to, one after the other, until a span fits."""
_LONGEST_SERVICE_NAME: Final = 100
"""Characters that a process keeps which is too large."""


class Thrift(Protocol):
    """Writes Jaeger's structs. `thrift_compact` and `thrift_binary` are two; texts are UTF-8 already."""

    def text_tag(self, key: bytes, value: bytes) -> bytes: ...
    def double_tag(self, key: bytes, value: float) -> bytes: ...
    def bool_tag(self, key: bytes, value: bool) -> bytes: ...
    def long_tag(self, key: bytes, value: int) -> bytes: ...
    def binary_tag(self, key: bytes, value: bytes) -> bytes: ...
    def text(self, utf8: bytes) -> bytes: ...
    def log(self, timestamp: int, fields: Sequence[bytes]) -> bytes: ...
    def follows_from(self, trace_id: int, span_id: int) -> bytes: ...
    def span(
        self,
        trace_id: int,
        span_id: int,
        parent_id: int,
        name: bytes,
        references: Sequence[bytes],
        flags: int,
        start: int,
        duration: int,
        tags: Sequence[bytes],
        logs: Sequence[bytes],
    ) -> bytes: ...
    def process(self, service_name: bytes, tags: Sequence[bytes]) -> bytes: ...
    def batch(self, process: bytes, spans: Sequence[bytes]) -> bytes: ...
    def message(self, process: bytes, spans: Sequence[bytes]) -> bytes: ...
    def list_header(self, count: int) -> bytes: ...


class SpanEncoder:
    """Encodes spans and resources as Jaeger's Span and Process. Used by one thread at a time."""

    def __init__(self, thrift: Thrift) -> None:
        self._thrift = thrift
        self._pairs = Pairs[bytes](self._tag)
        self._names = Names[bytes](self._name)
        self._scopes: dict[int, tuple[Scope, list[bytes]]] = {}
        self._kinds = {
            id(kind): [self._tag("span.kind", kind.name.lower())]
            for kind in (SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER)
        }

    def span(self, span: Span) -> bytes:
        """Encode a finished span.

        Raises:
            Exception: It holds what cannot be encoded.
        """
        tags = self._span_tags(span, self._pairs.all_of(span._attributes), None)
        logs = self._logs(span, None) if span._events is not None or span._links is not None else ()
        return self._written(span, self._names[span.name], tags, logs)

    def cut_span(self, span: Span, room: int) -> bytes | None:
        """Encode a span in at most `room` bytes; None when that is impossible.

        Long values are cut, then the largest tags and logs left out. A tag `autotrace.cut` says so.

        Raises:
            Exception: It holds what cannot be encoded.
        """
        attributes = {**span._attributes, _CUT: True}
        for longest in _SHORTER:
            name = self._name(text_of(span.name)[:longest])
            tags = self._span_tags(span, self._tags(attributes, longest), longest)
            logs = self._logs(span, longest)
            encoded = self._written(span, name, tags, logs)
            if len(encoded) <= room:
                return encoded
        encoded = self._written(span, name, *_without_largest(tags, logs, len(encoded) - room))
        return encoded if len(encoded) <= room else None

    def process(self, resource: Resource) -> bytes:
        """Encode a resource."""
        return self._thrift.process(utf8(resource.service_name), self._pairs.all_of(_process_tags(resource)))

    def cut_process(self, resource: Resource, room: int) -> bytes:
        """Encode a resource in at most `room` bytes, which are 500 or more, as `cut_span` does."""
        tags = self._tags({**_process_tags(resource), _CUT: True}, _SHORTER[-1])
        name = utf8(resource.service_name[:_LONGEST_SERVICE_NAME])
        tags, _ = _without_largest(tags, [], len(self._thrift.process(name, tags)) - room)
        return self._thrift.process(name, tags)

    def _written(self, span: Span, name: bytes, tags: Sequence[bytes], logs: Sequence[bytes]) -> bytes:
        start, end = span.start_time, span.end_time
        if type(start) is not int or type(end) is not int or not 0 <= start <= end <= INT64_MAX:
            start = unsigned(start, INT64_MAX)
            end = max(start, unsigned(end, INT64_MAX))
        return self._thrift.span(
            span.trace_id,
            span.span_id,
            span.parent_id,
            name,
            [self._thrift.follows_from(*ids) for ids in map(_ids, span._links) if all(ids)]
            if span._links
            else (),
            span.trace_flags & _SAMPLED,
            start // 1000,
            (end - start) // 1000,
            tags,
            logs,
        )

    def _span_tags(self, span: Span, attributes: list[bytes], longest: int | None) -> list[bytes]:
        """Put the kind before the attributes, where an attribute of the name wins, and all else after."""
        scope = span.instrumentation_scope
        known = self._scopes.get(id(scope))
        scope_tags = known[1] if known is not None else self._scope_tags(scope)
        tags = [*self._kinds.get(id(span.kind), ()), *attributes, *scope_tags]
        if (
            span.status_code is not _UNSET
            or span.dropped_attributes
            or span.dropped_events
            or span.dropped_links
            or span.trace_state
        ):
            tags += self._tags(_rare(span), longest)
        return tags

    def _scope_tags(self, scope: Scope) -> list[bytes]:
        """Encode a scope, also under its old names, and remember it by identity."""
        named = {"otel.scope.name": scope.name, "otel.library.name": scope.name}
        versioned = {"otel.scope.version": scope.version, "otel.library.version": scope.version}
        tags = [self._tag(key, value) for key, value in {**named, **versioned}.items() if value]
        if len(self._scopes) >= MAX_ENTRIES:
            self._scopes.clear()
        self._scopes[id(scope)] = (scope, tags)  # a scope that is kept alive keeps its id
        return tags

    def _logs(self, span: Span, longest: int | None) -> list[bytes]:
        """Encode the events, and those links that have attributes, which a reference cannot carry."""
        records = [(event.timestamp, _event_fields(event)) for event in span._events or ()]
        records += [(span.start_time, _link_fields(link)) for link in span._links or () if link.attributes]
        return [
            self._thrift.log(unsigned(time, INT64_MAX) // 1000, self._tags(fields, longest))
            for time, fields in records
        ]

    def _tags(self, attributes: Mapping[str, Any], longest: int | None) -> list[bytes]:
        if longest is None:
            return self._pairs.all_of(attributes)
        return [self._tag(key, _cut(value, longest)) for key, value in attributes.items()]

    def _name(self, name: str) -> bytes:
        return self._thrift.text(utf8(text_of(name)))

    def _tag(self, key: str, value: Any) -> bytes:
        name = utf8(text_of(key))
        if isinstance(value, bool):
            return self._thrift.bool_tag(name, value)
        if isinstance(value, int) and INT64_MIN <= value <= INT64_MAX:
            return self._thrift.long_tag(name, value)
        if isinstance(value, float) and isfinite(
            value
        ):  # the others break viewers: JSON has no word for them
            return self._thrift.double_tag(name, value)
        if isinstance(value, (bytes, bytearray)):
            return self._thrift.binary_tag(name, bytes(value))
        return self._thrift.text_tag(name, utf8(tag_text(value)))


def _rare(span: Span) -> dict[str, Any]:
    """Tags that few spans have."""
    tags: dict[str, Any] = {}
    if span.status_code is not _UNSET:
        tags["otel.status_code"] = "OK" if span.status_code is _OK else "ERROR"
        if span.status_description:
            tags["otel.status_description"] = span.status_description
        if span.status_code is not _OK:
            tags["error"] = True
    if span.dropped_attributes:
        tags[_DROPPED_ATTRIBUTES] = span.dropped_attributes
    if span.dropped_events:
        tags["otel.dropped_events_count"] = span.dropped_events
    if span.dropped_links:
        tags["otel.dropped_links_count"] = span.dropped_links
    if span.trace_state:
        tags["w3c.tracestate"] = span.trace_state.to_header()
    return tags


def _event_fields(event: Event) -> dict[str, Any]:
    """Name and attributes; an attribute `event` wins."""
    return {"event": event.name, **event.attributes, **_dropped(event)}


def _link_fields(link: Link) -> dict[str, Any]:
    trace_id, span_id = _ids(link)
    fields = {"event": "link", "trace_id": f"{trace_id:032x}", "span_id": f"{span_id:016x}"}
    return {**fields, **(link.attributes or {}), **_dropped(link)}


def _dropped(member: Event | Link) -> dict[str, int]:
    return {_DROPPED_ATTRIBUTES: member.dropped_attributes} if member.dropped_attributes else {}


def _ids(link: Link) -> tuple[int, int]:
    """Trace and span id; 0 for what is not valid."""
    context = link.context
    return (context.trace_id, context.span_id) if context.is_valid else (0, 0)


def _process_tags(resource: Resource) -> dict[str, Any]:
    return {key: value for key, value in resource.attributes.items() if key != "service.name"}


def _cut(value: Any, longest: int) -> Any:
    if isinstance(value, (str, bytes, bytearray)):
        return value[:longest]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return tag_text(value)[:longest]


def _without_largest(tags: list[bytes], logs: list[bytes], excess: int) -> tuple[list[bytes], list[bytes]]:
    """Leave out the largest until they are `excess` bytes less, or nothing is left."""
    members = [*tags, *logs]
    left_out = set()
    for position in sorted(range(len(members)), key=lambda position: -len(members[position])):
        if excess <= 0:
            break
        left_out.add(position)
        excess -= len(members[position])
    kept = [b"" if position in left_out else member for position, member in enumerate(members)]
    return list(filter(None, kept[: len(tags)])), list(filter(None, kept[len(tags) :]))
