"""Tracers of others: where one is attached to the process, autotrace stays off.

Two of them would wrap the same methods, make every span twice, and send two sets of trace headers.
An application that runs single instrumentors of OpenTelemetry's is another matter: each of them has
its library to itself (`instrumentation/opentelemetry.py`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from typing import Final


class Other(NamedTuple):
    """A tracer, and how its presence shows."""

    name: str
    """Of its package, or of its command."""
    directory: str
    """On `PYTHONPATH` when its launcher has started the program."""
    modules: tuple[str, ...] = ()
    """Imported only to attach it from within the program."""


OTHERS: Final = (
    Other("ddtrace", "ddtrace/bootstrap", ("ddtrace.auto", "ddtrace.bootstrap.sitecustomize")),
    Other("newrelic", "newrelic/bootstrap"),
    Other("elasticapm", "elasticapm/instrumentation/wrapper"),
    Other(
        "opentelemetry-instrument",
        "opentelemetry/instrumentation/auto_instrumentation",
        ("opentelemetry.instrumentation.auto_instrumentation",),
    ),
)


def attached(environ: Mapping[str, str], modules: Container[str]) -> str:
    """The tracer that has been attached to this process, empty when there is none.

    One that its launcher has prepared, but that has found itself switched off, is not imported.
    """
    entries = environ.get("PYTHONPATH", "").replace(os.sep, "/").split(os.pathsep)
    for other in OTHERS:
        launched = any(entry.rstrip("/").endswith("/" + other.directory) for entry in entries)
        if (launched and other.name in modules) or any(module in modules for module in other.modules):
            return other.name
    return ""
