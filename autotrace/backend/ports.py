"""What the backend listens for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Final


class Port(NamedTuple):
    """One thing that the backend listens for."""

    key: str
    """In the code, and in the name of its option."""
    name: str
    """For people."""
    number: int
    """Unless told otherwise; 0 for any free one."""
    path: str = ""
    """To be named with the address."""
    datagrams: bool = False


VIEWER: Final = "viewer"
OTLP: Final = "otlp"
ZIPKIN: Final = "zipkin"
JAEGER_HTTP: Final = "jaeger-http"
JAEGER_COMPACT: Final = "jaeger-compact"
JAEGER_BINARY: Final = "jaeger-binary"
SAMPLING: Final = "sampling"

PORTS: Final = (
    Port(VIEWER, "viewer, query APIs", 16686),
    Port(OTLP, "OTLP/HTTP", 4318, "/v1/traces"),
    Port(ZIPKIN, "Zipkin", 9411, "/api/v2/spans"),
    Port(JAEGER_HTTP, "Jaeger, HTTP", 14268, "/api/traces"),
    Port(JAEGER_COMPACT, "Jaeger, compact", 6831, datagrams=True),
    Port(JAEGER_BINARY, "Jaeger, binary", 6832, datagrams=True),
    Port(SAMPLING, "Jaeger sampling", 5778, "/sampling"),
)
