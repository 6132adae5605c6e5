"""Values of parameters as Jaeger's server, a Go program, reads them, with Go's words for what is wrong."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from autotrace.store.quantities import SECOND
from autotrace.store.quantities import parse_duration as _parse_duration

if TYPE_CHECKING:
    from typing import Final

MAX_INT64: Final = 2**63 - 1

_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+\.?[0-9]*", re.ASCII)
_TIME: Final = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:[.,](\d+))?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_TRACE_DIGITS: Final = 32
_NANOSECOND_DIGITS: Final = 9
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def parse_bool(text: str) -> bool:
    """Of `strconv.ParseBool`.

    Raises:
        ValueError: It is none.
    """
    if text not in _TRUE | _FALSE:
        raise ValueError(f"strconv.ParseBool: parsing {quoted(text)}: invalid syntax")
    return text in _TRUE


def parse_int(text: str, bits: int = 64) -> int:
    """Of `strconv.ParseInt`, to the base of 10.

    Raises:
        ValueError: It is none, or out of range.
    """
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"strconv.ParseInt: parsing {quoted(text)}: invalid syntax")
    maximum = 2 ** (bits - 1) - 1
    if len(text.lstrip("+-0")) > len(str(maximum)) or not -maximum - 1 <= int(text) <= maximum:
        raise ValueError(f"strconv.ParseInt: parsing {quoted(text)}: value out of range")
    return int(text)


def parse_int32(text: str) -> int:
    """As `parse_int`, of 32 bits."""
    return parse_int(text, 32)


def parse_duration(text: str) -> int:
    """Of `time.ParseDuration`, in nanoseconds; 0 for a negative one.

    Raises:
        ValueError: It is none.
    """
    sign, unsigned = (text[0], text[1:]) if text[:1] in {"+", "-"} else ("", text)
    try:
        nanoseconds = _parse_duration("" if "d" in unsigned else unsigned)  # days are ours, not Go's
    except (ValueError, OverflowError):
        what = "missing unit in" if _NUMBER.fullmatch(unsigned) else "invalid"
        raise ValueError(f"time: {what} duration {quoted(text)}") from None
    return 0 if sign == "-" else min(nanoseconds, MAX_INT64)


def parse_time(text: str) -> int:
    """Of `time.Parse` with `RFC3339Nano`, in nanoseconds since the epoch.

    Raises:
        ValueError: It is none.
    """
    match = _TIME.fullmatch(text)
    moment = None if match is None else _moment(match[1] + ("+00:00" if match[3] == "Z" else match[3]))
    if match is None or moment is None:
        raise ValueError(f'parsing time {quoted(text)} as "2006-01-02T15:04:05.999999999Z07:00": invalid')
    whole = (moment - _EPOCH) // timedelta(seconds=1)
    nanoseconds = int(((match[2] or "") + "0" * _NANOSECOND_DIGITS)[:_NANOSECOND_DIGITS])
    return max(-MAX_INT64, min(whole * SECOND + nanoseconds, MAX_INT64))


def _moment(text: str) -> datetime | None:
    """None for the 31st of February."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def parse_trace_id(text: str) -> int:
    """The number that 1 to 32 hex digits write, of Jaeger's `TraceIDFromString`.

    Raises:
        ValueError: It is none.
    """
    if len(text) > _TRACE_DIGITS:
        raise ValueError(f"TraceID cannot be longer than 32 hex characters: {text:.80}")
    if not text or not _HEX.issuperset(text):
        raise ValueError(f"strconv.ParseUint: parsing {quoted(text)}: invalid syntax")
    return int(text, 16)


def quoted(text: str) -> str:
    """As Go writes `%q`."""
    return json.dumps(text[:200], ensure_ascii=False)
