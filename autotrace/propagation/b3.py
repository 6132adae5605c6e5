"""B3, the format of Zipkin: one `b3` header or several `X-B3-*` headers.

Spec: https://github.com/openzipkin/b3-propagation
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter

from autotrace.propagation.carrier import text, text_in_any_case
from autotrace.propagation.outgoing import decision, outgoing
from autotrace.tracing.context import SPAN_KEY, current
from autotrace.tracing.remote import DEBUG_KEY, DECISION_KEY, RemoteSpan
from autotrace.tracing.span import SAMPLED

if TYPE_CHECKING:
    from typing import Final

    from opentelemetry.propagators.textmap import CarrierT, Getter, Setter

    Found = tuple[int, int, str]
    """Trace id, span id (both 0: a decision alone), state: `1`, `0`, `d` for debug, empty to defer."""

TRACE_ID: Final = "X-B3-TraceId"
SPAN_ID: Final = "X-B3-SpanId"
SAMPLED_NAME: Final = "X-B3-Sampled"
FLAGS: Final = "X-B3-Flags"

DENIED: Final = "0"
DEBUG: Final = "d"

_ids: Final = re.compile("([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})").fullmatch
_single: Final = re.compile(
    "([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d])(?:-[0-9a-f]{16})?)?|([01d])"
).fullmatch
_STATES: Final = {"1": "1", "true": "1", "0": DENIED, "false": DENIED}


class _B3(TextMapPropagator):
    """What both forms share: either is understood, the single header first."""

    reads = ("b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags")

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Make the sender's span current, or keep the decision that came without one."""
        if context is None:
            context = Context()
        header = text(getter, carrier, "b3")
        found = (_from_single(header) if header else None) or _from_multi(carrier, getter)
        if found is None:
            return context
        trace_id, span_id, state = found
        added: dict[str, object] = {DEBUG_KEY: True} if state == DEBUG else {}
        if trace_id:
            flags = SAMPLED if state and state != DENIED else 0
            added[SPAN_KEY] = RemoteSpan(trace_id, span_id, flags, deferred=not state)
        else:
            added[DECISION_KEY] = state != DENIED
        return Context({**context, **added})


class B3Single(_B3):
    """`b3` in `OTEL_PROPAGATORS`."""

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Name the current span; the state is left out where nobody has decided."""
        if context is None:
            context = current()
        span = outgoing(context)
        if span is not None:
            state = DEBUG if DEBUG_KEY in context else decision(span)
            ids = f"{span.trace_id:032x}-{span.span_id:016x}"
            setter.set(carrier, "b3", f"{ids}-{state}" if state else ids)

    @property
    def fields(self) -> set[str]:
        """The header that `inject` sets."""
        return {"b3"}


class B3Multi(_B3):
    """`b3multi` in `OTEL_PROPAGATORS`."""

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Name the current span; debug takes the place of the decision, which it implies."""
        if context is None:
            context = current()
        span = outgoing(context)
        if span is None:
            return
        setter.set(carrier, TRACE_ID, f"{span.trace_id:032x}")
        setter.set(carrier, SPAN_ID, f"{span.span_id:016x}")
        state = decision(span)
        if DEBUG_KEY in context:
            setter.set(carrier, FLAGS, "1")
        elif state:
            setter.set(carrier, SAMPLED_NAME, state)

    @property
    def fields(self) -> set[str]:
        """The headers that `inject` sets."""
        return {TRACE_ID, SPAN_ID, SAMPLED_NAME, FLAGS}


def _from_single(header: str) -> Found | None:
    match = _single(header)
    if match is None:
        return None
    trace_text, span_text, state, alone = match.groups()
    if alone:
        return 0, 0, alone
    return _valid(int(trace_text, 16), int(span_text, 16), state or "")


def _from_multi(carrier: CarrierT, getter: Getter[CarrierT]) -> Found | None:
    sampled = text_in_any_case(getter, carrier, SAMPLED_NAME)
    state = "" if sampled is None else _STATES.get(sampled.lower())
    if text_in_any_case(getter, carrier, FLAGS) == "1":
        state = DEBUG
    if state is None:
        return None
    trace_text = text_in_any_case(getter, carrier, TRACE_ID)
    span_text = text_in_any_case(getter, carrier, SPAN_ID)
    if trace_text is None and span_text is None:
        return (0, 0, state) if state else None
    match = _ids(f"{trace_text}-{span_text}")
    return _valid(int(match[1], 16), int(match[2], 16), state) if match is not None else None


def _valid(trace_id: int, span_id: int, state: str) -> Found | None:
    return (trace_id, span_id, state) if trace_id and span_id else None
