"""What an observer sees of the call it observes."""

from __future__ import annotations

from typing import Any


class Call:
    """The arguments of one call; `set` changes what the original will get, not the caller's objects."""

    __slots__ = ("args", "kwargs")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args = args
        self.kwargs = kwargs

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """An argument, however it was passed. For methods, position 0 is `self`."""
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)

    def set(self, position: int, name: str, value: Any) -> None:
        """Replace an argument where the caller passed it; add it by name where it did not."""
        if position < len(self.args):
            self.args = (*self.args[:position], value, *self.args[position + 1 :])
        else:
            self.kwargs = {**self.kwargs, name: value}


class Outcome:
    """How the call ended: `error` is None unless it raised."""

    __slots__ = ("error", "result")

    def __init__(self, result: Any = None, error: BaseException | None = None) -> None:
        self.result = result
        self.error = error
