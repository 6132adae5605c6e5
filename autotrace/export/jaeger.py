"""Spans to a Jaeger collector over HTTP, or to an agent over UDP, in Thrift.

Spec: https://www.jaegertracing.io/docs/1.76/architecture/apis/ and jaeger-idl's jaeger.thrift, agent.thrift
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace import notices
from autotrace.export import thrift_binary, thrift_compact
from autotrace.export.datagrams import DatagramSender, TooLongError
from autotrace.export.delivery import NOT_ENCODED, TOO_LARGE, lose, said
from autotrace.export.jaeger_spans import SpanEncoder
from autotrace.export.transport import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final

    from autotrace.export.exporter import Losses
    from autotrace.export.jaeger_spans import Thrift
    from autotrace.settings import Settings
    from autotrace.tracing.resource import Resource
    from autotrace.tracing.span import Span

MAX_PACKET: Final = 65_000
"""Bytes of a whole datagram: what agents read of one. They drop, without a word, what is longer."""
MIN_PACKET: Final = 1024
"""Bytes below which spans are no longer cut to fit."""
MAX_BODY: Final = 8 * 2**20
"""Bytes of a POST; a Jaeger of version 2 takes 20 MiB."""

COMPACT_PORT: Final = 6831
BINARY_PORT: Final = 6832
COLLECTOR: Final = "http://localhost:14268"
COLLECTOR_PATH: Final = "/api/traces"

_CONTENT_TYPE: Final = "application/x-thrift"
_GRPC_PORT: Final = ":14250"
_HTTP_PORT: Final = ":14268"
_TOO_LONG_STATUS: Final = 413


class _Packets:
    """Spans put together until a packet is full. Each packet names the process anew.

    Args:
        thrift: The protocol.
        wrap: Its `batch` or `message`.
        limit: Bytes of a packet.
        send: Sends a packet, with its number of spans, by a deadline, and counts what is lost.
        destination: For messages.
    """

    def __init__(
        self,
        thrift: Thrift,
        wrap: Callable[[bytes, Sequence[bytes]], bytes],
        limit: int,
        send: Callable[[bytes, int, float, Losses], None],
        destination: str,
    ) -> None:
        self._encoder = SpanEncoder(thrift)
        self._list_header = thrift.list_header
        self._wrap = wrap
        self._limit = limit
        self._send = send
        self._destination = destination

    def send(self, spans: Sequence[Span], deadline: float) -> Losses:
        """Send `spans`, those of one resource together, in their order."""
        losses: Losses = {}
        groups: dict[bytes, list[Span]] = {}
        resource = None
        for span in spans:
            if span.resource is not resource:
                resource = span.resource
                group = groups.setdefault(self._process(resource), [])
            group.append(span)
        for group in groups.values():
            self._send_group(group, deadline, losses)
        return losses

    def _send_group(self, group: list[Span], deadline: float, losses: Losses) -> None:
        spans, encoded = self._encoded(group, losses)
        while spans:  # once, unless packets turn out to be too long
            process = self._process(spans[0].resource)
            room = self._limit - len(self._wrap(process, ())) + len(self._list_header(0))
            spans, encoded = self._fitting(spans, encoded, room, losses)
            done = self._send_packets(process, encoded, room, deadline, losses)
            spans, encoded = spans[done:], encoded[done:]

    def _send_packets(
        self, process: bytes, encoded: list[bytes], room: int, deadline: float, losses: Losses
    ) -> int:
        """Send packet after packet, until all are sent or they are too long; how many spans are done with."""
        start = 0
        while start < len(encoded):
            end = self._full(encoded, start, room)
            try:
                self._send(self._wrap(process, encoded[start:end]), end - start, deadline, losses)
            except TooLongError:
                if self._halve():
                    return start
                lose(losses, TOO_LARGE, end - start)
            start = end
        return start

    def _encoded(self, group: list[Span], losses: Losses) -> tuple[list[Span], list[bytes]]:
        """Encode each span; those that cannot be cost their neighbours nothing."""
        encode = self._encoder.span
        spans, encoded = [], []
        for span in group:
            try:
                encoded.append(encode(span))
            except Exception as error:
                lose(losses, NOT_ENCODED, 1)
                notices.warn(f"{NOT_ENCODED}: {error!r:.300}", NOT_ENCODED)
            else:
                spans.append(span)
        return spans, encoded

    def _fitting(
        self, spans: list[Span], encoded: list[bytes], room: int, losses: Losses
    ) -> tuple[list[Span], list[bytes]]:
        """Cut the spans that are too large for a packet of their own; those that stay so are lost."""
        room -= len(self._list_header(1))
        if max(map(len, encoded)) <= room:
            return spans, encoded
        fitting = []
        for span, candidate in zip(spans, encoded):
            cut = candidate if len(candidate) <= room else self._cut(span, room)
            if cut is None:
                lose(losses, TOO_LARGE, 1)
            else:
                fitting.append((span, cut))
        return [span for span, _ in fitting], [cut for _, cut in fitting]

    def _full(self, encoded: list[bytes], start: int, room: int) -> int:
        """Where the packet ends that begins at `start`: before the span that has no room in it."""
        for end in range(start, len(encoded)):
            room -= len(encoded[end])
            if room < len(self._list_header(end + 1 - start)):
                return end
        return len(encoded)

    def _process(self, resource: Resource) -> bytes:
        """Encode a resource, in half a packet at most."""
        process = self._encoder.process(resource)
        if len(process) > self._limit // 2:
            process = self._encoder.cut_process(resource, self._limit // 2)
            notices.warn(
                f"the resource attributes are cut: each packet to {self._destination} repeats them, "
                f"and they take more than half of its {self._limit} bytes",
                "jaeger process",
            )
        return process

    def _cut(self, span: Span, room: int) -> bytes | None:
        try:
            cut = self._encoder.cut_span(span, room)
        except Exception:
            return None
        outcome = "it is dropped" if cut is None else "its long values are cut"
        notices.warn(
            f"span {span.name!r:.80} is larger than a packet to {self._destination}, "
            f"{self._limit} bytes: {outcome}",
            f"jaeger span {outcome}",
        )
        return cut

    def _halve(self) -> bool:
        """Send shorter packets from now on; whether that makes sense."""
        if self._limit // 2 < MIN_PACKET:
            return False
        self._limit //= 2
        notices.warn(
            f"packets of {2 * self._limit} bytes are too long for {self._destination}: "
            f"from now on {self._limit} at most"
        )
        return True


class JaegerUdpExporter:
    """Sends datagrams to an agent, or to a collector that listens like one.

    Args:
        host: Name or address.
        port: 0 for the protocol's own.
        protocol: `compact` or `binary`.
        max_packet: Bytes of a datagram, 1024 to 65000.
    """

    name = "jaeger"

    def __init__(
        self, host: str = "localhost", port: int = 0, protocol: str = "compact", max_packet: int = MAX_PACKET
    ) -> None:
        thrift = thrift_binary if protocol == "binary" else thrift_compact
        port = port or (BINARY_PORT if protocol == "binary" else COMPACT_PORT)
        self._sender = DatagramSender(host, port)
        limit = min(max(max_packet, MIN_PACKET), MAX_PACKET)
        self.destination = f"udp://[{host}]:{port}" if ":" in host else f"udp://{host}:{port}"
        self._packets = _Packets(thrift, thrift.message, limit, self._sender.send, self.destination)

    def export(self, spans: Sequence[Span], deadline: float) -> Mapping[str, int]:
        """Send `spans`; see `Exporter.export`.

        A refusal that comes late counts with the next call: losses can be more than that call's spans.
        """
        return self._packets.send(spans, deadline)

    def hasten(self, deadline: float) -> None:
        """From any thread, at exit: what is under way ends by `deadline`."""
        self._sender.hasten(deadline)

    def shutdown(self) -> None:
        """Close the socket."""
        self._sender.close()


class JaegerHttpExporter:
    """Posts to a collector.

    Args:
        url: As a rule one that ends in `/api/traces`.
        user: For basic authentication; empty for none.
        password: Goes with it.
        timeout: For one request with its retries, in seconds; 0 for no limit.
        certificate: PEM file with the authorities to trust; empty for the system's.
    """

    name = "jaeger"

    def __init__(
        self, url: str, user: str = "", password: str = "", timeout: float = 10.0, certificate: str = ""
    ) -> None:
        auth = (user, password) if user else None
        self._transport = HttpTransport(url, (), timeout, certificate=certificate, auth=auth)
        self.destination = self._transport.destination
        self._packets = _Packets(thrift_binary, thrift_binary.batch, MAX_BODY, self._post, self.destination)

    def export(self, spans: Sequence[Span], deadline: float) -> Mapping[str, int]:
        """Send `spans`; see `Exporter.export`."""
        return self._packets.send(spans, deadline)

    def _post(self, body: bytes, spans: int, deadline: float, losses: Losses) -> None:
        response = self._transport.post(body, _CONTENT_TYPE, deadline)
        if response.status == _TOO_LONG_STATUS:
            raise TooLongError
        if response.reason:
            lose(losses, response.reason, spans)
            if response.status and response.body:
                text = said(response.body[:1000].decode("utf-8", "replace"))
                notices.warn(f"{self.destination} answered {response.status}: {text}", "jaeger answer")

    def hasten(self, deadline: float) -> None:
        """From any thread, at exit: what is under way ends by `deadline`."""
        self._transport.hasten(deadline)

    def shutdown(self) -> None:
        """Close the connection."""
        self._transport.close()


def from_settings(settings: Settings) -> JaegerUdpExporter | JaegerHttpExporter:
    """The exporter that `OTEL_EXPORTER_JAEGER_*` describe; the settings have settled the protocol."""
    protocol, endpoint = settings.exporter_jaeger_protocol, settings.exporter_jaeger_endpoint
    host, port = settings.exporter_jaeger_agent_host, settings.exporter_jaeger_agent_port
    if protocol.startswith("udp/"):
        encoding = protocol.rpartition(".")[2]
        return JaegerUdpExporter(host or "localhost", port, encoding, settings.jaeger_max_packet)
    url = _collector_url(endpoint or COLLECTOR)
    if protocol == "grpc":
        url = url.replace(_GRPC_PORT, _HTTP_PORT, 1)
    exporter = JaegerHttpExporter(
        url,
        settings.exporter_jaeger_user,
        settings.exporter_jaeger_password,
        settings.exporter_jaeger_timeout,
        settings.exporter_jaeger_certificate,
    )
    if protocol == "grpc":
        notices.warn(
            "OTEL_EXPORTER_JAEGER_PROTOCOL: Jaeger is not reached by gRPC; "
            f"sending Thrift over HTTP instead: {exporter.destination}"
        )
    return exporter


def _collector_url(endpoint: str) -> str:
    """The endpoint with what is missing of scheme and path."""
    if "://" not in endpoint:
        endpoint = f"http://{endpoint}"
    location, mark, query = endpoint.partition("?")
    scheme, _, rest = location.partition("://")
    authority, _, path = rest.partition("/")
    return f"{scheme}://{authority}{f'/{path}' if path else COLLECTOR_PATH}{mark}{query}"
