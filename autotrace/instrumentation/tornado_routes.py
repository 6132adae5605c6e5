"""Templates of routes out of the regular expressions that are Tornado's rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

_PIECES: Final = re.compile(
    r"""\\.                           # escaped
    | \[\^?\]?(?:\\.|[^\]])*\]        # a set
    | \(\?P<(?P<name>\w+)>            # a group with a name
    | \((?P<special>\?P?[^)]?)?       # any other group
    | .
    """,
    re.VERBOSE | re.DOTALL,
)

_CATCH_ALL: Final = re.compile(r"\^?\(?(\?P<\w+>)?\.[*+]\??\)?\$?")


def template_of(pattern: str) -> str:
    r"""What a rule says, for people: `/users/([0-9]+)/(?P<book>\w+)` is `/users/{1}/{book}`.

    A group is named by its name or its number; what is no group stays as it is written. A rule for all
    that is left, such as `(.*)`, which applications have for their 404s, says nothing: empty.
    """
    if _CATCH_ALL.fullmatch(pattern):
        return ""
    template: list[str] = []
    captures: list[bool] = []
    """Of the groups that are open: whether they capture."""
    number = 0
    for piece in _PIECES.finditer(pattern.removeprefix("^").removesuffix("$")):
        text = piece[0]
        hidden = any(captures)
        if text[0] == "(":
            capturing = piece["special"] is None
            captures.append(capturing)
            number += capturing
            if not hidden:
                template.append(f"{{{piece['name'] or number}}}" if capturing else text)
        elif text == ")" and captures:
            captures.pop()
            if not hidden:
                template.append(text)
        elif not hidden:
            escaped = len(text) > 1 and text[0] == "\\" and not text[1].isalnum()
            template.append(text[1:] if escaped else text)
    return "".join(template)
