"""What became of each library in the program's interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.cli.doctor.report import Fact
from autotrace.patching.registry import DISABLED, INSTALLED, STOOD_DOWN, WAITING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

_CALM: Final = {INSTALLED, DISABLED, STOOD_DOWN}

_UPGRADE: Final = "Install a version that is supported; docs/reference/instrumentations.md lists them."
_REPORT: Final = "This is a bug of autotrace: please report it."
_BY_OTHERS: Final = (
    "An instrumentor of OpenTelemetry's, which is not ours: upgrade it, or switch it off by its name."
)


def facts(probe: Mapping[str, Any]) -> list[Fact]:
    """One line for each library that is there; those of the standard library share one."""
    found = _other_tracers(probe)
    standard = []
    for library, rows in _by_library(probe["rows"]).items():
        fact = _fact(library, rows, bool(probe["attached"]))
        if rows[0]["standard"] and not fact.wrong and _result(rows)[0] == INSTALLED:
            standard.append(library)
        else:
            found.append(fact)
    for distribution, ours in dict(probe["instrumentors"]).items():
        why = f"autotrace traces {ours} itself" if ours else "the library that it is for is not here"
        found.append(Fact(distribution, f"installed, not run: {why}"))
    if standard:
        found.append(Fact("standard library", f"{', '.join(sorted(standard))}: {INSTALLED}"))
    return found


def _by_library(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["library"], []).append(row)
    return found


def _fact(library: str, rows: list[dict[str, Any]], stays_off: bool) -> Fact:
    name = " ".join(filter(None, (library, rows[0]["version"])))
    result, reason = _result(rows)
    if result == WAITING:
        if stays_off:
            return Fact(name, "not instrumented: another tracer is attached")
        return Fact(name, f"not instrumented: {reason}")
    advice = _UPGRADE if "is supported" in reason else _BY_OTHERS if rows[0]["by"] else _REPORT
    wrong = result not in _CALM
    return Fact(name, f"{result}: {reason}" if reason else result, wrong, advice if wrong else "")


def _result(rows: list[dict[str, Any]]) -> tuple[str, str]:
    """The worst that became of any row; one whose module this version does not have does not count."""
    there = [row for row in rows if row["result"] != WAITING]
    if not there:
        return WAITING, rows[0]["error"]
    row = min(there, key=lambda row: row["result"] == INSTALLED)
    return row["result"], row["reason"]


def _other_tracers(probe: Mapping[str, Any]) -> list[Fact]:
    attached = probe["attached"]
    found = []
    if attached:
        advice = f"Start the program with one tracer: without {attached}, or without autotrace-run."
        found.append(Fact("other tracer", f"{attached} is attached: autotrace stays off", True, advice))
    for distribution, version in probe["others"].items():
        if _TRACERS.get(distribution) != attached:
            found.append(Fact(f"{distribution} {version}", _REMARKS.get(distribution, _NOT_ATTACHED)))
    return found


_TRACERS: Final = {
    "ddtrace": "ddtrace",
    "newrelic": "newrelic",
    "elastic-apm": "elasticapm",
    "opentelemetry-distro": "opentelemetry-instrument",
}
_NOT_ATTACHED: Final = "installed, not attached here"
_REMARKS: Final = {
    "sentry-sdk": "installed; where the program switches its tracing on, both trace, side by side",
    "opentelemetry-distro": "installed; do not run autotrace-run and opentelemetry-instrument together",
}
