"""Bounded memories of what has been encoded before: names and attributes repeat span after span.

Threads may share one: the worst that a race does is to encode something twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

MAX_ENTRIES: Final = 2048
"""Then all are forgotten, since counting their use would cost more than it saves."""

MAX_LENGTH: Final = 256
"""Length of an encoded name or pair above which it is encoded anew each time."""

INTEGERS: Final = frozenset(
    {"http.response.status_code", "http.status_code", "server.port", "net.peer.port", "net.host.port"}
)
"""Attributes that nearly every span has, and that are integers by convention."""

Encoded = TypeVar("Encoded", bytes, str)


class Names(dict[str, Encoded], Generic[Encoded]):
    """`names[name]` is the encoded name."""

    __slots__ = ("_encode",)

    _encode: Callable[[str], Encoded]

    def __init__(self, encode: Callable[[str], Encoded]) -> None:
        super().__init__()
        self._encode = encode

    def __missing__(self, name: str) -> Encoded:
        encoded = self._encode(name)
        if len(encoded) <= MAX_LENGTH:
            if len(self) >= MAX_ENTRIES:
                self.clear()
            self[name] = encoded
        return encoded


class Pairs(dict[tuple[str, Any], Encoded], Generic[Encoded]):
    """`pairs[key, value]` is the encoded pair; `map(pairs.__getitem__, attributes.items())` never leaves C.

    Only text is remembered under its pair: `1`, `True` and `1.0` are equal, and would answer for each
    other. Integers and booleans are remembered beside it, with their type; those of `INTEGERS` as text
    is, since nothing else is expected there. A value that cannot be hashed raises TypeError; `all_of`
    takes any value.
    """

    __slots__ = ("_encode", "_typed")

    _encode: Callable[[str, Any], Encoded]
    _typed: dict[tuple[str, Any, type], Encoded]

    def __init__(self, encode: Callable[[str, Any], Encoded]) -> None:
        super().__init__()
        self._encode = encode
        self._typed = {}

    def __missing__(self, pair: tuple[str, Any]) -> Encoded:
        key, value = pair
        kind = type(value)
        if kind is str or (kind is int and key in INTEGERS):
            encoded = self._encode(key, value)
            if len(encoded) <= MAX_LENGTH:
                if len(self) >= MAX_ENTRIES:
                    self.clear()
                self[pair] = encoded
            return encoded
        if kind is not int and kind is not bool:
            return self._encode(key, value)
        typed = (key, value, kind)
        known = self._typed.get(typed)
        if known is None:
            known = self._encode(key, value)
            if len(known) <= MAX_LENGTH:
                if len(self._typed) >= MAX_ENTRIES:
                    self._typed.clear()
                self._typed[typed] = known
        return known

    def all_of(self, attributes: Mapping[str, Any]) -> list[Encoded]:
        """Every attribute encoded, in order."""
        try:
            return list(map(self.__getitem__, attributes.items()))
        except TypeError:
            return [self._encode(key, value) for key, value in list(attributes.items())]
