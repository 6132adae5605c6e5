"""The questions, in the order in which a span meets what they are about."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from autotrace import __version__, notices
from autotrace.cli.doctor import endpoints, interpreter, libraries, settings, span
from autotrace.cli.doctor.child import ask, probe_code
from autotrace.cli.doctor.report import Section
from autotrace.cli.run import bootstrap_directory, python_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from autotrace.cli.doctor.report import Fact
    from autotrace.settings import Settings

PROBE_TIME: Final = 60.0
"""Seconds for looking around in the program's interpreter."""


def examine(command: list[str], environ: dict[str, str], options: Mapping[str, str]) -> list[Section]:
    """Every section of the report, in the order in which a span meets what they are about."""
    inside = _inside(environ)
    python, facts = interpreter.target_of(command, environ)
    sections = [Section("Interpreter", facts)]
    sender, said = sys.executable, []
    if python:
        answer = ask(python, probe_code(), inside, PROBE_TIME)
        said = answer.said
        probe = answer.told[-1] if answer.told else {}
        facts += interpreter.reached(probe, answer)
        if probe.get("autotrace") == __version__:
            sender = python  # another version may not know how to
        if "rows" in probe:
            sections.append(Section("Libraries", libraries.facts(probe)))
    chosen, of_settings = settings.look(environ, options, said)
    sections.append(Section("Settings", of_settings))
    of_endpoints = endpoints.facts(chosen)
    unreachable = {fact.name for fact in of_endpoints if fact.wrong}
    sections.append(Section("Endpoints", of_endpoints))
    sections.append(Section("Test span", _test_spans(chosen, sender, inside, unreachable)))
    return [section for section in sections if section.facts]


def _test_spans(
    chosen: Settings, python: str, inside: Mapping[str, str], unreachable: set[str]
) -> list[Fact]:
    exporters = chosen.traces_exporter
    if not exporters:
        return []
    quietly = {**inside, "AUTOTRACE_ENABLED": "false"}  # the test span needs no tracer beside its own
    answer = ask(python, span.CODE, quietly, span.TIME * len(exporters) + PROBE_TIME)
    return span.facts(exporters, answer, unreachable)


def _inside(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that the launcher would give, switched on in any case: all else is to be seen too."""
    inside = {**environ, "AUTOTRACE_ENABLED": "true", "AUTOTRACE_DIAGNOSTICS": "false"}
    inside.pop(notices.OF_A_CHILD, None)  # a child of a traced program would say nothing
    directory = bootstrap_directory()
    if directory:
        inside["PYTHONPATH"] = python_path(directory, environ.get("PYTHONPATH", ""))
    return inside
