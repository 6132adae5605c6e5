"""A span as the store takes it and gives it back, whatever wire it came over.

Plain tuples: no OpenTelemetry import, so that the command line starts fast, and nothing of the
three wire models is lost. Numbers follow OTLP, because it is the widest of them: it can say that a
kind is not specified (a Zipkin span without `kind`), which the API's `SpanKind` cannot.

Spec: https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

KIND_NAMES: Final = ("", "internal", "server", "client", "producer", "consumer")
"""Indexed by the kind's number in OTLP; 0 is unspecified."""
KIND_UNSPECIFIED: Final = 0
KIND_INTERNAL: Final = 1
KIND_SERVER: Final = 2
KIND_CLIENT: Final = 3
KIND_PRODUCER: Final = 4
KIND_CONSUMER: Final = 5

STATUS_UNSET: Final = 0
STATUS_OK: Final = 1
STATUS_ERROR: Final = 2

# Bits 0 to 9 of `flags` are those of an OTLP span; the rest of OTLP's 32 is reserved there.
FLAG_SAMPLED: Final = 0x001
FLAG_PARENT_KNOWN: Final = 0x100
"""Whether the next bit says anything."""
FLAG_PARENT_REMOTE: Final = 0x200
FLAG_SHARED: Final = 1 << 32
"""Zipkin: the server half of a span whose id the client made."""
FLAG_DEBUG: Final = 1 << 33
"""Zipkin's `debug`, Jaeger's flag 2."""

UNKNOWN_SERVICE: Final = "unknown_service"


class EventRecord(NamedTuple):
    """Something that happened during a span."""

    name: str
    timestamp: int
    """Nanoseconds since the epoch."""
    attributes: Mapping[str, Any]
    dropped_attributes: int = 0


class LinkRecord(NamedTuple):
    """A reference to another span, of this trace or another."""

    trace_id: int
    span_id: int
    flags: int
    trace_state: str
    attributes: Mapping[str, Any]
    dropped_attributes: int = 0


class ResourceRecord(NamedTuple):
    """Who made a span. Spans of one batch should share the object: it is interned by identity first."""

    attributes: Mapping[str, Any]
    schema_url: str = ""
    dropped_attributes: int = 0

    @property
    def service(self) -> str:
        """The name under which the process is listed."""
        return str(self.attributes.get("service.name") or UNKNOWN_SERVICE)


class ScopeRecord(NamedTuple):
    """Which library made a span; shared like a resource."""

    name: str
    version: str
    attributes: Mapping[str, Any]
    schema_url: str = ""
    dropped_attributes: int = 0


class SpanRecord(NamedTuple):
    """A finished span."""

    trace_id: int
    span_id: int
    parent_id: int
    """0 for a root."""
    name: str
    kind: int
    start: int
    """Nanoseconds since the epoch; 0 when the sender did not say."""
    duration: int | None
    """Nanoseconds, negative when the clock was set back; None when the sender did not say."""
    status: int
    status_message: str
    flags: int
    trace_state: str
    attributes: Mapping[str, Any]
    events: tuple[EventRecord, ...]
    links: tuple[LinkRecord, ...]
    dropped_attributes: int
    dropped_events: int
    dropped_links: int
    resource: ResourceRecord
    scope: ScopeRecord

    @property
    def end(self) -> int:
        """Nanoseconds since the epoch; the start when the duration is not known."""
        return self.start + (self.duration or 0)

    @property
    def failed(self) -> bool:
        """Whether the span's status is an error."""
        return self.status == STATUS_ERROR
