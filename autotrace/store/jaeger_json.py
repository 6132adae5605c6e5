"""A trace as the JSON that Jaeger's query API answers with, so that scripts for Jaeger take it too.

Documented by Jaeger, and stable: https://www.jaegertracing.io/docs/latest/architecture/apis/
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from autotrace.store.quantities import full_id
from autotrace.store.records import FLAG_DEBUG, FLAG_SAMPLED, KIND_NAMES, STATUS_OK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Final

    from autotrace.store.records import EventRecord, LinkRecord, ResourceRecord, SpanRecord

_MAX_SAFE: Final = 2**53 - 1
"""The largest integer that a JavaScript number holds."""
_MIN_INT64: Final = -(2**63)
_MAX_INT64: Final = 2**63 - 1
_MAX_DECIMAL_BITS: Final = 8192  # Python refuses to write more than 4300 decimal digits
_DEBUG: Final = 2


def envelope(traces: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What every answer comes in."""
    return {"data": list(traces), "total": 0, "limit": 0, "offset": 0, "errors": None}


def trace(spans: Iterable[SpanRecord]) -> dict[str, Any]:
    """One trace; spans in the order given, processes numbered by first appearance."""
    processes: dict[str, dict[str, Any]] = {}
    numbers: dict[str, str] = {}
    converted = []
    trace_id = ""
    for span in spans:
        trace_id = full_id(span.trace_id)
        process = _process(span.resource)
        content = json.dumps(process)
        if content not in numbers:
            numbers[content] = f"p{len(numbers) + 1}"
            processes[numbers[content]] = process
        converted.append(_span(span, trace_id, numbers[content]))
    return {"traceID": trace_id, "spans": converted, "processes": processes, "warnings": None}


def _span(span: SpanRecord, trace_id: str, process: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "traceID": trace_id,
        "spanID": f"{span.span_id:016x}",
        "flags": (span.flags & FLAG_SAMPLED) | (_DEBUG if span.flags & FLAG_DEBUG else 0),
        "operationName": span.name,
        "references": _references(span, trace_id),
        "startTime": span.start // 1000,
        "duration": max(0, span.duration or 0) // 1000,
        "tags": _tags(_span_tags(span)),
        "logs": [_log(event) for event in span.events],
        "processID": process,
        "warnings": None,
    }
    if not result["flags"]:
        del result["flags"]
    return result


def _process(resource: ResourceRecord) -> dict[str, Any]:
    rest = {key: value for key, value in resource.attributes.items() if key != "service.name"}
    return {"serviceName": resource.service, "tags": _tags(rest)}


def _references(span: SpanRecord, trace_id: str) -> list[dict[str, str]]:
    references = []
    if span.parent_id:
        references.append({"refType": "CHILD_OF", "traceID": trace_id, "spanID": f"{span.parent_id:016x}"})
    references.extend(_reference(link) for link in span.links)
    return references


def _reference(link: LinkRecord) -> dict[str, str]:
    return {"refType": "FOLLOWS_FROM", "traceID": full_id(link.trace_id), "spanID": f"{link.span_id:016x}"}


def _span_tags(span: SpanRecord) -> dict[str, Any]:
    tags = dict(span.attributes)
    if span.scope.name:
        tags["otel.scope.name"] = span.scope.name
    if span.scope.version:
        tags["otel.scope.version"] = span.scope.version
    if span.kind:
        tags["span.kind"] = KIND_NAMES[span.kind]
    if span.failed:
        tags["otel.status_code"] = "ERROR"
        tags["error"] = True
        if span.status_message:
            tags["otel.status_description"] = span.status_message
    elif span.status == STATUS_OK:
        tags["otel.status_code"] = "OK"
    if span.trace_state:
        tags["w3c.tracestate"] = span.trace_state
    for what, dropped in (
        ("attributes", span.dropped_attributes),
        ("events", span.dropped_events),
        ("links", span.dropped_links),
    ):
        if dropped:
            tags[f"otel.dropped_{what}_count"] = dropped
    return tags


def _log(event: EventRecord) -> dict[str, Any]:
    fields = {"event": event.name, **event.attributes}
    return {"timestamp": event.timestamp // 1000, "fields": _tags(fields)}


def _tags(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, **_typed(value)} for key, value in attributes.items()]


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"type": "bool", "value": value}
    if isinstance(value, int) and _MIN_INT64 <= value <= _MAX_INT64:
        return {"type": "int64", "value": value if abs(value) <= _MAX_SAFE else str(value)}
    if isinstance(value, float):
        return {"type": "float64", "value": plain(value)}
    if isinstance(value, bytes):
        return {"type": "binary", "value": plain(value)}
    text = plain(value)
    return {
        "type": "string",
        "value": text if isinstance(text, str) else json.dumps(text, separators=(",", ":")),
    }


def plain(value: Any) -> Any:
    """`value` in strict JSON: bytes in base64, and as text what numbers cannot say there."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float) and value - value != 0:
        return json.dumps(value)  # NaN, Infinity, -Infinity
    if isinstance(value, int) and not _MIN_INT64 <= value <= _MAX_INT64:
        return str(value) if value.bit_length() <= _MAX_DECIMAL_BITS else hex(value)
    if isinstance(value, (tuple, list)):
        return [plain(member) for member in value]
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    return value
