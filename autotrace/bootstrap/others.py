"""Tracers of others: where one is attached to the process, autotrace stays off.

Two of them would wrap the same methods, make every span twice, and send two sets of trace headers.
An application that runs single instrumentors of OpenTelemetry's is another matter: each of them has
its library to itself (`instrumentation/opentelemetry.py`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from typing import Final


OTHERS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("ddtrace", "ddtrace/bootstrap", ("ddtrace.auto", "ddtrace.bootstrap.sitecustomize")),
    ("newrelic", "newrelic/bootstrap", ()),
    ("elasticapm", "elasticapm/instrumentation/wrapper", ()),
    (
        "opentelemetry-instrument",
        "opentelemetry/instrumentation/auto_instrumentation",
        ("opentelemetry.instrumentation.auto_instrumentation",),
    ),
)
"""Name of the package or command; its directory on `PYTHONPATH` when its launcher has started the program;
modules imported only to attach it from within.
"""


def attached(environ: Mapping[str, str], modules: Container[str]) -> str:
    """The tracer that has been attached to this process, empty when there is none.

    One that its launcher has prepared, but that has found itself switched off, is not imported.
    """
    entries = environ.get("PYTHONPATH", "").replace(os.sep, "/").split(os.pathsep)
    for name, directory, attaching in OTHERS:
        launched = any(entry.rstrip("/").endswith("/" + directory) for entry in entries)
        if (launched and name in modules) or any(module in modules for module in attaching):
            return name
    return ""
