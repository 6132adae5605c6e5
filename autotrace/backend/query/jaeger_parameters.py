"""Parameters of Jaeger's query API, with its defaults and its words for what is wrong."""

from __future__ import annotations

import json
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from autotrace.backend.query.answers import QueryError
from autotrace.store.quantities import HOUR, MICROSECOND, MILLISECOND, parse_duration
from autotrace.store.search import Query

if TYPE_CHECKING:
    from typing import Final

    from starlette.datastructures import QueryParams

MAX_TRACES: Final = 10_000
"""Of one answer."""

_DEFAULT_LIMIT: Final = 100
_LOOKBACK: Final = 48 * HOUR
_DEPENDENCIES_LOOKBACK: Final = 24 * HOUR
_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+\.?[0-9]*", re.ASCII)
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_TRACE_DIGITS: Final = 32
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_MAX_INT64: Final = 2**63 - 1


class TraceQuery(NamedTuple):
    """What GET /api/traces asks for."""

    trace_ids: tuple[int, ...]
    """When there are any, all else does not count."""
    query: Query
    """All its tags, also those whose keys mean something to Jaeger."""
    raw: bool


def trace_query(parameters: QueryParams) -> TraceQuery:
    """Read them all.

    Raises:
        QueryError: One of them is malformed, or the service is missing.
    """
    now = time.time_ns()
    service = parameters.get("service", "")
    start = _time(parameters, "start", now - _LOOKBACK)
    end = _time(parameters, "end", now)
    limit = _integer(parameters, "limit", _DEFAULT_LIMIT, 2**31 - 1)
    shortest, longest = _duration(parameters, "minDuration"), _duration(parameters, "maxDuration")
    trace_ids = tuple(
        dict.fromkeys(
            trace_id(text, "cannot parse traceID param: ") for text in parameters.getlist("traceID")
        )
    )
    tags = _tags(parameters)
    raw = raw_wanted(parameters)
    if not service and not trace_ids:
        raise QueryError("parameter 'service' is required")
    if shortest and longest and longest < shortest:
        raise QueryError("'maxDuration' should be greater than 'minDuration'")
    if limit <= 0:
        raise QueryError("search depth must be greater than 0 and less than max traces")
    query = Query(
        service=service,
        operation=parameters.get("operation", ""),
        min_duration=shortest,
        max_duration=longest or None,
        start=start,
        end=end,
        limit=min(limit, MAX_TRACES),
        tags=tuple(tags.items()),
    )
    return TraceQuery(trace_ids, query, raw)


def dependencies_range(parameters: QueryParams) -> tuple[int, int]:
    """From when to when, in nanoseconds."""
    end = _integer(parameters, "endTs", time.time_ns() // MILLISECOND) * MILLISECOND
    lookback = _integer(parameters, "lookback", _DEPENDENCIES_LOOKBACK // MILLISECOND) * MILLISECOND
    return end - lookback, end


def raw_wanted(parameters: QueryParams) -> bool:
    """Whether the trace is wanted as it was stored."""
    text = parameters.get("raw", "")
    if text and text not in _TRUE | _FALSE:
        raise _unparsable("raw", f"strconv.ParseBool: parsing {_quoted(text)}: invalid syntax")
    return text in _TRUE


def trace_id(text: str, what: str = "") -> int:
    """The number that 1 to 32 hex digits write; `what` goes before the reason."""
    if len(text) > _TRACE_DIGITS:
        raise QueryError(f"{what}TraceID cannot be longer than 32 hex characters: {text:.80}")
    if not text or not _HEX.issuperset(text):
        raise QueryError(f"{what}strconv.ParseUint: parsing {_quoted(text)}: invalid syntax")
    return int(text, 16)


def not_found() -> QueryError:
    """For an id that no trace has."""
    return QueryError("trace not found", HTTPStatus.NOT_FOUND)


def _time(parameters: QueryParams, name: str, default: int) -> int:
    if not parameters.get(name):
        return default
    return max(-_MAX_INT64, min(_integer(parameters, name, 0) * MICROSECOND, _MAX_INT64))


def _integer(parameters: QueryParams, name: str, default: int, maximum: int = _MAX_INT64) -> int:
    text = parameters.get(name, "")
    if not text:
        return default
    if not _INTEGER.fullmatch(text):
        raise _unparsable(name, f"strconv.ParseInt: parsing {_quoted(text)}: invalid syntax")
    if len(text.lstrip("+-0")) > len(str(maximum)) or not -maximum - 1 <= int(text) <= maximum:
        raise _unparsable(name, f"strconv.ParseInt: parsing {_quoted(text)}: value out of range")
    return int(text)


def _duration(parameters: QueryParams, name: str) -> int:
    text = parameters.get(name, "")
    if not text:
        return 0
    sign, unsigned = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    try:
        nanoseconds = parse_duration("" if "d" in unsigned else unsigned)  # days are ours, not Go's
    except (ValueError, OverflowError):
        what = "missing unit in" if _NUMBER.fullmatch(unsigned) else "invalid"
        raise _unparsable(name, f"time: {what} duration {_quoted(text)}") from None
    return 0 if sign == "-" else min(nanoseconds, _MAX_INT64)


def _tags(parameters: QueryParams) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in parameters.getlist("tag"):
        key, colon, value = text.partition(":")
        if not colon:
            raise QueryError(f"malformed 'tag' parameter, expecting key:value, received: {text:.200}")
        tags[key] = value
    for text in parameters.getlist("tags"):
        try:
            members = json.loads(text)
        except (ValueError, RecursionError):
            members = None
        if not isinstance(members, dict) or not all(isinstance(each, str) for each in members.values()):
            raise QueryError(
                "malformed 'tags' parameter, cannot unmarshal JSON: expecting an object of strings"
            )
        tags.update(members)
    return tags


def _unparsable(name: str, reason: str) -> QueryError:
    return QueryError(f"unable to parse param '{name}': {reason}")


def _quoted(text: str) -> str:
    return json.dumps(text[:200], ensure_ascii=False)
