"""Durations, times and counts as people write and read them."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

MICROSECOND: Final = 1_000
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_UNITS: Final = {
    "ns": 1,
    "us": MICROSECOND,
    "µs": MICROSECOND,  # U+00B5, what keyboards have
    "μs": MICROSECOND,  # U+03BC, what Go prints too
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
    "d": DAY,
}
_PART: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d)")


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration (`1.2ms`, `2m30s`), which may also count days.

    Raises:
        ValueError: It is not one; a bare number has no unit and is none either, except 0.
    """
    if text == "0":
        return 0
    nanoseconds, position = 0.0, 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            break
        nanoseconds += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    if not text or position < len(text):
        raise ValueError(f"not a duration: {text!r} (examples: 100ms, 1.5s, 2h)")
    return round(nanoseconds)


def format_duration(nanoseconds: int | None) -> str:
    """Three digits and a unit, `52.4 ms`; `1m 05s` and `3h 12m` above a minute; `?` for None."""
    if nanoseconds is None:
        return "?"
    if nanoseconds < 0:
        return "-" + format_duration(-nanoseconds)
    if nanoseconds < 999.5:  # noqa: PLR2004 - rounds up to the next unit
        return f"{nanoseconds} ns" if nanoseconds else "0"
    for unit, size in (("µs", MICROSECOND), ("ms", MILLISECOND), ("s", SECOND)):
        value = nanoseconds / size
        if value < (59.95 if unit == "s" else 999.5):
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0  # noqa: PLR2004 - likewise
            return f"{value:.{digits}f} {unit}"
    seconds = round(nanoseconds / SECOND)
    if seconds < 3600:  # noqa: PLR2004
        return f"{seconds // 60}m {seconds % 60:02}s"
    minutes = seconds // 60
    if minutes < 48 * 60:
        return f"{minutes // 60}h {minutes % 60:02}m"
    days = minutes // 1440
    return f"{days}d {minutes % 1440 // 60:02}h" if days < 100 else f"{days}d"  # noqa: PLR2004


def format_time(nanoseconds: int) -> str:
    """Local date and time with milliseconds; `?` for 0 and for what no calendar holds."""
    try:
        broken_down = time.localtime(nanoseconds // SECOND)
    except (OverflowError, ValueError, OSError):
        return "?"
    if not nanoseconds:
        return "?"
    return time.strftime("%Y-%m-%d %H:%M:%S", broken_down) + f".{nanoseconds % SECOND // MILLISECOND:03}"


def count(number: int, noun: str) -> str:
    """`1 span`, `7 spans`, `2,000 spans`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short_id(trace_id: int) -> str:
    """The 8 first digits of a trace id as it is printed; `show` takes them for the whole."""
    return full_id(trace_id)[:8]


def full_id(trace_id: int) -> str:
    """16 digits when the upper half is zero, else 32: as Jaeger and Zipkin print it."""
    return f"{trace_id:032x}" if trace_id >> 64 else f"{trace_id:016x}"
