"""The agents, and how each is let into a program."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from autotrace.cli.run import bootstrap_directory

AGENTS = ("plain", "plain again", "otel", "ours", "floor")
"""Plain runs twice: what the two differ by is what the machine adds to every figure."""
TITLES = {"otel": "opentelemetry-instrument", "ours": "autotrace", "floor": "floor"}

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTHON = sys.executable
EXEC_ONLY = [PYTHON, "-c", "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"]
"""A launcher that does nothing but become the command."""

LAUNCHERS = {"otel": [str(BIN / "opentelemetry-instrument")], "ours": [str(BIN / "autotrace-run")]}


def environment(agent: str, ports: dict[str, int], **more: str) -> dict[str, str]:
    """The environment of one process: the same for all agents but for the path by which spans are counted."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("OTEL_", "AUTOTRACE_", "PYTHON"))
    }
    url = f"http://127.0.0.1:{ports['http']}"
    return {
        **inherited,
        "BENCH_PEER": url + "/",
        "OTEL_SERVICE_NAME": "bench",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{url}/{agent}",
        **more,
    }


def injected_by() -> dict[str, str]:
    """The directory that goes on `PYTHONPATH` where there is no launcher."""
    import opentelemetry.instrumentation.auto_instrumentation as peer

    return {"ours": bootstrap_directory(), "otel": os.path.dirname(peer.__file__)}
