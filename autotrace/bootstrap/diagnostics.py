"""`AUTOTRACE_DIAGNOSTICS=true`: facts on stderr while the program runs, one a line.

At start what is in force; each library when it is patched, or when it is left alone, with the
reason; at exit the counts of each exporter. Imported only then.
"""

from __future__ import annotations

import os
import sys

from autotrace import __version__, notices
from autotrace.bootstrap import ending
from autotrace.instrumentation.hooks import FUNCTIONS
from autotrace.patching.registry import WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from autotrace.export.pipeline import Pipeline
    from autotrace.patching.hook import Hook
    from autotrace.patching.registry import Registry
    from autotrace.settings import Settings


def watch(registry: Registry) -> None:
    """At interpreter start: who is here. At exit: whether there was anything to trace."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    _say(f"autotrace {__version__} in {sys.implementation.name} {version}, {sys.executable}")
    ending.at_end(lambda: _tell_whether_needed(registry))


def begin(settings: Settings, pipelines: Sequence[Pipeline], registry: Registry) -> None:
    """The tracer starts. Before the pipelines are shut down at the end, so that their counts come last."""
    from autotrace.settings.shown import assignments, endpoint, without_secrets  # noqa: PLC0415 - not at start

    for pipeline in pipelines:
        where = without_secrets(endpoint(pipeline.name, settings))
        _say(f"spans go to {pipeline.name}" + (f": {where}" if where else ""))
    if not pipelines:
        _say("spans go nowhere: no exporter is in force")
    for name, value, source in assignments(settings):
        _say(f"{name}={value}" + (f", because of {source}" if source != name else ""))
    registry.tell = _tell_result
    ending.at_end(lambda: _tell_counts(pipelines))


def _tell_result(hook: Hook, result: str, reason: str) -> None:
    _say(f"{hook.library}: {result}" + (f": {reason}" if reason else f" ({hook.module})"))


def _tell_whether_needed(registry: Registry) -> None:
    if all(result == WAITING for result, _ in registry.results.values()):
        _say("nothing was instrumented: the program imported no library that autotrace traces")
    for hook, (result, _) in registry.results.items():
        if hook.library == FUNCTIONS and result == WAITING:
            _say(f"{FUNCTIONS}: {hook.module} was not imported")


def _tell_counts(pipelines: Sequence[Pipeline]) -> None:
    for pipeline in pipelines:
        lost = sum(pipeline.losses.values())
        reasons = ", ".join(f"{count} {reason}" for reason, count in pipeline.losses.items())
        _say(
            f"{pipeline.name}: {pipeline.sent + lost} made, {pipeline.sent} sent, {lost} dropped"
            + (f" ({reasons})" if reasons else "")
        )


def _say(fact: str) -> None:
    notices.info(f"diagnostics of {os.getpid()}: {fact}")
