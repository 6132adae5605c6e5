"""The span of an operation that is not recorded: its ids travel, nothing else is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

if TYPE_CHECKING:
    from opentelemetry.trace import TraceState


class UnsampledSpan(NonRecordingSpan):
    """Has an id of its own, so that what is downstream sees a parent that exists nowhere else.

    Args:
        trace_id: 128 bits, never 0.
        span_id: 64 bits, never 0.
        trace_flags: W3C bits: 1 sampled, 2 random trace id.
        trace_state: None stands for the empty one.

    Spec: https://opentelemetry.io/docs/specs/otel/trace/sdk/#sdk-span-creation
    """

    __slots__ = ("_made", "span_id", "trace_flags", "trace_id", "trace_state")

    is_remote = False

    def __init__(self, trace_id: int, span_id: int, trace_flags: int, trace_state: TraceState | None) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.trace_flags = trace_flags
        self.trace_state = trace_state
        self._made: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        """Made on first demand: our own tracer reads the slots."""
        made = self._made
        if made is None:
            made = self._made = SpanContext(
                self.trace_id, self.span_id, self.is_remote, TraceFlags(self.trace_flags), self.trace_state
            )
        return made

    @property
    def _context(self) -> SpanContext:  # type: ignore[override]  # the base's attribute, which nobody sets
        """Where `NonRecordingSpan` keeps it; foreign code reads it there."""
        return self.get_span_context()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(trace_id={self.trace_id:032x}, span_id={self.span_id:016x})"
