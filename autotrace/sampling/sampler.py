"""What the tracer asks of a sampler.

Spec: https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampler
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import SpanKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.sampling import SamplingResult
    from opentelemetry.trace import Link, TraceState


PATH: Final = "url.path"
REQUEST_METHOD: Final = "http.request.method"


class Decision:
    """What becomes of a span. Compare with `DROP` and `SAMPLE` by identity where nothing is added."""

    __slots__ = ("attributes", "recording", "sampled", "trace_state")

    def __init__(
        self,
        recording: bool,
        sampled: bool,
        attributes: Mapping[str, Any] | None = None,
        trace_state: TraceState | None = None,
    ) -> None:
        self.recording = recording
        self.sampled = sampled
        self.attributes = attributes
        """Added to the span."""
        self.trace_state = trace_state
        """Replaces the parent's; None keeps it."""


DROP = Decision(recording=False, sampled=False)
SAMPLE = Decision(recording=True, sampled=True)


class Sampler(ABC):
    """Decides at the start of each span. Called from any thread; must not block."""

    description: str

    reads_attributes = False
    """Whether the attributes at start matter: where not, they are gathered after the decision."""

    reads_request = False
    """Whether of a request's attributes at least the path and the method matter; they cost little to find."""

    follows_parent = False
    """Whether any parent's decision is simply repeated, so that the tracer need not ask."""

    follows_local_parent = False
    """Whether at least that of a parent in this process is, so that the sampler is asked of entries alone.

    What is dropped takes its children with it then, and a trace has no holes.
    """

    root: Sampler
    """Decides where no parent has: another one in a sampler that follows parents, else itself."""

    constant: Decision | None = None
    """The decision, where it is always the same one: saves the call."""

    def __init__(self) -> None:
        self.root = self

    @abstractmethod
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
        """Decide on one span.

        Args:
            parent_sampled: What the parent's service decided; None for a root, and where a remote
                parent left the decision to us.
        """

    # What applications written for the SDK's samplers call.

    def get_description(self) -> str:
        """The same as `description`."""
        return self.description

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,  # noqa: ARG002 - the SDK's own look at the parent's, too
    ) -> SamplingResult:
        """Decide, in the words of the SDK, which whoever asks so has imported."""
        # The application's: the agent goes without.
        from opentelemetry.sdk.trace import sampling as sdk  # noqa: PLC0415

        context = otel.get_current() if parent_context is None else parent_context
        parent = trace.get_current_span(context)
        ids = parent.get_span_context()
        decided = ids.is_valid and not getattr(parent, "deferred", False)
        decision = self.decide(
            ids.trace_flags.sampled if decided else None,
            trace_id,
            name,
            kind or SpanKind.INTERNAL,
            attributes or {},
            links or (),
            context,
        )
        if decision.sampled:
            answer = sdk.Decision.RECORD_AND_SAMPLE
        else:
            answer = sdk.Decision.RECORD_ONLY if decision.recording else sdk.Decision.DROP
        state = decision.trace_state or (ids.trace_state if ids.is_valid else None)
        kept = {**(attributes or {}), **(decision.attributes or {})}
        return sdk.SamplingResult(answer, kept if decision.recording else None, state)
