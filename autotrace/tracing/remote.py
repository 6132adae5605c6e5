"""The parent in another process, as a propagator found it, and what came along without being a span.

Spec: https://opentelemetry.io/docs/specs/otel/trace/api/#wrapping-a-spancontext-in-a-span
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.tracing.unsampled import UnsampledSpan

if TYPE_CHECKING:
    from typing import Final

    from opentelemetry.trace import TraceState

DECISION_KEY: Final = "autotrace-sampling-decision"
"""Context key of a bool: upstream decided about the trace without naming a span (`b3: 0`)."""

DEBUG_KEY: Final = "autotrace-debug"
"""Context key, present (True) when upstream asked that the trace be kept by everybody."""

ROOT_ATTRIBUTES_KEY: Final = "autotrace-root-attributes"
"""Context key of a dict: attributes for the root span that starts here."""


class RemoteSpan(UnsampledSpan):
    """A span context received; its ids are valid, or a propagator would not have made it.

    Args:
        trace_id: 128 bits, never 0.
        span_id: 64 bits, never 0.
        trace_flags: W3C bits: 1 sampled, 2 random trace id.
        trace_state: None stands for the empty one.
        deferred: No decision was made upstream: the sampler for roots makes it.
    """

    __slots__ = ("deferred",)

    is_remote = True

    def __init__(
        self,
        trace_id: int,
        span_id: int,
        trace_flags: int,
        trace_state: TraceState | None = None,
        deferred: bool = False,
    ) -> None:
        # As the base's, which a call would make dearer: one is made for each request.
        self.trace_id = trace_id
        self.span_id = span_id
        self.trace_flags = trace_flags
        self.trace_state = trace_state
        self.deferred = deferred
        self._made = None
