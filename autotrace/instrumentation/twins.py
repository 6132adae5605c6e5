"""Traced subclasses of classes that cannot be patched, since they are written in C.

A twin passes for the class it stands in for: `isinstance` holds, names and pickling are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.patching.patcher import MARK

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    Members = dict[str, Any]
    Make = Callable[[type[Any]], tuple[tuple[type[Any], ...], Members]]

_MAX_CLASSES: Final = 64
"""Application classes remembered with their twins; more would be made anew at run time."""


class Twins:
    """The twins of a driver's class and of what the application derives from it.

    Args:
        base: The driver's class.
        make: Bases and members of the twin of a class.
    """

    def __init__(self, base: type[Any], make: Make) -> None:
        self._base = base
        self._make = make
        self._known: dict[type[Any], type[Any]] = {}

    def of(self, factory: Any) -> Any:
        """The twin of a class; anything else, and what is one already, as it is."""
        twin = self._known.get(factory) if isinstance(factory, type) else factory
        if twin is not None:
            return twin
        if not issubclass(factory, self._base) or hasattr(factory, MARK):
            return factory
        if len(self._known) >= _MAX_CLASSES:
            self._known.clear()
        twin = self._known[factory] = make_twin(factory, *self._make(factory))
        return twin


def make_twin(original: type[Any], bases: tuple[type[Any], ...], members: Members) -> type[Any]:
    """A subclass that passes for `original` wherever names are shown."""
    names = {name: getattr(original, name) for name in ("__doc__", "__module__", "__qualname__")}
    metaclass: Any = type(original)
    twin: type[Any] = metaclass(original.__name__, bases, {**names, MARK: True, **members})
    return twin


def unpicklable(original: type[Any]) -> Members:
    """Refusal in the words of a class written in C, which give its full name."""

    def __reduce_ex__(_self: object, _protocol: int) -> Any:  # noqa: N807 - it becomes one
        raise TypeError(f"cannot pickle '{original.__module__}.{original.__qualname__}' object")

    return {"__reduce_ex__": __reduce_ex__}
