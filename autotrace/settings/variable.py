"""A row of the settings table: one environment variable, declared as a field of `Settings`."""

from __future__ import annotations

from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from autotrace.settings.kinds import Kind

T = TypeVar("T")

LIBRARY: Final = "<LIBRARY>"
"""Stands in the name of a variable that exists once per library."""

_ROW: Final = "row"


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


def variable(kind: Kind[T], default: T, doc: str, *, prefix: str = "OTEL_", **more: Any) -> T:
    """Declare a field that holds the value of the variable named `prefix` and the field in upper case.

    Args:
        kind: How its text is read.
        default: What counts when it is unset.
        doc: One line for the reference.
        prefix: What its name begins with.
        more: Further fields of `Variable`.
    """

    def row(member: str) -> Variable:
        return Variable(prefix + member.upper(), kind, default, doc, **more)

    return field(default=default, metadata={_ROW: row})


def per_library(name: str, kind: Kind[T], doc: str) -> Mapping[str, T]:
    """Declare a field that holds the values of a variable that exists once per library.

    Its keys are libraries in lower case. Set to nothing counts as set.
    """
    row = Variable(name, kind, {}, doc, shown_default="")
    return field(default_factory=dict, metadata={_ROW: lambda _member: row})


def table_of(settings: type) -> Mapping[str, Variable]:
    """The rows that the fields of a dataclass declare, by field."""
    return {
        member.name: member.metadata[_ROW](member.name)
        for member in fields(settings)
        if _ROW in member.metadata
    }
