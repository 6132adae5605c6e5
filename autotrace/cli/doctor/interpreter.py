"""Which Python a command would run in, and whether the way in is open."""

from __future__ import annotations

import os
import re
import shlex
import sys
from typing import TYPE_CHECKING, NamedTuple

from autotrace.cli.doctor.report import Fact
from autotrace.cli.run import CommandError, closing_option, find, is_python, shebang
from autotrace.settings.shown import HIDDEN, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Final

    from autotrace.cli.doctor.child import Answer

_LAUNCHERS: Final = {
    "ddtrace-run": "ddtrace",
    "newrelic-admin": "newrelic",
    "elasticapm-run": "elasticapm",
    "opentelemetry-instrument": "OpenTelemetry's instrumentors",
}
"""Commands that attach another tracer, which sets up its own `PYTHONPATH` after ours."""

_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
_HEAD: Final = 4096

_SECRET: Final = re.compile(r"passw|secret|token|api.?key|credential", re.IGNORECASE)
"""In the names of options whose values are nobody's business."""

_OPEN: Final = "Install autotrace in the environment that runs the program, with that environment's pip."


class Target(NamedTuple):
    """The interpreter of a command."""

    python: str
    """Empty when there is none to look at."""
    facts: list[Fact]


def target_of(command: Sequence[str], environ: Mapping[str, str]) -> Target:
    """Find the interpreter that `command` would run in; without a command, the one that runs us."""
    if not command:
        return Target(
            sys.executable, [Fact("interpreter", f"{sys.executable} (autotrace's own; no command given)")]
        )
    line = Fact("command", _shown(command))
    search_path = environ.get("PATH", os.defpath)
    try:
        path = find(command[0], search_path)
    except CommandError as error:
        return Target("", [line, Fact("interpreter", str(error), True, "Check the command and PATH.")])
    words = [path, *command[1:]] if is_python(path) else _interpreter_of(path)
    if not words or not is_python(words[0]):
        return _unknown(line, path, words)
    try:
        python = find(words[0], search_path)
    except CommandError as error:
        advice = f"Install {path} again: its first line names an interpreter that is not there."
        return Target("", [line, Fact("interpreter", str(error), True, advice)])
    origin = "" if is_python(path) else f" (from the first line of {path})"
    facts = [line, Fact("interpreter", python + origin), *_obstacles(words, command)]
    return Target(python, facts)


def _shown(command: Sequence[str]) -> str:
    """The command line, without what it seems to keep secret."""
    words = []
    hide = False
    for word in command:
        name, equals, _ = word.partition("=")
        secret = _SECRET.search(name) is not None
        words.append(HIDDEN if hide else f"{name}={HIDDEN}" if secret and equals else without_secrets(word))
        hide = secret and not equals and word.startswith("-")
    return " ".join(word if word == HIDDEN else shlex.quote(word) for word in words)


def reached(probe: Mapping[str, Any], answer: Answer) -> list[Fact]:
    """Whether autotrace starts in that interpreter, from what the probe has told of it."""
    if not probe:
        return [
            Fact(
                "answer",
                answer.failure or "none",
                True,
                "Start the interpreter by hand to see what is wrong.",
            )
        ]
    facts = [Fact("version", probe["version"], *_too_old(probe))]
    if probe["environment"]:
        facts.append(Fact("environment", probe["environment"]))
    if "autotrace" in probe:
        facts.append(Fact("autotrace", f"{probe['autotrace']} starts in it, from {probe['location']}"))
        facts.append(Fact("OpenTelemetry API", probe["api"] or "of unknown version"))
    elif probe["supported"]:
        facts.append(Fact("autotrace", _closed(probe, answer), True, _OPEN))
    return facts


def _too_old(probe: Mapping[str, Any]) -> tuple[bool, str]:
    if probe["supported"]:
        return False, ""
    return True, "autotrace needs Python 3.9 or newer: the program runs untraced."


def _closed(probe: Mapping[str, Any], answer: Answer) -> str:
    for line in answer.said:
        if "untraced" in line:
            return line
    return f"is not started: sitecustomize is {probe['sitecustomize'] or 'not run'}"


def _interpreter_of(path: str) -> list[str]:
    """The words of a script's first line; pip's way around long or odd paths leads through a shell."""
    words = shebang(path)
    if words and os.path.basename(words[0]) in _SHELLS:  # noqa: PTH119 - paths are texts here, as in `run`
        with open(path, encoding="utf-8", errors="replace") as script:  # noqa: PTH123
            second = script.read(_HEAD).split("\n")[1:2]
        if second and second[0].startswith("'''exec' "):
            return shlex.split(second[0][len("'''exec' ") :])
    return words


def _obstacles(words: list[str], command: Sequence[str]) -> list[Fact]:
    facts = []
    option = closing_option(words[1:])
    if option:
        advice = f"Leave out {option}: it makes Python ignore PYTHONPATH or sitecustomize."
        facts.append(Fact("option", f"{option} keeps autotrace out", True, advice))
    name = os.path.basename(command[0])  # noqa: PTH119
    if name in _LAUNCHERS:
        advice = f"Start the program with one tracer: without {name}, or without autotrace-run."
        facts.append(Fact("other tracer", f"{name} attaches {_LAUNCHERS[name]}", True, advice))
    return facts


def _unknown(line: Fact, path: str, words: Sequence[str]) -> Target:
    kind = f"a script for {words[0]}" if words else "no Python script"
    facts = [
        line,
        Fact("interpreter", f"unknown: {path} is {kind}"),
        Fact("looked at instead", f"{sys.executable} (autotrace's own)"),
        Fact(
            "hint",
            "what the command starts inherits autotrace; give the Python command itself to look at that",
        ),
    ]
    return Target(sys.executable, facts)
