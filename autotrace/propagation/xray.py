"""The header of AWS X-Ray: `X-Amzn-Trace-Id`.

Spec: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter

from autotrace.propagation.carrier import text_in_any_case
from autotrace.propagation.outgoing import decision, outgoing
from autotrace.tracing.context import current, with_span
from autotrace.tracing.remote import RemoteSpan
from autotrace.tracing.span import SAMPLED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from opentelemetry.propagators.textmap import CarrierT, Getter, Setter

HEADER: Final = "X-Amzn-Trace-Id"
LAMBDA_VARIABLE: Final = "_X_AMZN_TRACE_ID"

_MAX_INPUT: Final = 2048
_root: Final = re.compile("1-([0-9a-f]{8})-([0-9a-f]{24})", re.IGNORECASE | re.ASCII).fullmatch
_parent: Final = re.compile("[0-9a-f]{16}", re.IGNORECASE | re.ASCII).fullmatch
_DECISIONS: Final = frozenset({"1", "0", "?", ""})


class XRay(TextMapPropagator):
    """`xray` in `OTEL_PROPAGATORS`."""

    reads = (HEADER.lower(),)

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Make the sender's span current; a header without `Parent` names none."""
        if context is None:
            context = Context()
        header = text_in_any_case(getter, carrier, HEADER)
        span = parse(header) if header else None
        return context if span is None else with_span(span, context)

    def extract_from_lambda(self, environ: Mapping[str, str], context: Context) -> Context:
        """Make the span current that AWS Lambda names in the environment."""
        return self.extract({HEADER: environ.get(LAMBDA_VARIABLE)}, context)

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Name the current span; `Sampled` is left out where nobody has decided."""
        span = outgoing(current() if context is None else context)
        if span is not None:
            digits = f"{span.trace_id:032x}"
            header = f"Root=1-{digits[:8]}-{digits[8:]};Parent={span.span_id:016x}"
            sampled = decision(span)
            setter.set(carrier, HEADER, f"{header};Sampled={sampled}" if sampled else header)

    @property
    def fields(self) -> set[str]:
        """The header that `inject` sets."""
        return {HEADER}


def parse(header: str) -> RemoteSpan | None:
    """The span that a header's text names; keys other than Root, Parent and Sampled are ignored."""
    if len(header) > _MAX_INPUT or "," in header:  # a comma: two headers in one
        return None
    parts = {}
    for part in header.split(";"):
        key, _, value = part.partition("=")
        parts[key.strip()] = value.strip()
    root = _root(parts.get("Root", ""))
    parent = _parent(parts.get("Parent", ""))
    sampled = parts.get("Sampled", "")
    if root is None or parent is None or sampled not in _DECISIONS:
        return None
    trace_id, span_id = int(root[1] + root[2], 16), int(parent[0], 16)
    if not trace_id or not span_id:
        return None
    return RemoteSpan(trace_id, span_id, SAMPLED if sampled == "1" else 0, deferred=sampled in {"?", ""})
