"""The samplers every OpenTelemetry SDK has.

Spec: https://opentelemetry.io/docs/specs/otel/trace/sdk/#built-in-samplers
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.sampling.sampler import DROP, SAMPLE, Decision, Sampler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind

LOW_64_BITS: Final = 2**64 - 1


class AlwaysOn(Sampler):
    """Keep everything."""

    description = "AlwaysOnSampler"
    constant = SAMPLE

    def decide(self, *_span: object) -> Decision:
        """Keep."""
        return SAMPLE


class AlwaysOff(Sampler):
    """Keep nothing."""

    description = "AlwaysOffSampler"
    constant = DROP

    def decide(self, *_span: object) -> Decision:
        """Drop."""
        return DROP


def bound_of(ratio: float) -> int:
    """The trace ids of a share: those whose low half lies below.

    The same as OpenTelemetry's for Python and Go, so services that mix them keep the same traces; a higher
    ratio keeps all that a lower one does.
    """
    return round(ratio * 2**64)


class TraceIdRatio(Sampler):
    """Keep a share of traces, decided on the low half of the trace id.

    Args:
        ratio: From 0 to 1.
    """

    def __init__(self, ratio: float) -> None:
        super().__init__()
        self._bound = bound_of(ratio)
        self.description = f"TraceIdRatioBased{{{ratio}}}"

    def decide(self, _parent_sampled: bool | None, trace_id: int, *_span: object) -> Decision:
        """Keep when the trace id lies below the bound."""
        return SAMPLE if trace_id & LOW_64_BITS < self._bound else DROP


class ParentBased(Sampler):
    """Do as the parent did; ask `root` where there is none, or where it did not decide.

    The four cases that the specification lets one replace stay with their defaults: no variable
    sets them.
    """

    follows_parent = True
    follows_local_parent = True

    def __init__(self, root: Sampler) -> None:
        super().__init__()
        self.root = root
        self.reads_attributes = root.reads_attributes
        self.description = (
            f"ParentBased{{root:{root.description},remoteParentSampled:AlwaysOnSampler,"
            "remoteParentNotSampled:AlwaysOffSampler,localParentSampled:AlwaysOnSampler,"
            "localParentNotSampled:AlwaysOffSampler}"
        )

    def decide(
        self,
        parent_sampled: bool | None,
        trace_id: int,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        links: Sequence[Link],
        context: Context,
    ) -> Decision:
        """Repeat the parent's decision, or make the root's."""
        if parent_sampled is None:
            return self.root.decide(parent_sampled, trace_id, name, kind, attributes, links, context)
        return SAMPLE if parent_sampled else DROP
