"""The span of an operation that is not recorded: its ids travel, nothing else is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

if TYPE_CHECKING:
    from opentelemetry.trace import TraceState


class UnsampledSpan(NonRecordingSpan):
    """Has an id of its own, so that what is downstream sees a parent that exists nowhere else.

    Spec: https://opentelemetry.io/docs/specs/otel/trace/sdk/#sdk-span-creation
    """

    __slots__ = ("_span_context", "span_id", "trace_flags", "trace_id", "trace_state")

    def __init__(self, trace_id: int, span_id: int, trace_flags: int, trace_state: TraceState | None) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.trace_flags = trace_flags
        self.trace_state = trace_state
        self._span_context: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        """Made on first demand."""
        context = self._span_context
        if context is None:
            context = self._span_context = SpanContext(
                self.trace_id, self.span_id, False, TraceFlags(self.trace_flags), self.trace_state
            )
        return context

    def __repr__(self) -> str:
        return f"UnsampledSpan(trace_id={self.trace_id:032x}, span_id={self.span_id:016x})"
