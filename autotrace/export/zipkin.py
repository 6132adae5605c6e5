"""Spans to a Zipkin server as JSON v2, written straight from span slots to text.

Spec: https://zipkin.io/zipkin-api/ and https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind, StatusCode

from autotrace import notices
from autotrace.export.delivery import bodies, lose, said
from autotrace.export.encoded_memory import Names, Pairs
from autotrace.export.plain_values import json_text, quote, tag_text, text_of, unsigned
from autotrace.export.transport import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from autotrace.export.exporter import Losses
    from autotrace.settings import Settings
    from autotrace.tracing.resource import Resource
    from autotrace.tracing.scope import Scope
    from autotrace.tracing.span import Event, Link, Span

MAX_BODY: Final = 5 * 2**20
"""Bytes; a Zipkin server refuses requests above 10 MB."""

_CONTENT_TYPE: Final = "application/json"
_DO_NOT_TRACE: Final = (("b3", "0"),)
"""Sent with each report, or a tracing proxy on the way would make spans of it, and those spans reports."""

_KINDS: Final = {
    id(SpanKind.SERVER): ',"kind":"SERVER"',
    id(SpanKind.CLIENT): ',"kind":"CLIENT"',
    id(SpanKind.PRODUCER): ',"kind":"PRODUCER"',
    id(SpanKind.CONSUMER): ',"kind":"CONSUMER"',
}
_CLIENT: Final = SpanKind.CLIENT
_PRODUCER: Final = SpanKind.PRODUCER
_OK: Final = StatusCode.OK
_UNSET: Final = StatusCode.UNSET

_SERVICE: Final = "service.name"
_STATUS: Final = "otel.status_code"
_ERROR: Final = "error"
_TRACE_STATE: Final = "w3c.tracestate"
_DROPPED_ATTRIBUTES: Final = "otel.dropped_attributes_count"
_DROPPED_EVENTS: Final = "otel.dropped_events_count"
_DROPPED_LINKS: Final = "otel.dropped_links_count"

_REMOTE_NAMES: Final = (
    ("peer.service", ""),
    ("service.peer.name", ""),
    ("server.address", ""),
    ("net.peer.name", ""),
    ("network.peer.address", "network.peer.port"),
    ("server.socket.domain", ""),
    ("server.socket.address", "server.socket.port"),
    ("net.sock.peer.name", ""),
    ("net.sock.peer.addr", "net.sock.peer.port"),
    ("peer.hostname", ""),
    ("peer.address", ""),
    ("db.name", ""),
)
"""Attributes that name the other side, first hit wins, with the attribute of the port that belongs to it."""

_MAX_PORT: Final = 65535


class ZipkinExporter:
    """Sends spans to the v2 endpoint of a Zipkin server."""

    name = "zipkin"

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        self._transport = HttpTransport(url, _DO_NOT_TRACE, timeout)
        self.destination = self._transport.destination

    def export(self, spans: Sequence[Span], deadline: float) -> Mapping[str, int]:
        """Send `spans`; see `Exporter.export`."""
        losses: Losses = {}
        for body, count in bodies(spans, encode, MAX_BODY, losses):
            response = self._transport.post(body, _CONTENT_TYPE, deadline)
            lose(losses, response.reason, count if response.reason else 0)
            if response.reason and response.status and response.body:
                text = said(response.body[:1000].decode("utf-8", "replace"))
                notices.warn(f"{self.destination} answered {response.status}: {text}", "zipkin answer")
        return losses

    def hasten(self, deadline: float) -> None:
        """From any thread, at exit: what is under way ends by `deadline`."""
        self._transport.hasten(deadline)

    def shutdown(self) -> None:
        """Close the connection."""
        self._transport.close()


def from_settings(settings: Settings) -> ZipkinExporter:
    """The exporter that `OTEL_EXPORTER_ZIPKIN_*` describe."""
    return ZipkinExporter(settings.exporter_zipkin_endpoint, settings.exporter_zipkin_timeout)


def encode(spans: Sequence[Span]) -> bytes:
    """A JSON array of Zipkin v2 spans, in the order given.

    Raises:
        Exception: A span holds what cannot be encoded.
    """
    origins: dict[tuple[int, int], _Origin] = {}
    out = []
    for span in spans:
        identity = (id(span.resource), id(span.instrumentation_scope))
        origin = origins.get(identity)
        if origin is None:
            origin = origins[identity] = _Origin(span.resource, span.instrumentation_scope)
        out.append(_span(span, origin))
    return f"[{','.join(out)}]".encode()


class _Origin:
    """What all spans of a resource and scope share. Lives for one batch."""

    __slots__ = ("endpoint", "resource_tags", "scope_tags", "tags", "taken")

    def __init__(self, resource: Resource, scope: Scope) -> None:
        service = text_of(resource.attributes.get(_SERVICE, "unknown_service"))
        self.endpoint = f',"localEndpoint":{{"serviceName":{quote(service)}}}'
        self.resource_tags = {key: value for key, value in resource.attributes.items() if key != _SERVICE}
        self.scope_tags = _scope_tags(scope)
        self.tags = _pairs.all_of({**self.resource_tags, **self.scope_tags})
        self.taken = frozenset({*self.resource_tags, *self.scope_tags, _ERROR})
        """Keys for which an attribute of a span needs a second thought."""


def _scope_tags(scope: Scope) -> dict[str, Any]:
    tags = {}
    if scope.name:
        tags["otel.scope.name"] = tags["otel.library.name"] = scope.name
    if scope.version:
        tags["otel.scope.version"] = tags["otel.library.version"] = scope.version
    return tags


def _tag(key: Any, value: Any) -> str:
    return f"{_names[key]}:{quote(value if type(value) is str else tag_text(value))}"


_pairs: Final = Pairs[str](_tag)
_pair: Final = _pairs.__getitem__
_names: Final = Names[str](lambda name: quote(text_of(name)))
"""Of spans and of attributes."""


def _span(span: Span, origin: _Origin) -> str:
    kind, parent_id = span.kind, span.parent_id
    start, end = unsigned(span.start_time), unsigned(span.end_time)
    tags = _tags(span, origin)
    return "".join(
        (
            f'{{"traceId":"{span.trace_id:032x}","id":"{span.span_id:016x}"',
            f',"parentId":"{parent_id:016x}"' if parent_id else "",
            _KINDS.get(id(kind), ""),
            f',"name":{_names[span.name]}',
            f',"timestamp":{_microseconds(start)},"duration":{max(_microseconds(end - start), 1)}',
            origin.endpoint,
            _remote_endpoint(span._attributes) if kind is _CLIENT or kind is _PRODUCER else "",
            f',"annotations":[{",".join(map(_annotation, span._events))}]' if span._events else "",
            f',"tags":{{{tags}}}}}' if tags else "}",
        )
    )


def _microseconds(nanoseconds: int) -> int:
    return (nanoseconds + 500) // 1000


def _tags(span: Span, origin: _Origin) -> str:
    attributes = span._attributes
    extra = _extra_tags(span)
    if not extra and origin.taken.isdisjoint(attributes):
        try:
            return ",".join([*map(_pair, attributes.items()), *origin.tags])
        except TypeError:  # a value that cannot be hashed
            pass
    merged = {**origin.resource_tags, **attributes, **origin.scope_tags, **extra}
    if merged.get(_ERROR) is False:
        del merged[_ERROR]  # to Zipkin the mere presence of this tag is a failure
    return ",".join(_pairs.all_of(merged))


def _extra_tags(span: Span) -> dict[str, Any]:
    """Tags for what a Zipkin span has no member for; most spans have none."""
    extra: dict[str, Any] = {}
    code = span.status_code
    if code is not _UNSET:
        extra[_STATUS] = "OK" if code is _OK else "ERROR"
        if code is not _OK:
            extra[_ERROR] = span.status_description or ""
    if span.dropped_attributes:
        extra[_DROPPED_ATTRIBUTES] = span.dropped_attributes
    if span.dropped_events:
        extra[_DROPPED_EVENTS] = span.dropped_events
    if span.dropped_links:
        extra[_DROPPED_LINKS] = span.dropped_links
    if span.trace_state:
        extra[_TRACE_STATE] = span.trace_state.to_header()
    if span._links:
        extra.update((f"otlp.link.{number}", _link(link)) for number, link in enumerate(span._links))
    return extra


def _link(link: Link) -> str:
    """As the OpenTelemetry collector writes and reads it, in five fields between bars."""
    context = link.context
    state = context.trace_state.to_header() if context.trace_state else ""
    attributes = _barless(json_text(dict(link.attributes or {})))
    return f"{context.trace_id:032x}|{context.span_id:016x}|{state}|{attributes}|{link.dropped_attributes}"


def _annotation(event: Event) -> str:
    name = text_of(event.name)
    if event.attributes:
        value = _barless(f"{quote(name)}: {json_text(event.attributes)}")
    else:
        value = _barless(quote(name)) if "|" in name else name
    return f'{{"timestamp":{_microseconds(unsigned(event.timestamp))},"value":{quote(value)}}}'


def _barless(json: str) -> str:
    """JSON with bars escaped: a collector splits at them, and refuses a batch whose middle is no JSON."""
    return json.replace("|", "\\u007c")


def _remote_endpoint(attributes: Mapping[str, Any]) -> str:
    """The other side, from which Zipkin draws its service map."""
    for name, port in _REMOTE_NAMES:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return _endpoints[value, unsigned(attributes.get(port, 0))]
    return ""


def _endpoint(name: str, port: int) -> str:
    import socket  # noqa: PLC0415 - the transport has imported it

    member = "serviceName"
    for family, candidate in ((socket.AF_INET, "ipv4"), (socket.AF_INET6, "ipv6")):
        try:
            socket.inet_pton(family, name)
        except (OSError, ValueError):
            continue
        member = candidate
    port_member = f',"port":{port}' if 0 < port <= _MAX_PORT else ""
    return f',"remoteEndpoint":{{"{member}":{quote(name)}{port_member}}}'


_endpoints: Final = Pairs[str](_endpoint)
