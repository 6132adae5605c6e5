"""Text for a terminal: made harmless, measured and cut in columns."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    Paint = Callable[[str], str]

_MAX_LENGTH: Final = 500


def one_line(value: Any) -> str:
    """`value` as text that is safe on a terminal: no line breaks, no control characters, not endless."""
    text = value if isinstance(value, str) else str(value)
    text = " ".join(text[:_MAX_LENGTH].split())
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def columns(text: str) -> int:
    """Terminal columns that `text` takes: East Asian wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_width(char) for char in text)


def cut(text: str, room: int, ellipsis: str) -> str:
    """As much of `text` as fits into `room` columns together with the `ellipsis`; all of it if it fits."""
    if columns(text) <= room:
        return text
    room -= len(ellipsis)
    kept = []
    for char in text:
        room -= _width(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept).rstrip() + ellipsis if kept else ""


class Line:
    """Pieces of text in a given number of columns; what does not fit is cut."""

    def __init__(self, room: int, ellipsis: str) -> None:
        self.text = ""
        self._room = room
        self._ellipsis = ellipsis
        self._full = False

    def add(self, text: str, paint: Paint) -> None:
        """Append `text` as far as it fits."""
        if self._full:
            return
        if columns(text) > self._room:
            self._full = True
            text = cut(text, self._room, self._ellipsis)
        self._room -= columns(text)
        self.text += paint(text)

    def padded(self) -> str:
        """All of the columns."""
        return self.text + " " * self._room


def _width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
