"""Samplers written for the OpenTelemetry SDK, named by entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.sampling.sampler import Decision, Sampler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind


class PluginSampler(Sampler):
    """Asks an SDK sampler for each span; it sees the parent through the context, as in the SDK."""

    reads_attributes = True

    def __init__(self, sampler: Any) -> None:
        super().__init__()
        self._sampler = sampler
        self.description = str(sampler.get_description())

    def decide(
        self,
        _parent_sampled: bool | None,
        _parent_is_remote: bool,
        trace_id: int,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        links: Sequence[Link],
        context: Context,
    ) -> Decision:
        """Translate the SDK's result."""
        result = self._sampler.should_sample(context, trace_id, name, kind, attributes, links)
        added = {
            key: value for key, value in (result.attributes or {}).items() if attributes.get(key) is not value
        }
        return Decision(
            result.decision.is_recording(), result.decision.is_sampled(), added or None, result.trace_state
        )
