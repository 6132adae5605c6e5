"""From `OTEL_TRACES_EXPORTER` to pipelines, one for each exporter.

Each has a queue and a thread of its own: a dead backend holds up nobody but itself.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from autotrace import notices
from autotrace.export.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from autotrace.export.exporter import Exporter
    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

FORMATS: Final = ("jaeger", "zipkin", "otlp", "local", "console")
"""Names of ours; the module beside this one has the same name."""
ENTRY_POINTS: Final = "opentelemetry_traces_exporter"


def build(settings: Settings, plugin: Callable[[str, str], Any]) -> list[Pipeline]:
    """Make the pipelines; nothing is opened and no exporter imported before the first span.

    Args:
        settings: `traces_exporter` names the exporters.
        plugin: Finds an entry point by group and name; None when there is none.
    """
    return [
        _pipeline(name, factory, settings)
        for name in settings.traces_exporter
        if (factory := exporter_factory(name, settings, plugin)) is not None
    ]


def joined(
    pipelines: list[Pipeline],
) -> tuple[Callable[[Span], None], Callable[[float], bool], Callable[[], None]]:
    """Several pipelines as one.

    Returns:
        What takes finished spans, what flushes them (seconds to whether all is sent), and what
        shuts all down at exit.
    """

    def flush(timeout: float) -> bool:
        flushed = [pipeline.flush(timeout) for pipeline in pipelines]  # each of them, whatever the others do
        return all(flushed)

    def shutdown() -> None:
        for pipeline in pipelines:
            pipeline.close()  # all at once: their exit budgets run side by side
        for pipeline in pipelines:
            pipeline.shutdown()

    if len(pipelines) == 1:
        return pipelines[0].put, flush, shutdown

    def fan_out(span: Span) -> None:
        for pipeline in pipelines:
            pipeline.put(span)

    return fan_out, flush, shutdown


def exporter_factory(
    name: str, settings: Settings, plugin: Callable[[str, str], Any]
) -> Callable[[], Exporter] | None:
    """What makes the exporter of that name; None, after a warning, when nobody knows it."""
    if name in FORMATS:
        return partial(_own, name, settings)
    found = plugin(ENTRY_POINTS, name)
    if found is None:
        known = ", ".join(FORMATS)
        notices.warn(
            f"OTEL_TRACES_EXPORTER: {name!r} is not known ({known}, or an installed plug-in) and left out"
        )
        return None
    return partial(_plugged_in, name, found)


def _own(name: str, settings: Settings) -> Exporter:
    exporter: Exporter = import_module(f"autotrace.export.{name}").from_settings(settings)
    return exporter


def _plugged_in(name: str, exporter_class: Callable[[], Any]) -> Exporter:
    from autotrace.export.sdk import SdkExporter  # noqa: PLC0415 - only for plug-ins

    return SdkExporter(name, name, exporter_class())


def _pipeline(name: str, new_exporter: Callable[[], Exporter], settings: Settings) -> Pipeline:
    return Pipeline(
        name,
        new_exporter,
        max_spans=settings.bsp_max_queue_size,
        max_bytes=settings.queue_max_bytes,
        batch_size=settings.bsp_max_export_batch_size,
        delay=settings.bsp_schedule_delay,
        export_timeout=settings.bsp_export_timeout,
        exit_timeout=settings.exit_timeout,
    )
