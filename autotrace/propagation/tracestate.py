"""`tracestate` by the rules of Trace Context Level 2.

The API's own class follows Level 1, where keys such as `foo@` are illegal, and logs what it rejects.

Spec: https://www.w3.org/TR/trace-context-2/#tracestate-header
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Final

MAX_MEMBERS: Final = 32
MAX_LENGTH: Final = 4096
"""Characters written at most; 512 must be possible, and a longer header gets requests refused."""

LONG_MEMBER: Final = 128
"""Members longer than this go first when the header is trimmed."""

# 32 members of the longest legal kind take 16,447; the rest is for blanks and empty members.
_MAX_INPUT: Final = 32_768

_KEY = "[a-z0-9][a-z0-9_*/@-]{0,255}"
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER = f"({_KEY})=({_VALUE})"


@functools.cache
def _grammar(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """Compiled when it is needed, not at start, and kept, whatever the application compiles."""
    return re.compile(pattern).fullmatch


def parse(header: str) -> TraceState | None:
    """The members of a header; None when it has none, a bad one, or too many."""
    if len(header) > _MAX_INPUT:
        return None
    members: dict[str, str] = {}
    matched = _grammar(_MEMBER)
    count = 0
    for part in header.split(","):
        member = part.strip(" \t")
        if not member:
            continue
        match = matched(member)
        count += 1
        if match is None or count > MAX_MEMBERS:
            return None
        members.setdefault(match[1], match[2])
    return TraceState.of(members) if members else None


class TraceState(trace.TraceState):
    """Immutable; each change gives a new one. What is illegal is left out in silence."""

    def __init__(self, entries: Sequence[tuple[str, str]] | None = None) -> None:
        members: dict[str, str] = {}
        for key, value in entries or ():
            if _is_legal(key, value) and len(members) < MAX_MEMBERS:
                members.setdefault(key, value)
        self._dict = members

    @classmethod
    def of(cls, members: dict[str, str]) -> TraceState:
        """Take over `members`, which are legal."""
        state = cls.__new__(cls)
        state._dict = members  # noqa: SLF001 - our own, where the API's methods look
        return state

    @classmethod
    def from_header(cls, header_list: list[str]) -> TraceState:
        """From one or more header lines; empty when anything in them is illegal."""
        return parse(",".join(header_list)) or cls()

    def add(self, key: str, value: str) -> TraceState:
        """With a new key at the left end; the same object when the key is there already or illegal."""
        return self if key in self._dict else self.update(key, value)

    def update(self, key: str, value: str) -> TraceState:
        """With the key at the left end, new or not; the member that is one too many goes from the right."""
        if not _is_legal(key, value):
            return self
        others = [member for member in self._dict.items() if member[0] != key]
        return self.of(dict([(key, value), *others[: MAX_MEMBERS - 1]]))

    def delete(self, key: str) -> TraceState:
        """Without the key."""
        if key not in self._dict:
            return self
        return self.of({name: value for name, value in self._dict.items() if name != key})

    def to_header(self) -> str:
        """The header's text, of `MAX_LENGTH` characters at most; members are dropped, never cut."""
        members = [f"{key}={value}" for key, value in self._dict.items()]
        if _length(members) > MAX_LENGTH:
            _trim(members)
        return ",".join(members)


def _is_legal(key: object, value: object) -> bool:
    return (
        isinstance(key, str)
        and isinstance(value, str)
        and bool(_grammar(_KEY)(key) and _grammar(_VALUE)(value))
    )


def _length(members: Iterable[str]) -> int:
    return sum([len(member) + 1 for member in members]) - 1


def _trim(members: list[str]) -> None:
    """Long members go first, from the right, then the others from the right."""
    length = _length(members)
    for shortest in (LONG_MEMBER + 1, 1):
        for place in range(len(members) - 1, -1, -1):
            if length <= MAX_LENGTH:
                return
            if len(members[place]) >= shortest:
                length -= len(members.pop(place)) + 1
