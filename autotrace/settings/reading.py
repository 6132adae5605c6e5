"""From the environment to `Settings`: what is invalid is reported once and counts as unset."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from autotrace import notices
from autotrace.settings.dependent import in_force
from autotrace.settings.ignored import IGNORED
from autotrace.settings.model import TABLE, Settings
from autotrace.settings.names import OWN, VARIABLES, library_in, nearest
from autotrace.settings.variable import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from autotrace.settings.variable import Variable

_MAX_SHOWN: Final = 80
"""Characters of the user's text that a warning repeats."""

_TESTS: Final = "AUTOTRACE_TEST_"
"""Begins the names of what only the test suite reads."""

_MAX_UNKNOWN: Final = 5
"""Unknown names that are reported one by one."""


def read(environ: Mapping[str, str]) -> Settings:
    """See `autotrace.settings.parse`."""
    settings, problems = examine(environ)
    if settings.log_level >= notices.WARN:  # it is put in force by whoever starts the tracer, after this
        for problem in problems:
            notices.warn(problem)
    return settings


def examine(environ: Mapping[str, str]) -> tuple[Settings, tuple[str, ...]]:
    """The settings in force, and one line for each variable that is not in force as it was written."""
    reading = _Reading(environ)
    for field, variable in TABLE.items():
        if LIBRARY in variable.name:
            reading.take_per_library(field, variable)
        else:
            reading.take(field, variable)
    reading.look_for_names_in_vain()
    settings = in_force(Settings(**reading.values, sources=reading.sources), reading.complain)
    return settings, tuple(reading.problems.values())


class _Reading:
    """One pass over an environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.problems: dict[str, str] = {}
        """By variable: one that counts for two fields is reported once."""

    def complain(self, name: str, problem: str) -> None:
        """Note what is wrong with a variable, in words that go on from its text."""
        self.problems.setdefault(name, f"{name}={self._shown(name)} {problem}")

    def take(self, field: str, variable: Variable) -> None:
        """Find the first of the field's variables with a valid text."""
        rejected = []
        for name in (variable.name, *variable.otherwise):
            text = self.environ.get(name, "").strip()
            if not text:
                continue
            try:
                self.values[field] = variable.kind.read(text, partial(self.complain, name))
            except ValueError as error:
                rejected.append((name, str(error)))
            else:
                self.sources[field] = name
                break
        for name, reason in rejected:
            self.complain(name, f"{reason}: {self._instead(field, variable)}")

    def take_per_library(self, field: str, variable: Variable) -> None:
        """Find the libraries for which the variable is set, be it to nothing."""
        found = {}
        for name, text in self.environ.items():
            library = library_in(name, variable.name)
            if library:
                found[library] = variable.kind.read(text, partial(self.complain, name))
        self.values[field] = MappingProxyType(found)

    def look_for_names_in_vain(self) -> None:
        """Report what is set without effect."""
        for ignored in IGNORED:
            if not ignored.silent and self.environ.get(ignored.name, "").strip():
                self.problems[ignored.name] = f"{ignored.name} is ignored: {ignored.reason}"
        own = [name for name in self.environ if name.startswith(OWN) and not name.startswith(_TESTS)]
        unknown = [name for name in own if name not in VARIABLES]
        known = [name[len(OWN) :] for name in VARIABLES if name.startswith(OWN)]
        for name in unknown[:_MAX_UNKNOWN]:
            meant = nearest(name[len(OWN) :], known)
            hint = f": did you mean {OWN}{meant}?" if meant else ""
            self.problems[name] = f"{name[:_MAX_SHOWN]} is not a setting{hint}"

    def _instead(self, field: str, variable: Variable) -> str:
        if field in self.sources:
            return f"{self.sources[field]} counts"
        if variable.shown_default is not None:
            return "ignored"
        return f"{variable.kind.show(variable.default)} is used" if variable.default else "ignored"

    def _shown(self, name: str) -> str:
        variable = VARIABLES.get(name)
        if variable is not None and variable.secret:
            return "***"
        text = self.environ.get(name, "")
        _, credentials, rest = text.rpartition("@")
        shown = f"***@{rest}" if credentials else text
        if "://" in text:
            shown = shown.partition("?")[0]  # a query may hold a token
        return repr(shown[:_MAX_SHOWN])
