from __future__ import annotations

from headers import SPAN_ID, TRACE_ID
from opentelemetry import trace
from opentelemetry.context import Context

from autotrace.propagation.tracestate import TraceState
from autotrace.tracing.context import with_span
from autotrace.tracing.remote import RemoteSpan


def test_it_is_what_the_api_expects_of_a_remote_parent():
    state = TraceState([("a@", "1")])
    span = RemoteSpan(TRACE_ID, SPAN_ID, 3, state)
    context = span.get_span_context()
    assert (context.trace_id, context.span_id, context.is_remote, context.trace_flags) == (
        TRACE_ID,
        SPAN_ID,
        True,
        3,
    )
    assert context.trace_flags.sampled is True
    assert context.trace_state is state
    assert span.get_span_context() is context
    assert span._context is context
    assert isinstance(span, trace.NonRecordingSpan)
    assert span.is_recording() is False
    assert trace.get_current_span(with_span(span, Context())) is span
    assert f"{TRACE_ID:032x}" in repr(span)


def test_the_empty_tracestate_is_the_apis():
    context = RemoteSpan(1, 2, 0).get_span_context()
    assert context.trace_state is not None
    assert not context.trace_state
    assert context == trace.SpanContext(1, 2, True)


def test_it_does_nothing_when_used_as_a_span():
    span = RemoteSpan(1, 2, 1)
    with span:
        span.set_attribute("a", 1)
        span.add_event("e")
        span.record_exception(ValueError())
        span.set_status(trace.StatusCode.ERROR)
        span.update_name("n")
    assert span.get_span_context().trace_flags == 1
