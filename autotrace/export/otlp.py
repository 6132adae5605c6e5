"""Spans to an OTLP backend over HTTP, in protobuf or JSON; over gRPC by OpenTelemetry's own exporter.

Spec: https://opentelemetry.io/docs/specs/otlp/ and .../specs/otel/protocol/exporter/
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from autotrace import notices
from autotrace.export import otlp_json, otlp_protobuf
from autotrace.export.delivery import bodies, lose
from autotrace.export.otlp_answer import error_message, partial_success
from autotrace.export.transport import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from autotrace.export.exporter import Exporter, Losses
    from autotrace.export.transport import Response
    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

MAX_BODY: Final = 64 * 2**20
"""Bytes before compression; what the specification recommends receivers to accept."""

REJECTED: Final = "rejected by backend"

_GRPC_PORT: Final = ":4317"
_HTTP_PORT: Final = ":4318"


class OtlpExporter:
    """Sends spans to one OTLP/HTTP endpoint.

    Args:
        transport: To the final URL, as a rule one that ends in `/v1/traces`.
        protocol: `http/protobuf` or `http/json`.
    """

    name = "otlp"

    def __init__(self, transport: HttpTransport, protocol: str = "http/protobuf") -> None:
        self._transport = transport
        self._format = otlp_json if protocol == "http/json" else otlp_protobuf
        self.destination = transport.destination

    def export(self, spans: Sequence[Span], deadline: float) -> Mapping[str, int]:
        """Send `spans`; see `Exporter.export`. A partial success is final, as the specification asks."""
        losses: Losses = {}
        for body, count in bodies(spans, self._format.encode, MAX_BODY, losses):
            response = self._transport.post(body, self._format.CONTENT_TYPE, deadline)
            if response.reason:
                lose(losses, response.reason, count)
                self._say_why(response)
            else:
                lose(losses, REJECTED, self._rejected(response, count))
        return losses

    def _say_why(self, response: Response) -> None:
        message = error_message(response)
        if message:
            text = f"{self.destination} answered {response.status}: {message}"
            notices.warn(text, f"otlp answer {response.status}")

    def _rejected(self, response: Response, count: int) -> int:
        rejected, message = partial_success(response)
        if rejected or message:
            text = f"{self.destination} rejected {rejected} of {count} spans: {message or 'no reason given'}"
            notices.warn(text, "otlp partial success")
        return min(rejected, count)

    def hasten(self, deadline: float) -> None:
        """From any thread, at exit: what is under way ends by `deadline`."""
        self._transport.hasten(deadline)

    def shutdown(self) -> None:
        """Close the connection."""
        self._transport.close()


def from_settings(settings: Settings) -> Exporter:
    """The exporter that `OTEL_EXPORTER_OTLP_*` describe."""
    url = settings.exporter_otlp_traces_endpoint
    if settings.exporter_otlp_traces_protocol == "grpc":
        exporter = _grpc_exporter(settings)
        if exporter is not None:
            return exporter
        url = _http_url(url, settings.exporter_otlp_traces_insecure)
        notices.warn(
            "OTLP over gRPC needs `pip install 'autotrace[grpc]'`; "
            f"sending OTLP over HTTP to port 4318 instead: {_without_credentials(url)}"
        )
    elif url.partition("://")[2].partition("/")[0].endswith(_GRPC_PORT):
        notices.warn(f"{_without_credentials(url)}: 4317 is the gRPC port, HTTP is 4318")
    transport = HttpTransport(
        url,
        settings.exporter_otlp_traces_headers,
        settings.exporter_otlp_traces_timeout,
        gzip=settings.exporter_otlp_traces_compression == "gzip",
        certificate=settings.exporter_otlp_traces_certificate,
        client_key=settings.exporter_otlp_traces_client_key,
        client_certificate=settings.exporter_otlp_traces_client_certificate,
    )
    return OtlpExporter(transport, settings.exporter_otlp_traces_protocol)


def _without_credentials(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.partition("?")[0].rpartition("@")[2]


def _http_url(url: str, insecure: bool) -> str:
    """Where a backend that listens for gRPC at `url` listens for HTTP, by custom.

    Without a scheme gRPC uses TLS, unless told not to.
    """
    scheme, _, rest = url.rpartition("://")
    authority, _, path = rest.partition("/")
    if authority.endswith(_GRPC_PORT):
        authority = authority[: -len(_GRPC_PORT)] + _HTTP_PORT
    default_scheme = "http" if insecure else "https"
    return f"{scheme or default_scheme}://{authority}/{path or 'v1/traces'}"


def _grpc_exporter(settings: Settings) -> Exporter | None:
    """OpenTelemetry's gRPC exporter, None where it is not installed or does not fit the SDK beside it.

    Certificate files it reads itself, from the same variables.
    """
    try:
        compression = import_module("grpc").Compression
        exporter_class = import_module(
            "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
        ).OTLPSpanExporter
    except Exception:
        return None
    from autotrace.export.sdk import SdkExporter  # noqa: PLC0415 - together with what it adapts

    gzip = settings.exporter_otlp_traces_compression == "gzip"
    url = settings.exporter_otlp_traces_endpoint
    exporter = exporter_class(
        endpoint=url,
        insecure=settings.exporter_otlp_traces_insecure or None,  # None: the scheme decides
        headers=settings.exporter_otlp_traces_headers,
        timeout=settings.exporter_otlp_traces_timeout,
        compression=compression.Gzip if gzip else compression.NoCompression,
    )
    return SdkExporter("otlp", _without_credentials(url), exporter)
