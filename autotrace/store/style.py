"""Glyphs, colours and columns, as far as the stream they go to can show them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final, TextIO

DEFAULT_WIDTH: Final = 100
"""Columns of output that no terminal shows."""
_MAX_WIDTH: Final = 9999

_SERVICE_COLOURS: Final = ("36", "33", "35", "32", "34", "96", "93", "95")


class Style:
    """How a trace looks: `unicode` or ASCII glyphs, with ANSI colours or without."""

    def __init__(self, unicode: bool = True, colour: bool = False) -> None:
        self._colour = colour
        self._unicode = unicode
        self.tee, self.corner, self.pipe, self.blank = (
            ("├─ ", "└─ ", "│  ", "   ") if unicode else ("|- ", "`- ", "|  ", "   ")
        )
        self.cross = "✗" if unicode else "!"
        self.dot = "·" if unicode else "-"
        self.arrow = "→" if unicode else "->"
        self.ellipsis = "…" if unicode else "..."
        self.bar = " ╸╺━" if unicode else " ==="
        """By which halves of a column are filled: none, the left, the right, both."""

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str]) -> Style:
        """What `stream` can show: colours on a terminal only, and not against `NO_COLOR`.

        Spec: https://no-color.org
        """
        encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").replace("_", "")
        colour = stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        return cls(unicode=encoding.startswith("utf"), colour=colour)

    def text(self, text: str) -> str:
        """`text` of ours in the glyphs at hand."""
        return text if self._unicode else text.replace("µ", "u")

    def plain(self, text: str) -> str:
        """As it is."""
        return text

    def bold(self, text: str) -> str:
        """What names things."""
        return self._painted(text, "1")

    def dim(self, text: str) -> str:
        """What stands back."""
        return self._painted(text, "2")

    def red(self, text: str) -> str:
        """What went wrong."""
        return self._painted(text, "31")

    def service(self, text: str, number: int) -> str:
        """The `number`th service of a trace, always in the same colour."""
        return self._painted(text, "1;" + _SERVICE_COLOURS[number % len(_SERVICE_COLOURS)])

    def _painted(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and text.strip() else text


def width_of(stream: TextIO, environ: Mapping[str, str]) -> int:
    """What `COLUMNS` says, or else the terminal behind `stream`."""
    wanted = environ.get("COLUMNS", "")
    if wanted.isdecimal() and 0 < int(wanted[:5]) <= _MAX_WIDTH:
        return int(wanted)
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
    except (OSError, ValueError, AttributeError):
        return DEFAULT_WIDTH
