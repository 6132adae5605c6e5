"""The tracer provider: what all tracers of the process share.

Spec: https://opentelemetry.io/docs/specs/otel/trace/sdk/#tracer-provider
"""

from __future__ import annotations

from functools import partial
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from autotrace import forks, notices
from autotrace.tracing.attributes import bounded
from autotrace.tracing.ids import RandomIds, getrandbits
from autotrace.tracing.limits import Limits
from autotrace.tracing.resource import Resource
from autotrace.tracing.scope import Scope
from autotrace.tracing.span import RANDOM, SAMPLED
from autotrace.tracing.tracer import PassiveTracer, Tracer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from opentelemetry.context import Context

    from autotrace.sampling.sampler import Sampler
    from autotrace.tracing.ids import IdGenerator
    from autotrace.tracing.remote import RemoteSpan
    from autotrace.tracing.span import Span

SHUTDOWN_TIMEOUT: Final = 30.0
"""Seconds that `shutdown` waits for what has ended."""


class TracerProvider(trace.TracerProvider):
    """Sampler, ids, limits, resource, processors, and where finished spans go.

    Args:
        resource: Who makes the spans.
        sampler: Decides on each root, and on each child where it does not follow the parent.
        sink: Takes each finished, sampled span; must be quick and must not raise.
        limits: What one span may hold.
        id_generator: Replaces the random ids.
        process_parent: The span in another process that started this one (`TRACEPARENT`).
        disabled: Make no spans at all, only pass contexts on (`OTEL_SDK_DISABLED`).
    """

    def __init__(
        self,
        resource: Resource,
        sampler: Sampler,
        sink: Callable[[Span], None],
        limits: Limits | None = None,
        id_generator: IdGenerator | None = None,
        process_parent: RemoteSpan | None = None,
        disabled: bool = False,
    ) -> None:
        self.resource = resource
        self.sampler = sampler
        self.limits = limits or Limits()
        self.process_parent = process_parent
        self.disabled = disabled
        self.processors: tuple[Any, ...] = ()
        self.id_generator: IdGenerator = id_generator or RandomIds()
        self._sink = sink
        self.resource_after_fork: Callable[[], Resource] | None = None
        self._described: dict[str, Any] = {}
        self.at_exit: Callable[[], None] | None = None
        """What `atexit` calls, for ways out that pass it by."""
        self._flush: Callable[[float], bool] | None = None
        self._tracers: dict[Scope, Tracer] = {}
        self._lock = Lock()
        self._choose_id_source()
        self._choose_ways()
        forks.in_child(self._start_afresh)

    def _start_afresh(self) -> None:
        """After a fork: another thread may have held the lock, and the process has another identity."""
        self._lock = Lock()
        if self.resource_after_fork is not None:
            self.resource = self.resource_after_fork()
            self.describe({})

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Add to the resource of spans that begin from now on what the program says of itself."""
        self._described.update(attributes)
        if self._described:
            self.resource = self.resource.merge(Resource(self._described))

    def _choose_id_source(self) -> None:
        self.new_span_id: Callable[[], int]
        self.new_trace_id: Callable[[], int]
        generator = self.id_generator
        if type(generator) is RandomIds:
            # 0 is no valid id; it comes once in 2**64 draws, and a check would cost every span.
            self.new_span_id = partial(getrandbits, 64)
            self.new_trace_id = partial(getrandbits, 128)
            self.random_flag = RANDOM
        else:
            self.new_span_id = generator.generate_span_id
            self.new_trace_id = generator.generate_trace_id
            is_random = getattr(generator, "is_trace_id_random", None)
            self.random_flag = RANDOM if is_random is not None and is_random() else 0

    def _choose_ways(self) -> None:
        """Pick the shortest way into a span and out of it; each remembers the latter from its start."""
        limits = self.limits
        checked = limits.attribute_length is not None or limits.attributes < Limits().attributes
        self.children_follow = self.sampler.follows_local_parent and not self.processors
        """Whether a child of a span of ours needs nobody asked and nobody told."""
        self.on_end: Callable[[Span], None] = self._sink
        self.on_end_unsampled: Callable[[Span], None] = _nowhere
        if checked or self.processors:
            self.on_end = self.on_end_unsampled = self._end_with_all

    def _end_with_all(self, span: Span) -> None:
        """The long way: limits on what instrumentation handed over unchecked, then processors."""
        limits = self.limits
        if limits.attribute_length is not None or len(span._attributes) > limits.attributes:  # noqa: SLF001
            kept, dropped, _weight = bounded(span._attributes, limits.attributes, limits.attribute_length)  # noqa: SLF001
            span._attributes = kept  # noqa: SLF001
            span.dropped_attributes += dropped
        for processor in self.processors:
            try:
                processor.on_end(span)
            except Exception as error:
                notices.warn(
                    f"span processor {type(processor).__name__}.on_end failed: {error!r}", "processor"
                )
        if span.trace_flags & SAMPLED:
            self._sink(span)

    def on_start(self, span: Span, context: Context) -> None:
        """Tell the processors."""
        for processor in self.processors:
            try:
                processor.on_start(span, parent_context=context)
            except Exception as error:
                notices.warn(
                    f"span processor {type(processor).__name__}.on_start failed: {error!r}", "processor"
                )

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Tracer:
        """The tracer of one scope; the same object for the same scope."""
        scope = Scope(instrumenting_module_name or "", instrumenting_library_version, schema_url, attributes)
        with self._lock:
            tracer = self._tracers.get(scope)
            if tracer is None:
                tracer = self._tracers[scope] = (PassiveTracer if self.disabled else Tracer)(self, scope)
        return tracer

    def hand_over(self, provider: trace.TracerProvider, keep: str) -> None:
        """Let tracers that the application holds make their spans with `provider` from now on.

        Args:
            provider: The one the application has set.
            keep: Scopes whose name starts so are ours and stay here.
        """
        for scope, tracer in list(self._tracers.items()):
            if not scope.name.startswith(keep):
                # The API has taken attributes since 1.26 only.
                attributes = (dict(scope.attributes),) if scope.attributes else ()
                tracer.delegate = provider.get_tracer(
                    scope.name, scope.version, scope.schema_url or None, *attributes
                )

    # What applications written for the SDK's provider call.

    def add_span_processor(self, span_processor: Any) -> None:
        """Add a processor of the SDK's protocol; it sees spans that start after this call."""
        with self._lock:
            self.processors += (span_processor,)
            self._choose_ways()

    def flush_with(self, flush: Callable[[float], bool]) -> None:
        """Say how to wait for what the sink took: `flush(seconds)` tells whether all is sent."""
        self._flush = flush

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what has ended; False when time ran out."""
        deadline = monotonic() + timeout_millis / 1000
        done = True
        for processor in self.processors:
            left = max(0, int((deadline - monotonic()) * 1000))
            try:
                done = processor.force_flush(left) is not False and done
            except Exception as error:
                notices.warn(f"span processor {type(processor).__name__}.force_flush failed: {error!r}")
                done = False
        return self._flush_sink(deadline) and done

    def _flush_sink(self, deadline: float) -> bool:
        return self._flush is None or self._flush(max(0.0, deadline - monotonic()))

    def shutdown(self) -> None:
        """Shut the processors down and flush; the pipeline itself ends with the process."""
        for processor in self.processors:
            try:
                processor.shutdown()
            except Exception as error:
                notices.warn(f"span processor {type(processor).__name__}.shutdown failed: {error!r}")
        self._flush_sink(monotonic() + SHUTDOWN_TIMEOUT)


def _nowhere(_span: Span) -> None:
    """Where a span goes that is recorded for processors but not sampled, when there are none."""
