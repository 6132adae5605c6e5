"""What the index knows a span by: a number for each thing that can be asked for.

Two things may share a number; whoever finds a span by it looks again.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

    from autotrace.store.search import Query

FAILED: Final = "\0error"
NO_DURATION: Final = 0
_STEPS: Final = 6
"""Codes for each doubling of a duration: two durations of one code differ by an eighth at most."""
_MAX_CODE: Final = 255


def tag(key: str, value: str) -> str:
    """A tag, by the text of its value."""
    return f"{key}={value}"


def service(name: str) -> str:
    """The service of a span."""
    return f"\0service={name}"


def operation(name: str) -> str:
    """The name of a span."""
    return f"\0operation={name}"


def number(word: str) -> int:
    """Under which a word is kept."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))


def duration_code(duration: int | None) -> int:
    """A byte that rises with the duration."""
    if duration is None:
        return NO_DURATION
    if duration <= 1:
        return 1
    return min(_MAX_CODE, 1 + int(_STEPS * math.log2(duration)))


def asked(query: Query) -> list[int]:
    """The numbers that a span must have to match; rare ones first, as far as one can guess."""
    found = [tag(key, value) for key, value in query.tags]
    if query.errors_only:
        found.append(FAILED)
    if query.operation:
        found.append(operation(query.operation))
    if query.service:
        found.append(service(query.service))
    return [number(word) for word in found]


def durations_asked(query: Query) -> bytes | None:
    """A table that makes `1` of the codes that can match, `0` of the others; None when all can."""
    if not query.min_duration and query.max_duration is None:
        return None
    least = duration_code(query.min_duration)
    most = _MAX_CODE if query.max_duration is None else duration_code(query.max_duration)
    return bytes(ord("1") if least <= code <= most else ord("0") for code in range(_MAX_CODE + 1))
