"""One test span through each configured exporter: by the code that a traced program runs, in its Python.

`main` runs there, in a process of its own; `facts` makes the report of what it tells.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from time import monotonic
from typing import TYPE_CHECKING, Any

from autotrace import __version__, notices, settings
from autotrace.cli.doctor.probe import MARK
from autotrace.cli.doctor.report import Fact

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Final

    from autotrace.cli.doctor.child import Answer
    from autotrace.export.exporter import Exporter
    from autotrace.settings import Settings
    from autotrace.tracing.span import Span

CODE: Final = "from autotrace.cli.doctor.span import main; main()"

TIME: Final = 5.0
"""Seconds for each exporter."""

_NAME: Final = "autotrace doctor"
_PREFIX: Final = "autotrace: "


def main() -> None:
    """Make and send the spans; tell one JSON object for each exporter."""
    notices.set_level(notices.NONE)  # what is wrong with settings is told elsewhere
    chosen = settings.parse(os.environ)
    notices.set_level(notices.WARN)
    for name in chosen.traces_exporter:
        said = StringIO()
        with redirect_stderr(said), redirect_stdout(StringIO()):
            result = _delivered(name, chosen)
        lines = [line[len(_PREFIX) :] for line in said.getvalue().splitlines() if line.startswith(_PREFIX)]
        answer = {"exporter": name, **result, "said": lines}
        sys.stdout.write(f"\n{MARK}{json.dumps(answer)}\n")
        sys.stdout.flush()


def _delivered(name: str, chosen: Settings) -> dict[str, Any]:
    from autotrace.bootstrap import plugins  # noqa: PLC0415 - `facts` needs none of these
    from autotrace.export.build import exporter_factory  # noqa: PLC0415
    from autotrace.tracing.context import attach, suppressing  # noqa: PLC0415

    try:
        span = _span(chosen)
        attach(suppressing())
        factory = exporter_factory(name, chosen, plugins.load)
        if factory is None:
            return {"reason": "not known"}
        exporter = factory()
        reason = _sent(exporter, span)
        if name == "local" and not reason:
            reason = _not_read_back(exporter.destination, span.trace_id)
    except Exception as error:
        return {"reason": f"failed with {error!r:.300}"}
    return {"destination": exporter.destination, "trace": f"{span.trace_id:032x}", "reason": reason}


def _span(chosen: Settings) -> Span:
    from autotrace.bootstrap import resource  # noqa: PLC0415
    from autotrace.sampling.build import build  # noqa: PLC0415
    from autotrace.tracing.context import Context  # noqa: PLC0415
    from autotrace.tracing.provider import TracerProvider  # noqa: PLC0415

    finished: list[Span] = []
    sampler = build("always_on", "", lambda _name: None)
    provider = TracerProvider(resource.detect(chosen, os.environ), sampler, finished.append)
    provider.get_tracer("autotrace.doctor", __version__).start_span(_NAME, Context()).end()
    return finished[0]


def _sent(exporter: Exporter, span: Span) -> str:
    """Why the span did not arrive, as far as that can be known."""
    deadline = monotonic() + TIME
    hasten = getattr(exporter, "hasten", None)
    if hasten is not None:
        hasten(deadline)  # one try and another, without the pauses that a running program can afford
    losses = exporter.export([span], deadline)
    exporter.shutdown()
    return ", ".join(losses)


def _not_read_back(path: str, trace_id: int) -> str:
    from autotrace.store.reader import Reader  # noqa: PLC0415 - sqlite3, which may not have been built

    with Reader(path) as reader:
        return "" if reader.trace(trace_id) else "written, but not found when read back"


def facts(exporters: Sequence[str], answer: Answer, unreachable: Collection[str]) -> list[Fact]:
    """What became of each span.

    Args:
        exporters: All that were to send one.
        answer: Of `main`.
        unreachable: Exporters of which the reason is known already.
    """
    told = {result["exporter"]: result for result in answer.told}
    found = [_fact(name, told.get(name), answer.failure) for name in exporters]
    return [fact._replace(advice="") if fact.name in unreachable else fact for fact in found]


def _fact(name: str, result: dict[str, Any] | None, failure: str) -> Fact:
    if result is None:
        return Fact(name, f"no test span was sent: {failure or 'no answer'}", True, _DEFAULT_ADVICE)
    reason, destination = result["reason"], result.get("destination", "")
    if not reason:
        arrived = _OVER_UDP if destination.startswith("udp:") else _ARRIVED.get(name, _ACCEPTED)
        return Fact(name, f"{destination}: {arrived}, trace {result['trace']}")
    value = f"the test span did not arrive: {reason}"
    advice = " ".join([*(f"{line}." for line in result["said"]), _ADVICE.get(reason, _DEFAULT_ADVICE)])
    return Fact(name, f"{destination}: {value}" if destination else value, True, advice)


_ACCEPTED: Final = "the test span was accepted"
_OVER_UDP: Final = "the test span was sent, and datagrams are not answered"
_ARRIVED: Final = {
    "local": "the test span was written and read back",
    "console": "the test span was printed",
}
_DEFAULT_ADVICE: Final = "See what the backend, or whatever listens there, says about it."
_ADVICE: Final = {
    "connection refused": "Nothing listens there: start the backend, or correct the address.",
    "http 401": "The backend wants credentials: see the headers or the user and password settings.",
    "http 403": "The backend does not accept these credentials.",
    "http 404": "The backend knows no such path: correct the path of the endpoint.",
    "http 405": "The backend takes no spans at this path: correct the path of the endpoint.",
    "not known": "Correct OTEL_TRACES_EXPORTER, or install the plug-in in the program's environment.",
}
