"""Samplers that decide where a trace enters this process, and nowhere else."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from autotrace.sampling.sampler import DROP, SAMPLE, Decision, Sampler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind


class EntrySampler(Sampler):
    """Decides on roots and on spans whose parent is elsewhere; what is below them in this process follows.

    So what is dropped takes its children with it, and a trace has no holes. Whoever wants the decision of
    a calling service to count puts `parentbased_` before the name.
    """

    follows_local_parent = True

    def decide(
        self,
        parent_sampled: bool | None,
        parent_is_remote: bool,
        trace_id: int,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        links: Sequence[Link],
        context: Context,
    ) -> Decision:
        """Decide on an entry; repeat the decision that a parent in this process stands for."""
        if parent_sampled is not None and not parent_is_remote:
            return SAMPLE if parent_sampled else DROP
        return self.decide_entry(parent_sampled, trace_id, name, kind, attributes, links, context)

    @abstractmethod
    def decide_entry(
        self,
        parent_sampled: bool | None,
        trace_id: int,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        links: Sequence[Link],
        context: Context,
    ) -> Decision:
        """Decide on one span; `parent_sampled` tells what the calling service decided, None for nothing."""
