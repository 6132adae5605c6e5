"""Builds the tracer from the settings, and gives it to whoever waits for it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from autotrace import __version__, notices, settings
from autotrace.bootstrap import ending, plugins, resource
from autotrace.bootstrap.others import attached
from autotrace.export import build as export
from autotrace.patching.patcher import Patcher
from autotrace.propagation import environment
from autotrace.propagation import registry as propagation
from autotrace.sampling import build as sampling
from autotrace.tracing.context import SPAN_KEY, Context, attach
from autotrace.tracing.limits import Limits
from autotrace.tracing.provider import TracerProvider
from autotrace.tracing.remote import RemoteSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autotrace.export.pipeline import Pipeline
    from autotrace.patching.hook import Hook
    from autotrace.patching.registry import Registry
    from autotrace.propagation.composite import Composite
    from autotrace.sampling.jaeger_remote import JaegerRemote
    from autotrace.sampling.sampler import Sampler
    from autotrace.settings import Settings
    from autotrace.tracing.resource import Resource

SCOPE_PREFIX = "autotrace."


def start(registry: Registry, environ: Mapping[str, str]) -> None:
    """Make the tracer, then let the registry install what waits for it.

    Raises:
        Exception: Whatever is wrong with us; the caller reports it and the program runs untraced.
    """
    chosen = settings.parse(environ)
    notices.set_level(chosen.log_level)
    other = attached(environ, sys.modules)
    if other:
        notices.warn(f"{other} traces this program: autotrace stays off; start it with one of them alone")
        registry.disarm()
        return
    propagator = propagation.build(chosen.propagators)
    pipelines = export.build(chosen, plugins.load)
    if chosen.diagnostics:
        from autotrace.bootstrap import diagnostics  # noqa: PLC0415 - few ask for them

        diagnostics.begin(chosen, pipelines, registry)
    provider = _provider(chosen, environ, propagator, pipelines)

    def new_patcher(hook: Hook) -> Patcher:
        tracer = provider.get_tracer(SCOPE_PREFIX + hook.library, __version__)
        return Patcher(tracer, chosen, propagator, registry.stand_down)

    disabled = frozenset(chosen.disabled_instrumentations)
    registry.start(new_patcher, lambda library: library in disabled or "*" in disabled)


def _provider(
    chosen: Settings, environ: Mapping[str, str], propagator: Composite, pipelines: list[Pipeline]
) -> TracerProvider:
    sink, flush, shutdown = export.joined(pipelines)
    described = resource.detect(chosen, environ)
    provider = TracerProvider(
        described,
        _sampler(chosen, described),
        sink,
        _limits(chosen),
        plugins.id_generator(chosen.id_generator),
        _process_parent(propagator, environ),
        disabled=chosen.sdk_disabled,
    )

    def resource_after_fork() -> Resource:
        for pipeline in pipelines:
            pipeline.leave_to_parent(provider.resource)
        return resource.detect(chosen, environ)

    provider.resource_after_fork = resource_after_fork
    provider.flush_with(flush)
    provider.at_exit = shutdown
    ending.at_end(shutdown)
    ending.persist()
    if "uwsgi" in sys.modules:  # a module of the embedding program, nowhere else to be found
        from autotrace.bootstrap import uwsgi  # noqa: PLC0415

        uwsgi.hook_in(shutdown, sys.modules)
    return provider


def _sampler(chosen: Settings, described: Resource) -> Sampler:
    def plugin(name: str) -> object:
        return plugins.load("opentelemetry_traces_sampler", name)

    def asking(endpoint: str) -> Callable[[JaegerRemote], None]:
        from autotrace.bootstrap.strategy_polling import StrategyPolling  # noqa: PLC0415 - few ask

        return StrategyPolling(endpoint, described.service_name).ask

    name, argument = chosen.traces_sampler, chosen.traces_sampler_arg
    return sampling.build(name, argument, plugin, described.attributes, asking)


def _limits(chosen: Settings) -> Limits:
    return Limits(
        attributes=chosen.span_attribute_count_limit,
        attribute_length=chosen.span_attribute_value_length_limit,
        events=chosen.span_event_count_limit,
        event_attributes=chosen.event_attribute_count_limit,
        links=chosen.span_link_count_limit,
        link_attributes=chosen.link_attribute_count_limit,
        member_length=chosen.attribute_value_length_limit,
    )


def _process_parent(propagator: Composite, environ: Mapping[str, str]) -> RemoteSpan | None:
    """The span that started this process, and the baggage it handed over."""
    context = environment.read(environ, propagator)
    parent = context.get(SPAN_KEY)
    baggage = {key: value for key, value in context.items() if key != SPAN_KEY}
    if baggage:
        attach(Context(baggage))
    return parent if isinstance(parent, RemoteSpan) else None
