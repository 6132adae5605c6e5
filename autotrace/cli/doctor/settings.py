"""The settings in force, where each came from, and what is probably a mistake."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autotrace.cli.doctor.mistakes import mistakes, names_in_vain
from autotrace.cli.doctor.report import Fact
from autotrace.settings.model import TABLE
from autotrace.settings.names import NAMES, VARIABLES, library_in
from autotrace.settings.reading import examine
from autotrace.settings.shown import shown
from autotrace.settings.variable import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Final

    from autotrace.settings import Settings

_ALWAYS: Final = ("service_name", "traces_exporter", "traces_sampler", "propagators")
_OF_EXPORTER: Final = {
    "otlp": ("exporter_otlp_traces_endpoint", "exporter_otlp_traces_protocol"),
    "zipkin": ("exporter_zipkin_endpoint",),
    "jaeger": ("exporter_jaeger_protocol",),
    "local": ("home",),
}
"""Shown even at their defaults."""

_VARIABLE: Final = re.compile(r"(?:OTEL|AUTOTRACE)_(?!TRACES_EXPORTER\b)[A-Z_]+(?:=|: )")
"""What a line about a setting begins with; of exporters the test spans tell."""


def look(
    environ: Mapping[str, str], options: Collection[str], said: Sequence[str] = ()
) -> tuple[Settings, list[Fact]]:
    """The settings of an environment, and the facts about them.

    Args:
        environ: What the program would get.
        options: Variables in it that options of the launcher have set.
        said: Our lines at a start in the program's interpreter: whose plug-ins tell what is known there.
    """
    settings, problems = examine(environ)
    problems = (*problems, *(line for line in said if _VARIABLE.match(line) and line not in problems))
    facts = [_fact(field, settings, options) for field in _fields(settings)]
    facts += _per_library(environ, options)
    advice = "Correct it, or remove it."
    facts += [
        Fact("ignored" if "is ignored" in line else "not valid", line, True, advice) for line in problems
    ]
    facts += names_in_vain(environ)
    facts += mistakes(settings)
    return settings, facts


def _fields(settings: Settings) -> list[str]:
    """Those to show, in the order of the table."""
    wanted = {*_ALWAYS, *settings.sources}
    for exporter in settings.traces_exporter:
        wanted.update(_OF_EXPORTER.get(exporter, ()))
    return [field for field in TABLE if field in wanted]


def _fact(field: str, settings: Settings, options: Collection[str]) -> Fact:
    row = TABLE[field]
    value = shown(field, settings)
    if field not in settings.sources:
        default = value or (row.shown_default or "").replace("`", "")
        return Fact(row.name, f"{default}  (default)")
    return Fact(row.name, f"{value}  ({_origin(settings.sources[field], row.name, options)})")


def _origin(source: str, name: str, options: Collection[str]) -> str:
    kind = "launcher option" if source in options else "environment"
    return kind if source == name else f"{kind}: {source}"


def _per_library(environ: Mapping[str, str], options: Collection[str]) -> list[Fact]:
    patterns = [name for name in NAMES if LIBRARY in name]
    return [
        Fact(name, f"{text}  ({_origin(name, name, options)})")
        for name, text in sorted(environ.items())
        if name not in VARIABLES and any(library_in(name, pattern) for pattern in patterns)
    ]
