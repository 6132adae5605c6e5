"""What a request asks for, and what is wrong with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from autotrace.store.search import Query

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from starlette.datastructures import QueryParams

_MAX_TIME: Final = 2**63 - 1
_MAX_DIGITS: Final = 18
_MAX_ID: Final = 32
_MAX_LIMIT: Final = 1500
_DEFAULT_LIMIT: Final = 20
MICROSECOND: Final = 1000
_HOUR: Final = 3600 * 10**9


class ParameterError(Exception):
    """A parameter cannot be what it is; says which, and why."""


def query(parameters: QueryParams) -> Query:
    """The search."""
    limit = number(parameters, "limit", _DEFAULT_LIMIT)
    if not 1 <= limit <= _MAX_LIMIT:
        raise ParameterError(f"limit must be from 1 to {_MAX_LIMIT}")
    minimum = number(parameters, "minDuration", 0) * MICROSECOND
    maximum = number(parameters, "maxDuration", -1)
    start, end = time_range(parameters)
    return Query(
        service=parameters.get("service", ""),
        operation=parameters.get("operation", ""),
        errors_only=_switch(parameters, "errors"),
        min_duration=minimum,
        # Stored durations are finer: all that reads as that many microseconds is meant.
        max_duration=None if maximum < 0 else maximum * MICROSECOND + MICROSECOND - 1,
        start=start,
        end=end,
        limit=limit,
        tags=tuple(_tag(text) for text in parameters.getlist("tag") if text.strip()),
    )


def time_range(parameters: QueryParams) -> tuple[int, int]:
    """Nanoseconds since the epoch; everything, when nothing is said."""
    start = number(parameters, "start", 0) * MICROSECOND
    end = number(parameters, "end", -1)
    nanoseconds = _MAX_TIME if end < 0 else min(end * MICROSECOND + MICROSECOND - 1, _MAX_TIME)
    if nanoseconds < start:
        raise ParameterError("end lies before start")
    return start, nanoseconds


def last_hour_or(parameters: QueryParams) -> tuple[int, int]:
    """The range that is asked for; the last hour where it is open."""
    start, end = time_range(parameters)
    if end == _MAX_TIME:
        end = time.time_ns()
    return start or max(0, end - _HOUR), end


def trace_id(path: Mapping[str, str]) -> int:
    """The trace that is named in the path."""
    text = path["id"]
    if len(text) > _MAX_ID or not text or not set(text.lower()) <= set("0123456789abcdef"):
        raise ParameterError("a trace id is 1 to 32 hex digits")
    return int(text, 16)


def number(parameters: QueryParams, name: str, default: int) -> int:
    """An integer from 0 up."""
    text = parameters.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS:
        raise ParameterError(f"{name} must be a whole number, not {text[:40]!r}")
    return min(int(text), _MAX_TIME // MICROSECOND - 1)


def _switch(parameters: QueryParams, name: str) -> bool:
    text = parameters.get(name, "").lower()
    if text not in {"", "true", "false", "1", "0"}:
        raise ParameterError(f"{name} must be true or false")
    return text in {"true", "1"}


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ParameterError(f"a tag is written key=value, not {text[:80]!r}")
    return key.strip(), value.strip()
