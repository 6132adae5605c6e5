"""What the tests of all formats share."""

from __future__ import annotations

from opentelemetry.context import Context

from autotrace.tracing.context import SPAN_KEY, with_span
from autotrace.tracing.remote import RemoteSpan
from autotrace.tracing.unsampled import UnsampledSpan

TRACE = "ff00aa11bb22cc330123456789abcdef"
SPAN = "fedcba9876543210"
TRACE_ID = int(TRACE, 16)
SPAN_ID = int(SPAN, 16)


def ids(context):
    """Trace id, span id, flags and deferral of the remote parent; None when there is none."""
    span = context.get(SPAN_KEY)
    if span is None:
        return None
    assert type(span) is RemoteSpan
    assert span.get_span_context().is_valid
    return span.trace_id, span.span_id, span.trace_flags, span.deferred


def extracted(propagator, headers):
    return ids(propagator.extract(headers))


def current_span(trace_id=TRACE_ID, span_id=SPAN_ID, flags=1, trace_state=None, **others):
    """A context with a span of ours, and what `others` adds."""
    return with_span(UnsampledSpan(trace_id, span_id, flags, trace_state), Context(others))


def injected(propagator, context):
    headers = {}
    propagator.inject(headers, context)
    return headers
