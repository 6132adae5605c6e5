"""The parent in another process, as a propagator found it, and what came along without being a span.

Spec: https://opentelemetry.io/docs/specs/otel/trace/api/#wrapping-a-spancontext-in-a-span
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

if TYPE_CHECKING:
    from typing import Final

    from opentelemetry.trace import TraceState

DECISION_KEY: Final = "autotrace-sampling-decision"
"""Context key of a bool: upstream decided about the trace without naming a span (`b3: 0`)."""

DEBUG_KEY: Final = "autotrace-debug"
"""Context key, present (True) when upstream asked that the trace be kept by everybody."""

ROOT_ATTRIBUTES_KEY: Final = "autotrace-root-attributes"
"""Context key of a dict: attributes for the root span that starts here."""


class RemoteSpan(NonRecordingSpan):
    """A span context received; its ids are valid, or a propagator would not have made it.

    Args:
        trace_id: 128 bits, never 0.
        span_id: 64 bits, never 0.
        trace_flags: W3C bits: 1 sampled, 2 random trace id.
        trace_state: None stands for the empty one.
        deferred: No decision was made upstream: the sampler for roots makes it.
    """

    __slots__ = ("_made", "deferred", "span_id", "trace_flags", "trace_id", "trace_state")

    def __init__(
        self,
        trace_id: int,
        span_id: int,
        trace_flags: int,
        trace_state: TraceState | None = None,
        deferred: bool = False,
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.trace_flags = trace_flags
        self.trace_state = trace_state
        self.deferred = deferred
        self._made: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        """Made on first demand: our own tracer reads the slots."""
        made = self._made
        if made is None:
            made = self._made = SpanContext(
                self.trace_id, self.span_id, True, TraceFlags(self.trace_flags), self.trace_state
            )
        return made

    @property
    def _context(self) -> SpanContext:  # type: ignore[override]  # the base's attribute, which nobody sets
        """Where `NonRecordingSpan` keeps it; foreign code reads it there."""
        return self.get_span_context()

    def __repr__(self) -> str:
        return f"RemoteSpan(trace_id={self.trace_id:032x}, span_id={self.span_id:016x})"
