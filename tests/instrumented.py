"""Instrumentations at work in the test's own process, on the real libraries."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import Any

from autotrace.instrumentation.hooks import HOOKS
from autotrace.patching.patcher import Patcher
from autotrace.propagation.registry import build as build_propagator
from autotrace.sampling.build import build as build_sampler
from autotrace.settings import parse
from autotrace.tracing.provider import TracerProvider
from autotrace.tracing.resource import Resource


class Traced:
    """What `instrumented` gives: the finished spans, in the order of their ends, and the makings."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.spans: list[Any] = []
        self.settings = parse(environ)
        self.propagator = build_propagator(self.settings.propagators)
        sampler = build_sampler(
            self.settings.traces_sampler, self.settings.traces_sampler_arg, lambda _name: None
        )
        self.provider = TracerProvider(
            Resource({"service.name": "test"}),
            sampler,
            self.spans.append,
            disabled=self.settings.sdk_disabled,
        )
        self.tracer = self.provider.get_tracer("test")
        self.stood_down: list[str] = []
        self.patchers: list[Patcher] = []

    def install(self, library: str) -> None:
        """Run every row of the hook table that has this library."""
        for hook in HOOKS:
            if hook.library == library and (module := _imported(hook.module)):
                patcher = Patcher(
                    self.provider.get_tracer("autotrace." + library),
                    self.settings,
                    self.propagator,
                    lambda name, _reason: bool(self.stood_down.append(name)) or True,
                )
                self.patchers.append(patcher)
                location, _, function = hook.installer.partition(":")
                getattr(import_module(location), function)(module, patcher)

    @property
    def span(self) -> Any:
        """The only span there is."""
        assert len(self.spans) == 1, self.spans
        return self.spans[0]

    def by_name(self, name: str) -> Any:
        (span,) = [span for span in self.spans if span.name == name]
        return span


def _imported(name: str) -> Any:
    """The module; None where the library's version does not have it yet."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name.partition(".")[0] or not name.startswith(str(error.name)):
            raise
        return None


@contextmanager
def instrumented(*libraries: str, **environ: str) -> Any:
    """Patch `libraries` for a `with` block, configured by `environ` alone."""
    traced = Traced(environ)
    for library in libraries:
        traced.install(library)
    try:
        yield traced
    finally:
        for patcher in reversed(traced.patchers):
            patcher.undo()
