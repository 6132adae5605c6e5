"""A row of the settings table: one environment variable, declared as a field of `Settings`."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from autotrace.settings.kinds import Kind

T = TypeVar("T")

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

LIBRARY: Final = "<LIBRARY>"
"""Stands in the name of a variable that exists once per library."""


class Variable(NamedTuple):
    """What is known about a variable."""

    name: str
    kind: Kind[Any]
    default: Any
    doc: str
    otherwise: tuple[str, ...] = ()
    """Variables that count, in this order, when this one is unset or invalid."""
    secret: bool = False
    """Whether its text must not be repeated."""
    shown_default: str | None = None
    """For the reference, where the default depends on other settings."""
    section: str = ""
    """Heading in the reference that begins with this row."""


class _Declared:
    """Stands for a field in the body of the settings' class, until `table_of` puts its default there."""

    def __init__(self, row: Callable[[str], Variable]) -> None:
        self.row = row


def variable(kind: Kind[T], default: T, doc: str, *, prefix: str = "OTEL_", **more: Any) -> T:
    """Declare a field that holds the value of the variable named `prefix` and the field in upper case.

    Args:
        kind: How its text is read.
        default: What counts when it is unset.
        doc: One line for the reference.
        prefix: What its name begins with.
        more: Further fields of `Variable`.
    """
    declared: Any = _Declared(lambda field: Variable(prefix + field.upper(), kind, default, doc, **more))
    return declared  # type: ignore[no-any-return]  # the class has the default in its place


def per_library(name: str, kind: Kind[T], doc: str) -> Mapping[str, T]:
    """Declare a field that holds the values of a variable that exists once per library.

    Its keys are libraries in lower case. Set to nothing counts as set.
    """
    declared: Any = _Declared(lambda _field: Variable(name, kind, NOTHING, doc, shown_default=""))
    return declared  # type: ignore[no-any-return]


def table_of(settings: type) -> Mapping[str, Variable]:
    """The rows that a class declares, by field; each field gets its default.

    Not a dataclass: writing methods for seventy fields takes 2 ms, and `dataclasses` 8 ms where the
    program does not import it itself.
    """
    table = {
        field: declared.row(field)
        for field, declared in vars(settings).items()
        if isinstance(declared, _Declared)
    }
    for field, row in table.items():
        setattr(settings, field, row.default)
    return table
