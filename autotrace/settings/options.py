"""Every setting as an option of `autotrace-run`: `--service_name shop` is `OTEL_SERVICE_NAME=shop`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autotrace.settings.model import TABLE
from autotrace.settings.names import NAMES, VARIABLES, library_in, nearest, short_name
from autotrace.settings.variable import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

_BY_OPTION: Final[Mapping[str, str]] = {short_name(name): name for name in NAMES if LIBRARY not in name}
_PER_LIBRARY: Final = tuple(name for name in NAMES if LIBRARY in name)
_QUESTIONS: Final = {"-h": "help", "--help": "help", "--version": "version"}


class UsageError(Exception):
    """What the user typed makes no sense; the text says why."""


class CommandLine(NamedTuple):
    """What the words after `autotrace-run` mean."""

    variables: dict[str, str]
    """To set for the command."""
    question: str
    """`help`, `version` or nothing."""
    command: list[str]


def understood(arguments: Sequence[str]) -> CommandLine:
    """Split a command line into options and the command that follows them.

    Raises:
        UsageError: An option is unknown or lacks its value.
    """
    variables: dict[str, str] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        if word in _QUESTIONS:
            return CommandLine(variables, _QUESTIONS[word], rest)
        option, equals, value = word.partition("=")
        name = _variable(option)
        if not equals:
            if name in VARIABLES and VARIABLES[name].kind.is_flag:
                value = "true"
            elif rest:
                value = rest.pop(0)
            else:
                raise UsageError(f"option {option} needs a value")
        variables[name] = value
    return CommandLine(variables, "", rest)


def described() -> str:
    """Every option with what it does, as `--help` shows them."""
    lines = []
    for row in TABLE.values():
        if row.section:
            lines.append(f"\n{row.section}:")
        value = "" if row.kind.is_flag else f" <{row.kind.label}>"
        lines.append(f"  --{short_name(row.name)}{value}\n      {row.doc}")
        if row.otherwise:
            lines.append(f"      else: {', '.join(f'--{short_name(name)}' for name in row.otherwise)}")
    return "\n".join(lines)


def _variable(option: str) -> str:
    """The variable that an option stands for.

    Raises:
        UsageError: There is none.
    """
    short = option.lstrip("-").replace("-", "_").lower()
    if option.startswith("--"):
        if short in _BY_OPTION:
            return _BY_OPTION[short]
        name = f"OTEL_PYTHON_{short.upper()}"
        if any(library_in(name, pattern) for pattern in _PER_LIBRARY):
            return name
    meant = nearest(short, (*_BY_OPTION, *_QUESTIONS.values()))
    raise UsageError(f"unknown option {option}" + (f": did you mean --{meant}?" if meant else ""))
