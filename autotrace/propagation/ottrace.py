"""The format of OpenTracing's basic tracers: `ot-tracer-*`, with `ot-baggage-*` beside it.

Only the low half of a trace id travels.

Spec: https://opentelemetry.io/docs/specs/otel/context/api-propagators/#propagators-distribution
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter

from autotrace.propagation.baggage import bounded, entries, is_token, texts, with_entries
from autotrace.propagation.carrier import prefixed, text
from autotrace.propagation.outgoing import decision, outgoing
from autotrace.tracing.context import current, with_span
from autotrace.tracing.remote import RemoteSpan
from autotrace.tracing.span import SAMPLED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from opentelemetry.propagators.textmap import CarrierT, Getter, Setter

TRACE_ID: Final = "ot-tracer-traceid"
SPAN_ID: Final = "ot-tracer-spanid"
SAMPLED_NAME: Final = "ot-tracer-sampled"
BAGGAGE_PREFIX: Final = "ot-baggage-"

_LOW_64_BITS: Final = 2**64 - 1
_ids: Final = re.compile("([0-9a-f]{1,32})-([0-9a-f]{1,16})", re.IGNORECASE | re.ASCII).fullmatch
_is_header_text: Final = re.compile(r"[\x20-\x7e]*").fullmatch


class OtTrace(TextMapPropagator):
    """`ottrace` in `OTEL_PROPAGATORS`."""

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Make the sender's span current and add its baggage, which counts only with a span."""
        if context is None:
            context = Context()
        trace_text = text(getter, carrier, TRACE_ID)
        if trace_text is None:
            return context
        match = _ids(f"{trace_text}-{text(getter, carrier, SPAN_ID)}")
        if match is None:
            return context
        trace_id, span_id = int(match[1], 16), int(match[2], 16)
        if not trace_id or not span_id:
            return context
        sampled = text(getter, carrier, SAMPLED_NAME)
        span = RemoteSpan(trace_id, span_id, SAMPLED if sampled == "true" else 0, deferred=sampled is None)
        return with_entries(
            bounded(_legal(prefixed(getter, carrier, BAGGAGE_PREFIX))), with_span(span, context)
        )

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Name the current span, unless the half of its trace id that travels is 0."""
        if context is None:
            context = current()
        span = outgoing(context)
        if span is None or not span.trace_id & _LOW_64_BITS:
            return
        setter.set(carrier, TRACE_ID, f"{span.trace_id & _LOW_64_BITS:016x}")
        setter.set(carrier, SPAN_ID, f"{span.span_id:016x}")
        sampled = decision(span)
        if sampled:
            setter.set(carrier, SAMPLED_NAME, "true" if sampled == "1" else "false")
        found = entries(context)
        if found:
            for key, value in bounded(_legal(texts(found))):
                setter.set(carrier, BAGGAGE_PREFIX + key, value)

    @property
    def fields(self) -> set[str]:
        """The headers that `inject` sets for the span; those for baggage depend on its keys."""
        return {TRACE_ID, SPAN_ID, SAMPLED_NAME}


def _legal(pairs: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """The pairs that can be a header as they are: nothing is encoded here."""
    for key, value in pairs:
        if is_token(key) and _is_header_text(value):
            yield key, value
