"""A span as Zipkin v2 JSON, whichever wire it came over.

A span of a Zipkin sender goes out as it came; any other as our own exporter would have sent it. The
first have nothing but a service name in their resource, and no scope: see `is_plain`.

Spec: https://zipkin.io/zipkin-api/ and https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/
"""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any

from autotrace.decoding.zipkin_names import (
    LOCAL_ADDRESS,
    LOCAL_IPV6,
    LOCAL_PORT,
    REMOTE_ADDRESS,
    REMOTE_IPV6,
    REMOTE_NAMES,
    REMOTE_PORT,
    REMOTE_SERVICE,
)
from autotrace.store.jaeger_json import plain
from autotrace.store.quantities import full_id
from autotrace.store.records import (
    FLAG_DEBUG,
    FLAG_SHARED,
    KIND_CLIENT,
    KIND_INTERNAL,
    KIND_NAMES,
    KIND_PRODUCER,
    KIND_SERVER,
    STATUS_OK,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from autotrace.store.records import EventRecord, LinkRecord, ResourceRecord, ScopeRecord, SpanRecord

_SERVICE: Final = "service.name"
_ERROR: Final = "error"
_KIND: Final = "span.kind"
_MAX_PORT: Final = 65535


def zipkin_span(span: SpanRecord) -> dict[str, Any]:
    """The members in the order of a Zipkin server, names in lower case, empty members left out."""
    attributes = dict(span.attributes)
    as_it_came = is_plain(span.resource, span.scope)
    local = {"serviceName": span.resource.service.lower()} if span.resource.attributes.get(_SERVICE) else {}
    if as_it_came:
        local.update(_taken(attributes, LOCAL_ADDRESS, LOCAL_IPV6, LOCAL_PORT))
    remote = remote_endpoint(attributes, span.kind, as_it_came=as_it_came)
    annotations = {_annotation(event, as_it_came=as_it_came) for event in span.events}
    members = {
        "traceId": full_id(span.trace_id),
        "parentId": f"{span.parent_id:016x}" if span.parent_id not in {0, span.span_id} else "",
        "id": f"{span.span_id:016x}",
        "kind": KIND_NAMES[span.kind].upper() if span.kind >= KIND_SERVER else "",
        "name": span.name.lower(),
        "timestamp": _microseconds(span.start),
        "duration": 0 if span.duration is None else max(_microseconds(span.duration), 1),
        "localEndpoint": local,
        "remoteEndpoint": remote,
        "annotations": [{"timestamp": time, "value": value} for time, value in sorted(annotations)],
        "tags": dict(sorted(_tags(span, attributes, as_it_came=as_it_came).items())),
        "debug": bool(span.flags & FLAG_DEBUG),
        "shared": bool(span.flags & FLAG_SHARED) and span.kind != KIND_CLIENT,
    }
    return {name: value for name, value in members.items() if value}


def is_plain(resource: ResourceRecord, scope: ScopeRecord) -> bool:
    """Whether all that is known of a span's origin is what a Zipkin span can say."""
    return not scope.name and resource.attributes.keys() <= {_SERVICE}


def remote_endpoint(attributes: dict[str, Any], kind: int, *, as_it_came: bool) -> dict[str, Any]:
    """The other side of a span; what a Zipkin sender said of it is taken out of `attributes`."""
    if as_it_came:
        endpoint: dict[str, Any] = {}
        if isinstance(attributes.get(REMOTE_SERVICE), str):
            endpoint["serviceName"] = attributes.pop(REMOTE_SERVICE).lower()
        endpoint.update(_taken(attributes, REMOTE_ADDRESS, REMOTE_IPV6, REMOTE_PORT))
        if endpoint:
            return endpoint
    if kind in {KIND_CLIENT, KIND_PRODUCER}:
        for name, port in REMOTE_NAMES:
            value = attributes.get(name)
            if isinstance(value, str) and value:
                return {**(_address(value) or {"serviceName": value.lower()}), **_port(attributes.get(port))}
    return {}


def _taken(attributes: dict[str, Any], address: str, ipv6: str, port: str) -> dict[str, Any]:
    """Members of an endpoint, taken out of `attributes`."""
    members: dict[str, Any] = {}
    for name in (address, ipv6):
        found = _address(attributes.get(name))
        if found:
            members.update(found)
            del attributes[name]
    found_port = _port(attributes.get(port))
    if found_port:
        members.update(found_port)
        del attributes[port]
    return members


def _address(value: Any) -> dict[str, str]:
    try:
        return {f"ipv{ipaddress.ip_address(value).version}": value} if isinstance(value, str) else {}
    except ValueError:
        return {}


def _port(value: Any) -> dict[str, int]:
    return {"port": value} if type(value) is int and 0 < value <= _MAX_PORT else {}


def _microseconds(nanoseconds: int) -> int:
    return (nanoseconds + 500) // 1000


def _annotation(event: EventRecord, *, as_it_came: bool) -> tuple[int, str]:
    if event.attributes:
        value = _barless(f"{json.dumps(event.name)}: {_json(event.attributes)}")
    elif "|" in event.name and not as_it_came:
        value = _barless(json.dumps(event.name))
    else:
        value = event.name
    return _microseconds(event.timestamp), value


def _barless(text: str) -> str:
    """JSON with bars escaped, at which the OpenTelemetry collector would split it."""
    return text.replace("|", "\\u007c")


def _tags(span: SpanRecord, attributes: Mapping[str, Any], *, as_it_came: bool) -> dict[str, str]:
    extra: dict[str, Any] = {}
    if span.failed:
        if not as_it_came or _ERROR not in attributes:
            extra["otel.status_code"], extra[_ERROR] = "ERROR", span.status_message
    elif span.status == STATUS_OK:
        extra["otel.status_code"] = "OK"
    if as_it_came and span.kind == KIND_INTERNAL:
        extra[_KIND] = KIND_NAMES[KIND_INTERNAL]
    for what, dropped in (
        ("attributes", span.dropped_attributes),
        ("events", span.dropped_events),
        ("links", span.dropped_links),
    ):
        if dropped:
            extra[f"otel.dropped_{what}_count"] = dropped
    if span.trace_state:
        extra["w3c.tracestate"] = span.trace_state
    extra.update((f"otlp.link.{number}", _link(link)) for number, link in enumerate(span.links))
    process = {key: value for key, value in span.resource.attributes.items() if key != _SERVICE}
    merged = {**process, **attributes, **_scope_tags(span.scope), **extra}
    if merged.get(_ERROR) is False:
        del merged[_ERROR]  # to Zipkin the mere presence of this tag is a failure
    return {key: _text(value) for key, value in merged.items()}


def _scope_tags(scope: ScopeRecord) -> dict[str, str]:
    tags = {}
    for what, value in (("name", scope.name), ("version", scope.version)):
        if value:
            tags[f"otel.scope.{what}"] = tags[f"otel.library.{what}"] = value
    return tags


def _link(link: LinkRecord) -> str:
    attributes = _barless(_json(link.attributes))
    ids = f"{link.trace_id:032x}|{link.span_id:016x}"
    return f"{ids}|{link.trace_state}|{attributes}|{link.dropped_attributes}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    value = plain(value)
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(plain(value), separators=(",", ":"))
