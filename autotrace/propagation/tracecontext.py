"""W3C Trace Context, Level 2: `traceparent` and `tracestate`.

Spec: https://www.w3.org/TR/trace-context-2/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter

from autotrace.propagation.carrier import text
from autotrace.propagation.outgoing import outgoing
from autotrace.propagation.tracestate import parse
from autotrace.tracing.context import current, with_span
from autotrace.tracing.remote import RemoteSpan

if TYPE_CHECKING:
    from typing import Final

    from opentelemetry.propagators.textmap import CarrierT, Getter, Setter

KNOWN_FLAGS: Final = 3
"""Sampled and random trace id; the other bits are not passed on."""

# Version, trace id, span id, flags, and what a version after 00 may have put behind them.
_traceparent: Final = re.compile(
    "(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[^,]*)?"
).fullmatch


class TraceContext(TextMapPropagator):
    """`tracecontext` in `OTEL_PROPAGATORS`."""

    reads = ("traceparent",)  # a tracestate alone does not count

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Make the sender's span current; a `tracestate` without valid `traceparent` does not count."""
        if context is None:
            context = Context()
        header = text(getter, carrier, "traceparent")
        if header is None:
            return context
        match = _traceparent(header)
        if match is None:
            return context
        version, trace_text, span_text, flags, rest = match.groups()
        trace_id = int(trace_text, 16)
        span_id = int(span_text, 16)
        if not trace_id or not span_id or (rest and version == "00"):
            return context
        states = text(getter, carrier, "tracestate")
        return with_span(
            RemoteSpan(trace_id, span_id, int(flags, 16) & KNOWN_FLAGS, parse(states) if states else None),
            context,
        )

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Name the current span."""
        span = outgoing(current() if context is None else context)
        if span is None:
            return
        ids = (span.trace_id, span.span_id, span.trace_flags & KNOWN_FLAGS)
        setter.set(carrier, "traceparent", "00-%032x-%016x-%02x" % ids)  # noqa: UP031 - a third faster
        if span.trace_state:
            states = span.trace_state.to_header()
            if states:
                setter.set(carrier, "tracestate", states)

    @property
    def fields(self) -> set[str]:
        """The headers that `inject` sets."""
        return {"traceparent", "tracestate"}
