"""How the text of a list variable becomes its elements; see `kinds` for the rules of complaint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from re import Pattern
    from typing import Final

# Compiled when they are needed, not at start.
_HEADER_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_VALUE: Final = r"[\t\x20-\x7e\x80-\xff]*"
_LEADING_FLAGS: Final = r"(?s)\A\(\?([imsx]+)\)(.*)\Z"
_HOST: Final = r"\.?[\w*][\w.*-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%\w+)?"
_FUNCTION: Final = r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):((?:[^\W\d]\w*\.)*(?:[^\W\d]\w*|\*))"
_ESCAPE: Final = rb"%([0-9A-Fa-f]{2})?"


def elements(text: str) -> tuple[str, ...]:
    """The parts between commas, without blanks around them, empty ones and repetitions."""
    parts = (part.strip() for part in text.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def names(text: str) -> tuple[str, ...]:
    """Elements in lower case; `none` anywhere means none at all.

    Raises:
        ValueError: There is no name in it.
    """
    found = elements(text.lower())
    if not found:
        raise ValueError("holds no name")
    return () if "none" in found else found


def attributes(text: str) -> tuple[tuple[str, str], ...]:
    """`key=value` pairs, percent-decoded.

    Raises:
        ValueError: One of them is malformed, which by the specification discards all.
    """
    pairs = {}
    for number, element in enumerate(elements(text), 1):
        key, equals, value = (part.strip() for part in element.partition("="))
        if not (key and equals):
            raise ValueError(f"is no list of key=value (element {number})")
        try:
            pairs[_percent_decoded(key)] = _percent_decoded(value)
        except ValueError:
            raise ValueError(f"is not percent-encoded UTF-8 (element {number})") from None
    return tuple(pairs.items())


def headers(text: str, complain: Callable[[str], None]) -> tuple[tuple[str, str], ...]:
    """`name=value` pairs; a value that is not percent-encoded counts as it stands.

    Elements that would make no HTTP header are left out; complaints do not repeat them: they are secrets.
    """
    pairs = {}
    bad = []
    for number, element in enumerate(elements(text), 1):
        name, equals, value = (part.strip() for part in element.partition("="))
        try:
            value = _percent_decoded(value)
        except ValueError:
            pass
        if equals and re.fullmatch(_HEADER_NAME, name) and re.fullmatch(_HEADER_VALUE, value):
            pairs[name.lower()] = value
        else:
            bad.append(str(number))
    if bad:
        complain(f"is no list of name=value (element {', '.join(bad)}): that element is left out")
    return tuple(pairs.items())


def searched(text: str, complain: Callable[[str], None]) -> Pattern[str] | None:
    """One expression that finds what any element finds; None when there is no element."""
    return _joined(text, complain, "{}", 0)


def searched_any_case(text: str, complain: Callable[[str], None]) -> Pattern[str] | None:
    """As `searched`, for upper and lower case."""
    return _joined(text, complain, "{}", re.IGNORECASE)


def matched(text: str, complain: Callable[[str], None]) -> Pattern[str] | None:
    """One expression that matches what any element matches as a whole, in any case."""
    return _joined(text, complain, r"\A(?:{})\Z", re.IGNORECASE)


def hosts(text: str, complain: Callable[[str], None]) -> Pattern[str]:
    """One expression that matches the hosts meant: `*` is any text, `.name` any host below `name`.

    Where no element is sound it matches none: what was to be kept from others is not sent to all.
    """
    kept = []
    bad = []
    for element in elements(text):
        host = element[1:-1] if element[0] == "[" and element[-1] == "]" else element
        if not re.fullmatch(_HOST, host):
            bad.append(repr(element[:80]))
            continue
        words = ("*" + host if host[0] == "." else host).rstrip(".").split("*")
        kept.append(".*".join(map(re.escape, words)))
    if bad:
        complain(f"is no list of host names ({', '.join(bad)[:200]}): that element is left out")
    return re.compile(rf"(?:{'|'.join(kept)})\.?" if kept else "(?!)", re.IGNORECASE | re.ASCII)


def functions(text: str, complain: Callable[[str], None]) -> tuple[tuple[str, str], ...]:
    """Modules, each with the path of a function in it, or of `*` for all of a module or class."""
    kept = []
    bad = []
    for element in elements(text):
        match = re.fullmatch(_FUNCTION, element)
        if match and match[1] == "__main__":
            bad.append(f"{element[:80]!r}: the program's own file has no functions before it runs")
        elif match:
            kept.append((match[1], match[2]))
        else:
            bad.append(repr(element[:80]))
    if bad:
        complain(f"is no list of module:function ({', '.join(bad)[:200]}): that element is left out")
    return tuple(kept)


def _joined(text: str, complain: Callable[[str], None], frame: str, flags: int) -> Pattern[str] | None:
    kept: list[str] = []
    bad = []
    pattern = None
    for element in elements(text):
        # Flags may stand at the start of the whole expression only: let them hold for their element.
        scoped = re.sub(_LEADING_FLAGS, r"(?\1:\2)", element)
        try:
            re.compile(scoped)
            # Sound alone is not enough: two elements may define the same group.
            pattern = re.compile(frame.replace("{}", "|".join([*kept, scoped])), flags)
        except Exception as error:  # re.error, RecursionError, OverflowError, a warning made an error
            bad.append(f"{element[:80]!r}: {error}")
        else:
            kept.append(scoped)
    if bad:
        complain(f"is no list of regular expressions ({'; '.join(bad)[:200]}): that element is left out")
    return pattern


def _percent_decoded(text: str) -> str:
    """Decode `%XX` strictly.

    Raises:
        ValueError: An escape is incomplete, or the result is not UTF-8.
    """
    raw = text.encode("utf-8", "surrogateescape")
    return re.sub(_ESCAPE, lambda escape: bytes.fromhex(_digits(escape)), raw).decode("utf-8")


def _digits(escape: re.Match[bytes]) -> str:
    digits: bytes | None = escape[1]
    if digits is None:
        raise ValueError("incomplete escape")
    return digits.decode("ascii")
