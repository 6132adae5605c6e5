"""From a Zipkin v2 span, as its JSON says it, to a record; protobuf and v1 are brought into that shape first.

Tags that OpenTelemetry's exporters write for what Zipkin has no member for become what they were. Names
of those that stay: see `zipkin_names`.

Spec: https://zipkin.io/zipkin-api/ and https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from autotrace.decoding.decoded import MAX_SPANS, TOO_MANY_SPANS, Decoded, MalformedError
from autotrace.decoding.json_text import integer, mapping, sequence, text
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
from autotrace.store.records import (
    FLAG_DEBUG,
    FLAG_SAMPLED,
    FLAG_SHARED,
    KIND_CLIENT,
    KIND_CONSUMER,
    KIND_INTERNAL,
    KIND_PRODUCER,
    KIND_SERVER,
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
    from typing import Final

_KINDS: Final = {
    "CLIENT": KIND_CLIENT,
    "SERVER": KIND_SERVER,
    "PRODUCER": KIND_PRODUCER,
    "CONSUMER": KIND_CONSUMER,
}
_STATUSES: Final = {"OK": STATUS_OK, "ERROR": STATUS_ERROR, "UNSET": STATUS_UNSET}

_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_MAX_MICROSECONDS: Final = 2**63 // 1000
_MAX_PORT: Final = 65535

_OPENTELEMETRY: Final = "telemetry.sdk.name"
"""A tag of every span that an OpenTelemetry SDK made; such spans carry their resource as tags."""
_RESOURCE_TAGS: Final = (
    "telemetry.",
    "service.",
    "process.",
    "host.",
    "os.",
    "container.",
    "k8s.",
    "cloud.",
    "deployment.",
)
_LINK: Final = "otlp.link."
_LINK_FIELDS: Final = 5

_read_json: Final = json.JSONDecoder().raw_decode


class Zipkin:
    """Converts the spans of one message, which share resources and scopes."""

    def __init__(self) -> None:
        self._resources: dict[tuple[tuple[str, str], ...], ResourceRecord] = {}
        self._scopes: dict[tuple[str, str], ScopeRecord] = {}

    def of(self, value: Any) -> SpanRecord:
        """The record of one span.

        Raises:
            MalformedError: It is none that a Zipkin server would take.
        """
        span = mapping(value, "a span")
        get = span.get
        span_id = identifier(get("id"), "id", _SPAN_DIGITS)
        parent_id = identifier(get("parentId") or "0", "parentId", _SPAN_DIGITS)
        trace_id = identifier(get("traceId"), "traceId", _TRACE_DIGITS)
        if not span_id or not trace_id:
            raise MalformedError("traceId and id must not be all zero")
        start, duration = _microseconds(get("timestamp")), _microseconds(get("duration"))
        attributes: dict[str, Any] = _tags(get("tags"))
        kind = _kind(get("kind"), attributes)
        status, message = _status(attributes)
        links, lost_links = _links(attributes)
        scope = self._scope(attributes)
        read = _event if scope.name or _OPENTELEMETRY in attributes else _annotation
        service = _local_service(get("localEndpoint"), attributes)
        _add_remote(get("remoteEndpoint"), attributes)
        return SpanRecord(
            trace_id,
            span_id,
            parent_id if parent_id != span_id else 0,
            text(get("name"), "name"),
            kind,
            start * 1000,
            duration * 1000 or None,
            status,
            message,
            FLAG_SAMPLED | FLAG_DEBUG * (get("debug") is True) | FLAG_SHARED * (get("shared") is True),
            attributes.pop("w3c.tracestate", ""),
            attributes,
            tuple([read(annotation) for annotation in sequence(get("annotations"), "annotations")]),
            links,
            _count(attributes, "otel.dropped_attributes_count"),
            _count(attributes, "otel.dropped_events_count"),
            _count(attributes, "otel.dropped_links_count") + lost_links,
            self._resource(service, attributes),
            scope,
        )

    def _resource(self, service: str, tags: dict[str, str]) -> ResourceRecord:
        """Who made the span; takes what tells it out of `tags`."""
        attributes = {"service.name": service} if service else {}
        if _OPENTELEMETRY in tags:
            attributes.update((key, tags.pop(key)) for key in [*tags] if key.startswith(_RESOURCE_TAGS))
        identity = tuple(attributes.items())
        return self._resources.setdefault(identity, ResourceRecord(attributes))

    def _scope(self, tags: dict[str, str]) -> ScopeRecord:
        name, version = _either(tags, "name"), _either(tags, "version")
        return self._scopes.setdefault((name, version), ScopeRecord(name, version, {}))


def decode_spans(values: Any) -> Decoded:
    """The records of an array of spans: all, or none.

    Raises:
        MalformedError: One of them is none that a Zipkin server would take.
    """
    zipkin = Zipkin()
    spans = sequence(values, "the request")
    if len(spans) > MAX_SPANS:
        raise MalformedError(TOO_MANY_SPANS)
    return Decoded([zipkin.of(span) for span in spans])


def identifier(value: Any, name: str, digits: int) -> int:
    """A number from 1 to `digits` hex digits."""
    content = text(value, name)
    if not 0 < len(content) <= digits or not _HEX.issuperset(content):
        raise MalformedError(f"{name} must be 1 to {digits} hex digits")
    return int(content, 16)


def _microseconds(value: Any) -> int:
    """0 for what is absent, as zero and negative ones are."""
    number = integer(value, "a time")
    if number > _MAX_MICROSECONDS:
        raise MalformedError("a time must be in microseconds")
    return max(number, 0)


def _tags(value: Any) -> dict[str, str]:
    tags = mapping(value, "tags")
    for content in tags.values():
        if type(content) is not str:
            raise MalformedError("the value of a tag must be a string")
    return dict(tags)


def _kind(value: Any, tags: dict[str, str]) -> int:
    if value is None:
        if tags.get("span.kind") != "internal":
            return KIND_UNSPECIFIED
        del tags["span.kind"]
        return KIND_INTERNAL
    kind = _KINDS.get(text(value, "kind"))
    if kind is None:
        raise MalformedError("kind must be CLIENT, SERVER, PRODUCER or CONSUMER")
    return kind


def _status(tags: dict[str, str]) -> tuple[int, str]:
    """Status and message; see `zipkin_names` for the tag `error`."""
    told = _STATUSES.get(tags.get("otel.status_code", "").upper().replace("STATUS_CODE_", ""))
    if told is not None:
        del tags["otel.status_code"]
        return told, tags.pop("error", "") if told == STATUS_ERROR else ""
    return (STATUS_ERROR, tags["error"]) if "error" in tags else (STATUS_UNSET, "")


def _count(tags: dict[str, str], name: str) -> int:
    content = tags.get(name, "")
    if not content.isascii() or not content.isdigit() or len(content) > 10:  # noqa: PLR2004 - digits of a uint32
        return 0
    del tags[name]
    return int(content)


def _either(tags: dict[str, str], name: str) -> str:
    """Of the scope, under its new name or its old one."""
    old = tags.pop(f"otel.library.{name}", "")
    return tags.pop(f"otel.scope.{name}", old)


def _links(tags: dict[str, str]) -> tuple[tuple[LinkRecord, ...], int]:
    """Links as the OpenTelemetry collector writes them, and how many of them cannot be read."""
    if not any(key.startswith(_LINK) for key in tags):
        return (), 0
    links: list[LinkRecord] = []
    keys = [key for key in tags if key.startswith(_LINK)]
    for key in keys:
        parts = tags.pop(key).split("|", _LINK_FIELDS - 1)
        try:
            trace_id, span_id, state, attributes, dropped = parts
            links.append(
                LinkRecord(
                    identifier(trace_id, key, _TRACE_DIGITS),
                    identifier(span_id, key, _SPAN_DIGITS),
                    0,
                    state,
                    mapping(json.loads(attributes), key),
                    integer(dropped, key),
                )
            )
        except (ValueError, RecursionError, MalformedError):
            continue
    return tuple(links), len(keys) - len(links)


def _annotation(value: Any) -> EventRecord:
    annotation = mapping(value, "an annotation")
    content = text(annotation.get("value"), "an annotation's value")
    return EventRecord(content, _microseconds(annotation.get("timestamp")) * 1000, {})


def _event(value: Any) -> EventRecord:
    """The event that an OpenTelemetry exporter made an annotation of."""
    event = _annotation(value)
    if event.name[:1] not in {'"', "{"}:
        return event
    name, attributes = _named(event.name)
    return event._replace(name=name, attributes=attributes)


def _named(content: str) -> tuple[str, dict[str, Any]]:
    """Name and attributes of `"name": {...}`, of `"name"`, of `{"name": {...}}`; or the text as it is."""
    try:
        name, end = _read_json(content)
        attributes: Any = {}
        if type(name) is dict:
            ((name, attributes),) = name.items()
        elif content[end : end + 1] == ":":
            attributes, end = _read_json(content, end + 1 + (content[end + 1 : end + 2] == " "))
    except (ValueError, RecursionError):
        return content, {}
    if end == len(content) and type(name) is str and type(attributes) is dict:
        return name, attributes
    return content, {}


def _local_service(value: Any, attributes: dict[str, Any]) -> str:
    """The name of the service; its addresses go to `attributes`."""
    service, address, ipv6, port = _endpoint(value)
    _add(attributes, (LOCAL_ADDRESS, address), (LOCAL_IPV6, ipv6), (LOCAL_PORT, port))
    return service


def _add_remote(value: Any, attributes: dict[str, Any]) -> None:
    service, address, ipv6, port = _endpoint(value)
    name = service or address
    if name and _OPENTELEMETRY in attributes and any(attributes.get(key) == name for key, _ in REMOTE_NAMES):
        return  # an exporter made the endpoint from that attribute
    _add(
        attributes,
        (REMOTE_SERVICE, service),
        (REMOTE_ADDRESS, address),
        (REMOTE_IPV6, ipv6),
        (REMOTE_PORT, port),
    )


def _add(attributes: dict[str, Any], *members: tuple[str, Any]) -> None:
    for name, value in members:
        if value:
            attributes.setdefault(name, value)


def _endpoint(value: Any) -> tuple[str, str, str, int]:
    """Service name, address, IPv6 address when that is the second one, port."""
    endpoint = mapping(value, "an endpoint")
    port = integer(endpoint.get("port"), "port")
    ipv4, ipv6 = text(endpoint.get("ipv4"), "ipv4"), text(endpoint.get("ipv6"), "ipv6")
    return (
        text(endpoint.get("serviceName"), "serviceName"),
        ipv4 or ipv6,
        ipv6 if ipv4 else "",
        port if 0 < port <= _MAX_PORT else 0,
    )
