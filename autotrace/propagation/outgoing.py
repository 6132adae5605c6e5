"""Which span a propagator tells the next process about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace

from autotrace.tracing.context import SPAN_KEY
from autotrace.tracing.remote import RemoteSpan
from autotrace.tracing.span import SAMPLED, Span
from autotrace.tracing.unsampled import UnsampledSpan

if TYPE_CHECKING:
    from typing import Final, Union

    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext

    Outgoing = Union[Span, UnsampledSpan, RemoteSpan, SpanContext]

_OURS: Final = frozenset({Span, UnsampledSpan, RemoteSpan})


def outgoing(context: Context) -> Outgoing | None:
    """What carries the ids of the current span; None where there is no valid one.

    Our spans have `trace_id`, `span_id`, `trace_flags` and `trace_state` themselves; a span of
    somebody else has them in its span context.
    """
    span = context.get(SPAN_KEY)
    if type(span) in _OURS:
        return span  # type: ignore[return-value]  # one of the three types
    if isinstance(span, trace.Span):
        ids = span.get_span_context()
        if ids.is_valid:
            return ids
    return None


def decision(span: Outgoing) -> str:
    """Whether `span` is sampled as `1` or `0`; empty where the decision is left to who comes next."""
    if span.trace_flags & SAMPLED:
        return "1"
    return "" if type(span) is RemoteSpan and span.deferred else "0"
