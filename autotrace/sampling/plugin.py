"""Samplers written for the OpenTelemetry SDK, named by entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import TraceState

from autotrace import notices
from autotrace.sampling.sampler import DROP, SAMPLE, Decision, Sampler

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
        parent_sampled: bool | None,
        trace_id: int,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        links: Sequence[Link],
        context: Context,
    ) -> Decision:
        """Translate the SDK's result; a sampler that fails leaves the decision to the parent."""
        try:
            result = self._sampler.should_sample(context, trace_id, name, kind, attributes, links)
            added = {
                key: value
                for key, value in (result.attributes or {}).items()
                if attributes.get(key) is not value
            }
            # For the SDK, too, no tracestate is an empty one: it erases the parent's.
            state = TraceState() if result.trace_state is None else result.trace_state
            return Decision(
                result.decision.is_recording(), result.decision.is_sampled(), added or None, state
            )
        except Exception as error:
            notices.warn(f"sampler {self.description} failed: {error!r:.300}", "sampler")
            return DROP if parent_sampled is False else SAMPLE
