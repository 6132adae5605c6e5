"""The format of the Jaeger clients: `uber-trace-id`, `uberctx-*`, and two headers for tests by hand.

Spec: https://www.jaegertracing.io/docs/1.19/client-libraries/#propagation-format
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter

from autotrace.propagation.baggage import bounded, entries, is_token, texts, with_entries
from autotrace.propagation.carrier import prefixed, text
from autotrace.propagation.outgoing import outgoing
from autotrace.propagation.percent import decode, encode
from autotrace.tracing.context import SPAN_KEY, current
from autotrace.tracing.remote import DEBUG_KEY, DECISION_KEY, ROOT_ATTRIBUTES_KEY, RemoteSpan
from autotrace.tracing.span import SAMPLED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from opentelemetry.propagators.textmap import CarrierT, Getter, Setter

DEBUG_ID: Final = "jaeger-debug-id"
MAX_DEBUG_ID: Final = 256
"""Characters kept of the text in `jaeger-debug-id`."""

BAGGAGE_PREFIX: Final = "uberctx-"
FLAG_SAMPLED: Final = 1
FLAG_DEBUG: Final = 2

_ids: Final = re.compile(
    "([0-9a-f]{1,32}):([0-9a-f]{1,16}):[0-9a-f]+:([0-9a-f]{1,2})", re.IGNORECASE | re.ASCII
).fullmatch


class Jaeger(TextMapPropagator):
    """`jaeger` in `OTEL_PROPAGATORS`."""

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Make the sender's span current, or begin the debug trace that somebody asks for; add baggage."""
        if context is None:
            context = Context()
        added = _span(text(getter, carrier, "uber-trace-id"))
        if not added and SPAN_KEY not in context:
            added = _debug_request(text(getter, carrier, DEBUG_ID))
        if added:
            context = Context({**context, **added})
        return with_entries(bounded(_baggage(carrier, getter)), context)

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Name the current span, its parent as 0 (deprecated); baggage goes also without a span."""
        if context is None:
            context = current()
        span = outgoing(context)
        if span is not None:
            flags = span.trace_flags & SAMPLED
            if DEBUG_KEY in context:
                flags = FLAG_SAMPLED | FLAG_DEBUG
            setter.set(carrier, "uber-trace-id", f"{span.trace_id:032x}:{span.span_id:016x}:0:{flags:x}")
        found = entries(context)
        if found:
            for key, value in bounded((key, encode(value)) for key, value in texts(found)):
                setter.set(carrier, BAGGAGE_PREFIX + key, value)

    @property
    def fields(self) -> set[str]:
        """The header that `inject` sets for the span; those for baggage depend on its keys."""
        return {"uber-trace-id"}


def _span(header: str | None) -> dict[str, object]:
    """What `uber-trace-id` adds to the context."""
    if not header:
        return {}
    # Clients of Uber's time encode the colons.
    match = _ids(header if ":" in header else decode(header))
    if match is None:
        return {}
    trace_id, span_id, flags = int(match[1], 16), int(match[2], 16), int(match[3], 16)
    if not trace_id or not span_id:
        return {}
    debug = flags & FLAG_DEBUG
    span = RemoteSpan(trace_id, span_id, SAMPLED if flags & FLAG_SAMPLED or debug else 0)
    return {SPAN_KEY: span, DEBUG_KEY: True} if debug else {SPAN_KEY: span}


def _debug_request(header: str | None) -> dict[str, object]:
    """What `jaeger-debug-id` adds to the context."""
    if not header:
        return {}
    return {DECISION_KEY: True, DEBUG_KEY: True, ROOT_ATTRIBUTES_KEY: {DEBUG_ID: header[:MAX_DEBUG_ID]}}


def _baggage(carrier: CarrierT, getter: Getter[CarrierT]) -> Iterator[tuple[str, str]]:
    for member in (text(getter, carrier, "jaeger-baggage") or "").split(","):
        key, equals, value = member.partition("=")
        if equals and is_token(key.strip(" \t")):
            yield key.strip(" \t"), value.strip(" \t")
    for key, value in prefixed(getter, carrier, BAGGAGE_PREFIX):
        if is_token(key):
            yield key, decode(value)
