"""Traces as Jaeger's query API answers with them and its viewer saves them.

Documented by Jaeger, and stable: https://www.jaegertracing.io/docs/latest/architecture/apis/
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from autotrace.decoding.decoded import (
    MAX_MEMBERS,
    MAX_SPANS,
    TOO_MANY_SPANS,
    Decoded,
    InvalidSpanError,
    MalformedError,
)
from autotrace.decoding.json_text import integer, mapping, parsed, sequence, text
from autotrace.store.records import (
    FLAG_DEBUG,
    FLAG_SAMPLED,
    KIND_NAMES,
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
    from typing import Final

_CHILD_OF: Final = "CHILD_OF"
_MAX_TRACE: Final = 1 << 128
_MAX_SPAN: Final = 1 << 64
_DEBUG: Final = 2
_STATUSES: Final = {"OK": STATUS_OK, "ERROR": STATUS_ERROR}


def decode(body: bytes) -> Decoded:
    """The spans of all traces in an answer.

    Raises:
        MalformedError: It is none.
    """
    return decode_value(parsed(body))


def decode_value(value: Any) -> Decoded:
    """The same, of an answer that was parsed; a bare trace or a list of them will do."""
    traces = value.get("data", [value]) if type(value) is dict else value
    spans: list[SpanRecord] = []
    rejected, reason = 0, ""
    scopes: dict[tuple[str, str], ScopeRecord] = {}
    for trace in sequence(traces, "data"):
        processes = {
            name: _resource(mapping(process, "process"))
            for name, process in mapping(mapping(trace, "trace").get("processes"), "processes").items()
        }
        for member in sequence(trace.get("spans"), "spans"):
            if len(spans) >= MAX_SPANS:
                raise MalformedError(TOO_MANY_SPANS)
            try:
                spans.append(_span(mapping(member, "span"), processes, scopes))
            except InvalidSpanError as error:
                rejected += 1
                reason = reason or str(error)
    return Decoded(spans, rejected, reason)


def _resource(process: dict[str, Any]) -> ResourceRecord:
    return ResourceRecord(
        {"service.name": text(process.get("serviceName"), "serviceName"), **_tags(process.get("tags"))}
    )


def _span(
    span: dict[str, Any],
    processes: dict[str, ResourceRecord],
    scopes: dict[tuple[str, str], ScopeRecord],
) -> SpanRecord:
    trace_id = _id(span.get("traceID"), _MAX_TRACE)
    span_id = _id(span.get("spanID"), _MAX_SPAN)
    if not trace_id or not span_id:
        raise InvalidSpanError("a trace id and a span id must not be all zero")
    resource = processes.get(text(span.get("processID"), "processID"))
    if resource is None:
        resource = _resource(mapping(span.get("process"), "process"))
    parent_id, links = _references(span, trace_id)
    tags = _tags(span.get("tags"))
    status, message = _status(tags)
    scope = (
        _taken(tags, "otel.scope.name", "otel.library.name"),
        _taken(tags, "otel.scope.version", "otel.library.version"),
    )
    flags = integer(span.get("flags"), "flags")
    return SpanRecord(
        trace_id,
        span_id,
        parent_id,
        text(span.get("operationName"), "operationName"),
        _kind(tags),
        max(0, integer(span.get("startTime"), "startTime")) * 1000,
        integer(span.get("duration"), "duration") * 1000,
        status,
        message,
        FLAG_SAMPLED * bool(flags & 1) | FLAG_DEBUG * bool(flags & _DEBUG),
        _taken(tags, "w3c.tracestate"),
        tags,
        tuple(_event(mapping(log, "log")) for log in sequence(span.get("logs"), "logs")[:MAX_MEMBERS]),
        tuple(links),
        _count(tags, "otel.dropped_attributes_count"),
        _count(tags, "otel.dropped_events_count"),
        _count(tags, "otel.dropped_links_count"),
        resource,
        scopes.setdefault(scope, ScopeRecord(*scope, {})),
    )


def _references(span: dict[str, Any], trace_id: int) -> tuple[int, list[LinkRecord]]:
    """The parent, and what else the span refers to."""
    parent_id = _id(span.get("parentSpanID"), _MAX_SPAN)
    links = []
    for each in sequence(span.get("references"), "references")[:MAX_MEMBERS]:
        reference = mapping(each, "reference")
        trace, number = _id(reference.get("traceID"), _MAX_TRACE), _id(reference.get("spanID"), _MAX_SPAN)
        child = reference.get("refType") == _CHILD_OF
        if child and trace == trace_id and parent_id in {0, number}:
            parent_id = number
        elif trace and number:
            attributes = {"opentracing.ref_type": "child_of"} if child else {}
            links.append(LinkRecord(trace, number, 0, "", attributes))
    return parent_id, links


def _event(log: dict[str, Any]) -> EventRecord:
    fields = _tags(log.get("fields"))
    return EventRecord(
        str(fields.pop("event", "")), max(0, integer(log.get("timestamp"), "timestamp")) * 1000, fields
    )


def _tags(value: Any) -> dict[str, Any]:
    tags: dict[str, Any] = {}
    for each in sequence(value, "tags")[:MAX_MEMBERS]:
        tag = mapping(each, "tag")
        tags[text(tag.get("key"), "key")] = _value(tag.get("type"), tag.get("value"))
    return tags


def _value(kind: Any, value: Any) -> Any:
    """What the tag's type says; the viewer shows large integers, NaN and bytes as text."""
    if type(value) is str:
        try:
            if kind == "int64":
                return integer(value, "value")
            if kind == "float64":
                return float(value)
            if kind == "binary":
                return b64decode(value, validate=True)
        except (ValueError, MalformedError):
            pass
        return value
    if type(value) in (list, dict):
        return json.dumps(value)
    if kind == "float64" and type(value) is int:
        return float(value)
    return value


def _kind(tags: dict[str, Any]) -> int:
    name = tags.get("span.kind")
    if type(name) is not str or name.lower() not in KIND_NAMES[1:]:
        return 0
    del tags["span.kind"]
    return KIND_NAMES.index(name.lower())


def _status(tags: dict[str, Any]) -> tuple[int, str]:
    """Status and message, taken out of `tags`."""
    code = _STATUSES.get(str(tags.pop("otel.status_code", "")).upper(), STATUS_UNSET)
    if tags.get("error") in (True, "true"):
        del tags["error"]
        code = STATUS_ERROR
    return code, _taken(tags, "otel.status_description")


def _taken(tags: dict[str, Any], *names: str) -> str:
    """The text of the first that is there; all are removed."""
    found = [tags.pop(name) for name in names if type(tags.get(name)) is str]
    return found[0] if found else ""


def _count(tags: dict[str, Any], name: str) -> int:
    return max(tags.pop(name), 0) if type(tags.get(name)) is int else 0


def _id(value: Any, limit: int) -> int:
    digits = text(value, "id")
    try:
        number = int(digits or "0", 16)
    except ValueError:
        raise InvalidSpanError("an id is hex digits") from None
    if not 0 <= number < limit:
        raise InvalidSpanError("an id is too long")
    return number
