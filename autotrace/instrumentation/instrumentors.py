"""Runs OpenTelemetry's instrumentor of a library that autotrace has no module for.

Its spans are ours to record and to send. An application that runs the same instrumentor by itself has it as
if we had not been there.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from autotrace.patching.guard import guard
from autotrace.tracing.scope import Scope
from autotrace.tracing.tracer import PassiveTracer, Tracer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.provider import TracerProvider


def run(reference: str, patcher: Patcher) -> None:
    """Run the instrumentor at `package.module:Class`, unless the application has done so.

    Raises:
        Exception: What the instrumentor raises, or its import.
    """
    location, _, path = reference.partition(":")
    __import__(location)
    kind: Any = sys.modules[location]
    for name in path.split("."):
        kind = getattr(kind, name)
    instrumentor = kind()
    if instrumentor.is_instrumented_by_opentelemetry:
        return
    instrumentor.instrument(
        tracer_provider=LibrarySpans(patcher.tracer.provider), raise_exception_on_conflict=True
    )
    _give_way(instrumentor, patcher)


def _give_way(instrumentor: Any, patcher: Patcher) -> None:
    """Take it off before the application runs it: a second time it would do nothing but warn."""
    kind = type(instrumentor)
    original = kind.instrument

    @functools.wraps(original)
    def instrument(self: Any, *args: Any, **kwargs: Any) -> Any:
        with guard:
            patcher.undo()
            if self.is_instrumented_by_opentelemetry:
                self.uninstrument()
        return original(self, *args, **kwargs)

    patcher.put(kind, "instrument", instrument)


class LibrarySpans(trace.TracerProvider):
    """Gives tracers that stay ours when the application sets a provider for its own spans."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Tracer:
        """A tracer that no other provider takes over."""
        scope = Scope(instrumenting_module_name or "", instrumenting_library_version, schema_url, attributes)
        return (PassiveTracer if self._provider.disabled else Tracer)(self._provider, scope)
