"""OTLP in JSON, written straight from span slots to text.

Ids are hexadecimal, 64-bit integers are strings, enums are numbers; what has its default value is
left out.

Spec: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind, StatusCode

from autotrace.export.encoded_memory import Names, Pairs
from autotrace.export.grouping import Grouping
from autotrace.export.plain_values import (
    INT64_MAX,
    INT64_MIN,
    MAX_DEPTH,
    UINT32_MAX,
    base64,
    float_text,
    integer_text,
    quote,
    text_of,
    unsigned,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from autotrace.tracing.resource import Resource
    from autotrace.tracing.scope import Scope
    from autotrace.tracing.span import Event, Link, Span

CONTENT_TYPE: Final = "application/json"

_KINDS: Final = {
    id(SpanKind.INTERNAL): ',"kind":1',
    id(SpanKind.SERVER): ',"kind":2',
    id(SpanKind.CLIENT): ',"kind":3',
    id(SpanKind.PRODUCER): ',"kind":4',
    id(SpanKind.CONSUMER): ',"kind":5',
}
_OK: Final = StatusCode.OK
_UNSET: Final = StatusCode.UNSET

_REMOTE_KNOWN: Final = 0x100
_REMOTE: Final = 0x200


def encode(spans: Sequence[Span]) -> bytes:
    """An ExportTraceServiceRequest, grouped by resource and scope, spans in the order given.

    Raises:
        Exception: A span holds what cannot be encoded.
    """
    grouping = Grouping(_resource, _scope)
    for span in spans:
        grouping.of(span.resource, span.instrumentation_scope).append(_span(span))
    out = []
    for resource, scopes in grouping.resources():
        scope_spans = [f'{{{scope}"spans":[{",".join(members)}]}}' for scope, members in scopes.items()]
        out.append(f'{{{resource}"scopeSpans":[{",".join(scope_spans)}]}}')
    return f'{{"resourceSpans":[{",".join(out)}]}}'.encode()


def _any_value(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return f'{{"stringValue":{quote(value)}}}'
    if isinstance(value, bool):
        return '{"boolValue":true}' if value else '{"boolValue":false}'
    if isinstance(value, int):
        text = integer_text(value)
        return (
            f'{{"intValue":"{text}"}}' if INT64_MIN <= value <= INT64_MAX else f'{{"stringValue":"{text}"}}'
        )
    if isinstance(value, float):
        text = float_text(value)
        return f'{{"doubleValue":{text}}}' if text[-1].isdigit() else f'{{"doubleValue":"{text}"}}'
    if value is None or depth > MAX_DEPTH:
        return "{}"
    if isinstance(value, (tuple, list)):
        members = ",".join([_any_value(member, depth + 1) for member in value])
        return f'{{"arrayValue":{{"values":[{members}]}}}}'
    if isinstance(value, dict):
        entries = ",".join([_key_value(key, member, depth + 1) for key, member in value.items()])
        return f'{{"kvlistValue":{{"values":[{entries}]}}}}'
    if isinstance(value, (bytes, bytearray)):
        return f'{{"bytesValue":"{base64(value)}"}}'
    return f'{{"stringValue":{quote(text_of(value))}}}'


def _key_value(key: Any, value: Any, depth: int = 0) -> str:
    return f'{{"key":{quote(text_of(key))},"value":{_any_value(value, depth)}}}'


_pairs: Final = Pairs[str](_key_value)
_names: Final = Names[str](lambda name: quote(text_of(name)))


def _attributes(attributes: Mapping[str, Any] | None) -> str:
    if not attributes:
        return ""
    return f',"attributes":[{",".join(_pairs.all_of(attributes))}]'


def _resource(resource: Resource) -> str:
    attributes = _attributes(resource.attributes)[1:]
    return f'"resource":{{{attributes}}},{_schema_url(resource.schema_url)}'


def _scope(scope: Scope) -> str:
    version = f',"version":{quote(text_of(scope.version))}' if scope.version else ""
    name = quote(text_of(scope.name))
    return (
        f'"scope":{{"name":{name}{version}{_attributes(scope.attributes)}}},{_schema_url(scope.schema_url)}'
    )


def _schema_url(url: str) -> str:
    return f'"schemaUrl":{quote(text_of(url))},' if url else ""


def _span(span: Span) -> str:
    trace_state, parent_id = span.trace_state, span.parent_id
    return "".join(
        (
            f'{{"traceId":"{span.trace_id:032x}","spanId":"{span.span_id:016x}"',
            f',"traceState":{quote(trace_state.to_header())}' if trace_state else "",
            f',"parentSpanId":"{parent_id:016x}"' if parent_id else "",
            f',"flags":{(0x300 if span.parent_is_remote else 0x100) | span.trace_flags & 0xFF}',
            f',"name":{_names[span.name]}',
            _KINDS.get(id(span.kind), ""),
            f',"startTimeUnixNano":"{unsigned(span.start_time)}","endTimeUnixNano":"{unsigned(span.end_time)}"',
            _attributes(span._attributes),
            _count("droppedAttributesCount", span.dropped_attributes),
            f',"events":[{",".join([_event(event) for event in span._events])}]' if span._events else "",
            _count("droppedEventsCount", span.dropped_events),
            f',"links":[{",".join([_link(link) for link in span._links])}]' if span._links else "",
            _count("droppedLinksCount", span.dropped_links),
            _status(span),
            "}",
        )
    )


def _count(key: str, number: int) -> str:
    return f',"{key}":{unsigned(number, UINT32_MAX)}' if number else ""


def _event(event: Event) -> str:
    return "".join(
        (
            f'{{"timeUnixNano":"{unsigned(event.timestamp)}","name":{quote(text_of(event.name))}',
            _attributes(event.attributes),
            _count("droppedAttributesCount", event.dropped_attributes),
            "}",
        )
    )


def _link(link: Link) -> str:
    context = link.context
    flags = (_REMOTE_KNOWN | _REMOTE if context.is_remote else _REMOTE_KNOWN) | context.trace_flags & 0xFF
    return "".join(
        (
            f'{{"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}"',
            f',"traceState":{quote(context.trace_state.to_header())}' if context.trace_state else "",
            _attributes(link.attributes),
            _count("droppedAttributesCount", link.dropped_attributes),
            f',"flags":{flags}}}',
        )
    )


def _status(span: Span) -> str:
    if span.status_code is _UNSET:
        return ""
    if span.status_code is _OK:
        return ',"status":{"code":1}'
    message = f'"message":{quote(text_of(span.status_description))},' if span.status_description else ""
    return f',"status":{{{message}"code":2}}'
