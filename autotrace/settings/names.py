"""The names of all variables, and what they are called where they are not variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.settings.ignored import IGNORED
from autotrace.settings.model import TABLE
from autotrace.settings.variable import LIBRARY, Variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

OWN: Final = "AUTOTRACE_"

_PREFIXES: Final = ("OTEL_PYTHON_", "OTEL_", OWN)

VARIABLES: Final[Mapping[str, Variable]] = {
    **{name: row for row in TABLE.values() for name in row.otherwise},
    **{row.name: row for row in TABLE.values()},
}
"""Every variable that counts, by its own name."""

NAMES: Final = (*VARIABLES, *(ignored.name for ignored in IGNORED))
"""Every variable that is known."""


def short_name(name: str) -> str:
    """A variable as an option: `OTEL_SERVICE_NAME` is `service_name`.

    `OTEL_PYTHON_LOG_LEVEL` keeps its `python_`, for without it would be `OTEL_LOG_LEVEL`.
    """
    prefix = next(prefix for prefix in _PREFIXES if name.startswith(prefix))
    rest = name[len(prefix) :]
    if prefix == "OTEL_PYTHON_" and f"OTEL_{rest}" in NAMES:
        rest = f"PYTHON_{rest}"
    return rest.lower()


def library_in(name: str, pattern: str) -> str:
    """The library, in lower case, that stands in `name` where `pattern` has `<LIBRARY>`, or an empty text."""
    prefix, _, suffix = pattern.partition(LIBRARY)
    if name.startswith(prefix) and name.endswith(suffix):
        return name[len(prefix) : -len(suffix)].lower()
    return ""


def nearest(name: str, known: Iterable[str]) -> str:
    """The one of `known` that `name` was probably meant to be, or an empty text."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistyped name

    return next(iter(get_close_matches(name, known, 1)), "")
