"""Which requests a text means: a path, a route's template as frameworks write it, or a wildcard.

What a sampler sees is a request that has just come in: its path is known, its route is not. So a
template is matched against the path: `/users/<int:id>`, `/users/{id}` and `/users/:id` all mean
`/users/42`, and `*` means anything, slashes included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PLACEHOLDER = r"<(?P<angles>[^<>]*)>|\{(?P<braces>[^{}]*)\}|(?<=/):(?P<colon>\w+)"
_SEGMENT = r"[^/]+"
_REST = r".+"


def matcher(pattern: str) -> Callable[[str], object]:
    """A predicate on texts; what it returns counts as true when `pattern` means the text."""
    import re  # noqa: PLC0415 - only for the samplers that need it

    first, *others = (_expression(part) for part in pattern.split("*"))
    if not others:
        return pattern.__eq__ if first == re.escape(pattern) else re.compile(first, re.DOTALL).fullmatch
    # The shortest text up to each part, and never another one: else several `*` and a hostile path of some
    # thousand characters would keep the regular expression busy for minutes.
    *inner, last = others
    shortest = "".join(f"(?=(?P<g{number}>.*?{part}))(?P=g{number})" for number, part in enumerate(inner))
    return re.compile(f"{first}{shortest}.*{last}", re.DOTALL).fullmatch


def _expression(text: str) -> str:
    """A regular expression for text with placeholders."""
    import re  # noqa: PLC0415

    expression, done = "", 0
    for found in re.finditer(_PLACEHOLDER, text):
        takes_slashes = (found["angles"] or "").startswith("path:") or (found["braces"] or "").endswith(
            ":path"
        )
        expression += re.escape(text[done : found.start()]) + (_REST if takes_slashes else _SEGMENT)
        done = found.end()
    return expression + re.escape(text[done:])
