"""Runs scenarios in child interpreters; started by `test_hooks.py`, and itself free of imports.

`python child.py once JOB` is armed by `sitecustomize`, as programs are: libraries come after us.
`python child.py forks MODULE...` forks once for each JOB it reads, imports the library first, and arms late.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys

from scenarios import SCENARIOS

from autotrace import bootstrap, notices
from autotrace.instrumentation.hooks import HOOKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Spans:
    """A span processor, as applications add them."""

    def __init__(self) -> None:
        self.ended: list[Any] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        pass

    def on_end(self, span: Any) -> None:
        self.ended.append(span)

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True

    def take(self) -> str:
        """What has ended, as a tree."""
        spans, self.ended = sorted(self.ended, key=lambda span: span.start_time), []
        return _tree(spans, 0, {span.span_id for span in spans}, "")


def _tree(spans: list[Any], parent: int, known: set[int], indent: str) -> str:
    lines = ""
    for span in spans:
        if span.parent_id == parent or (not parent and span.parent_id not in known):
            lines += f"{indent}{_line(span)}\n" + _tree(spans, span.span_id, known, indent + "  ")
    return lines


def _line(span: Any) -> str:
    line = f"{span.instrumentation_scope.name} {span.kind.name} {span.name}"
    if span.status_code.name == "ERROR":
        line += " ERROR"
    if "http.request.resend_count" in span.attributes:
        line += f" resend={span.attributes['http.request.resend_count']}"
    return line + " marked" * bool(span.attributes.get("marked"))


def listen() -> Spans:
    """Hear of all spans from now on; of none where nothing of ours is at work."""
    spans = Spans()
    registry = bootstrap._registry
    for patcher in list(registry._patchers.values())[:1] if registry else []:
        patcher.tracer.provider.add_span_processor(spans)
    return spans


class Stderr:
    """What we say while a job runs; everything else that libraries write there is let go."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass

    def said(self) -> list[str]:
        text, self.text = self.text, ""
        return [line[11:] for line in text.splitlines() if line.startswith("autotrace: ")]


def attributes(modules: set[str]) -> dict[str, Any]:
    """Every attribute of the modules in the hook table and of their classes."""
    found = {}
    for name in modules:
        module = sys.modules[name]
        for key, value in vars(module).items():
            found[f"{name}.{key}"] = value
            if isinstance(value, type) and value.__module__.partition(".")[0] == name.partition(".")[0]:
                found.update({f"{name}.{key}.{member}": raw for member, raw in vars(value).items()})
    return found


def changed(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name, one) is not other.get(name, other))


def broken(*_arguments: Any, **_named: Any) -> Any:
    raise RuntimeError("broken on purpose")


def sabotage(place: str) -> None:
    """Replace `module:Class.name` by something that raises."""
    module, _, path = place.partition(":")
    *parents, name = path.split(".")
    owner = __import__(module, fromlist=["*"])
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, name, broken)


def sabotage_observers(before: bool) -> None:
    """Let every generator observer fail on one side of its `yield`."""
    from autotrace.patching import patcher

    around = patcher.around

    def around_broken(original: Any, observer: Any) -> Any:
        def observe(call: Any) -> Any:
            if before:
                broken()
            yield from observer(call)
            broken()

        return around(original, observe)

    patcher.around = around_broken


def break_on_purpose(module: str, where: str) -> None:
    scenario = SCENARIOS[module]
    if where == "installer":
        sabotage(next(hook.installer for hook in HOOKS if hook.module == module))
    else:
        for place in scenario.before if where == "before" else scenario.after:
            sabotage(place)
        sabotage_observers(where == "before")


def once(job: dict[str, Any]) -> dict[str, Any]:
    """Import the library, work, and take everything back."""
    report: dict[str, Any] = {"early": job["module"] in sys.modules}
    sys.stderr = stderr = Stderr()
    __import__(job["module"])
    work = SCENARIOS[job["module"]].work
    if bootstrap._registry is not None and not bootstrap._registry._patchers:
        __import__("opentelemetry.trace")  # a library that nearly every program imports wakes nobody
    spans = listen()
    report["output"] = work(job["url"])
    report["trace"] = spans.take()
    report["said"] = stderr.said()
    return report


def late(job: dict[str, Any]) -> dict[str, Any]:
    """Work untraced, arm, work, disarm, work."""
    sys.path[:0] = job.get("path", [])
    os.environ.update(job.get("environ", {}))
    sys.stderr = stderr = Stderr()
    __import__(job["module"])
    work = SCENARIOS[job["module"]].work
    report: dict[str, Any] = {"plain": work(job["url"])}
    modules = {hook.module for hook in HOOKS if hook.module in sys.modules} | {"sqlite3.dbapi2"}
    originals = attributes(modules)
    if "broken" in job:
        break_on_purpose(job["module"], job["broken"])
    bootstrap.arm()
    registry = bootstrap._registry
    assert registry is not None
    report["results"] = {hook.module: result for hook, result in registry.results.items()}
    report["patched"] = changed(originals, attributes(modules))
    spans = listen()
    report["output"] = work(job["url"])
    report["trace"] = spans.take()
    report["said"] = stderr.said()
    notices._spoken.clear()
    registry.disarm()
    report["left"] = changed(originals, attributes(modules))
    report["output after"] = work(job["url"])
    report["trace after"] = spans.take()
    report["said after"] = stderr.said()
    return report


def serve_forks(modules: list[str]) -> None:
    for module in modules:
        __import__(module)
    print("ready", flush=True)
    for line in sys.stdin:
        if os.fork() == 0:
            faulthandler.dump_traceback_later(30, exit=True)
            try:
                answer = json.dumps(late(json.loads(line)))
            except BaseException:
                import traceback

                answer = json.dumps({"failed": traceback.format_exc()})
            print(answer, flush=True)
            os._exit(0)
        if os.wait()[1] != 0:
            print(json.dumps({"failed": "it died, or took too long"}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "once":
        print(json.dumps(once(json.loads(sys.argv[2]))))
    else:
        serve_forks(sys.argv[2:])
