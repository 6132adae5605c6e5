"""The tracer: where spans begin.

`start_span` and `start_as_current_span` are the OpenTelemetry API's doors, for the application.
`start` and `start_leaf` are ours, for instrumentation: attributes are handed over instead of copied
and checked, and gathered only for spans that are recorded.

Spec: https://opentelemetry.io/docs/specs/otel/trace/api/#tracer
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanKind

from autotrace import notices
from autotrace.tracing.attributes import bounded
from autotrace.tracing.block import SpanBlock
from autotrace.tracing.context import SPAN_KEY, SUPPRESS_KEY, current
from autotrace.tracing.remote import DECISION_KEY, ROOT_ATTRIBUTES_KEY, RemoteSpan
from autotrace.tracing.span import RANDOM, SAMPLED, Span
from autotrace.tracing.unsampled import UnsampledSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link

    from autotrace.tracing.attributes import Attributes
    from autotrace.tracing.provider import TracerProvider
    from autotrace.tracing.scope import Scope

_OURS = (Span, RemoteSpan, UnsampledSpan)
SERVER = SpanKind.SERVER
CONSUMER = SpanKind.CONSUMER
INTERNAL = SpanKind.INTERNAL


class Tracer(trace.Tracer):
    """Starts spans of one instrumentation scope. Safe from any thread, without a lock."""

    def __init__(self, provider: TracerProvider, scope: Scope) -> None:
        self.provider = provider
        self.scope = scope
        self.delegate: trace.Tracer | None = None
        """The tracer of the application's own provider, once it has set one."""

    # Doors for instrumentation.

    def start(  # noqa: C901, PLR0912, PLR0915 - one pass; every call more costs each span 0.1 us
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        context: Context,
        describe: Callable[[Any], Attributes] | None = None,
        subject: Any = None,
        links: Sequence[Link] = (),
        start_time: int | None = None,
    ) -> Span | UnsampledSpan:
        """Begin a span whose context travels: it has ids of its own even when it is not recorded.

        Args:
            name: Of low cardinality.
            kind: As in the API.
            attributes: Belongs to the span from now on. Trusted: keys and values are not checked.
            context: Where the parent is looked up; the caller decides what becomes current.
            describe: Makes the attributes instead, from `subject`, only when somebody will read them.
            subject: For `describe`.
            links: To other spans.
            start_time: Nanoseconds since the epoch; now when not given.
        """
        provider = self.provider
        parent: Any = context.get(SPAN_KEY) if context else None
        if type(parent) is Span and provider.children_follow and not links:
            # The usual span: all that is left to decide has been decided with its parent.
            flags = parent.trace_flags
            if not flags & SAMPLED:
                return UnsampledSpan(parent.trace_id, provider.new_span_id(), flags, parent.trace_state)
            span = Span(
                name,
                kind,
                parent.trace_id,
                provider.new_span_id(),
                flags,
                attributes if describe is None else describe(subject),
                provider.resource,
                self.scope,
                provider.limits,
                provider.on_end,
                start_time,
            )
            span.parent_id = parent.span_id
            span.parent_flags = flags
            if parent.trace_state is not None:
                span.trace_state = parent.trace_state
            return span
        if parent is None:
            if kind is not SERVER and kind is not CONSUMER:  # these are no part of what started the process
                parent = provider.process_parent
        elif type(parent) not in _OURS:
            parent = _foreign(parent)

        sampled: Any  # None while nobody has decided
        if parent is None:
            trace_id = provider.new_trace_id()
            trace_state = None
            flags = provider.random_flag
            sampled = context.get(DECISION_KEY) if context else None
        else:
            trace_id = parent.trace_id
            trace_state = parent.trace_state
            flags = parent.trace_flags & RANDOM
            sampled = (
                None if type(parent) is RemoteSpan and parent.deferred else bool(parent.trace_flags & SAMPLED)
            )

        sampler = provider.sampler
        if sampled is None or not (
            sampler.follows_parent or (sampler.follows_local_parent and type(parent) is not RemoteSpan)
        ):
            if sampled is None:
                sampler = sampler.root
            decision = sampler.constant
            if decision is None:
                if describe is not None and sampler.reads_attributes:
                    attributes, describe = describe(subject), None
                decision = sampler.decide(sampled, trace_id, name, kind, attributes, links, context)
            if decision.trace_state is not None:
                trace_state = decision.trace_state
            if not decision.recording:
                return UnsampledSpan(trace_id, provider.new_span_id(), flags, trace_state)
            if decision.attributes:
                attributes = {
                    **(attributes if describe is None else describe(subject)),
                    **decision.attributes,
                }
                describe = None
            sampled = decision.sampled
        elif not sampled:
            return UnsampledSpan(trace_id, provider.new_span_id(), flags, trace_state)

        span = Span(
            name,
            kind,
            trace_id,
            provider.new_span_id(),
            flags | SAMPLED if sampled else flags,
            attributes if describe is None else describe(subject),
            provider.resource,
            self.scope,
            provider.limits,
            provider.on_end if sampled else provider.on_end_unsampled,
            start_time,
        )
        if trace_state is not None:
            span.trace_state = trace_state
        if parent is not None:
            span.parent_id = parent.span_id
            span.parent_flags = parent.trace_flags
            if type(parent) is RemoteSpan:
                span.parent_is_remote = True
        elif context and ROOT_ATTRIBUTES_KEY in context:
            added: Any = context[ROOT_ATTRIBUTES_KEY]
            span._attributes.update(added)  # noqa: SLF001 - tracer and span are one unit
        for link in links:
            if link is not None:
                span.add_link(link.context, link.attributes)
        if provider.processors:
            provider.on_start(span, context)
        return span

    def start_leaf(self, name: str, kind: SpanKind, attributes: Attributes, context: Context) -> Span | None:
        """Begin a span that nothing can be the child of; None where there is nothing to record."""
        if context and SUPPRESS_KEY in context and context[SUPPRESS_KEY]:
            return None
        span = self.start(name, kind, attributes, context)
        return span if type(span) is Span else None

    # Doors for the application: opentelemetry.trace.Tracer.

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        """Begin a span as the API says."""
        if self.delegate is not None:
            return self.delegate.start_span(
                name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
            )
        if context is None:
            context = current()
        limits = self.provider.limits
        kept, dropped, weight = bounded(attributes, limits.attributes, limits.attribute_length)
        try:
            span = self.start(name, kind, kept, context, None, None, links or (), start_time)
        except Exception as error:  # links that are none, a sampler that fails
            notices.error(f"a span is lost, the program is unaffected: {error!r:.300}", "start_span")
            return NonRecordingSpan(trace.get_current_span(context).get_span_context())
        if type(span) is not Span:
            return span
        span.dropped_attributes += dropped  # a processor may have added to it already
        span.weight += weight
        span._record_exception = record_exception  # noqa: SLF001
        span._set_status_on_exception = set_status_on_exception  # noqa: SLF001
        return span

    def start_as_current_span(  # type: ignore[override]  # a context manager and decorator, as the API's is
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> SpanBlock:
        """Begin a span for a `with` block or, as a decorator, for each call of a function."""
        return SpanBlock(
            self,
            (name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception),
            end_on_exit,
        )


class PassiveTracer(Tracer):
    """Makes no spans and passes the parent on: `OTEL_SDK_DISABLED`, where propagators keep working."""

    def start(
        self, _name: str, _kind: SpanKind, _attributes: Attributes, context: Context, *_span: Any
    ) -> Any:
        """The parent, without what it may record; the invalid span where there is none."""
        parent = context.get(SPAN_KEY)
        if not isinstance(parent, trace.Span):
            return INVALID_SPAN
        return NonRecordingSpan(parent.get_span_context()) if parent.is_recording() else parent


def _foreign(parent: Any) -> Any:
    """A span of somebody else as one that has slots; None when it names no span."""
    ids = parent.get_span_context() if isinstance(parent, trace.Span) else None
    if ids is None or not ids.is_valid:
        return None
    if ids.is_remote:
        return RemoteSpan(ids.trace_id, ids.span_id, ids.trace_flags, ids.trace_state)
    return UnsampledSpan(ids.trace_id, ids.span_id, ids.trace_flags, ids.trace_state)
