"""Parameters of Jaeger's query API, with its defaults and its words for what is wrong."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from autotrace.backend.query.answers import QueryError
from autotrace.backend.query.go_values import (
    MAX_INT64,
    parse_bool,
    parse_duration,
    parse_int,
    parse_int32,
    parse_trace_id,
)
from autotrace.store.quantities import HOUR, MICROSECOND, MILLISECOND
from autotrace.store.search import Query

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from starlette.datastructures import QueryParams

MAX_TRACES: Final = 10_000
"""Of one answer."""

DEFAULT_LIMIT: Final = 100
_LOOKBACK: Final = 48 * HOUR
_DEPENDENCIES_LOOKBACK: Final = 24 * HOUR
_T = TypeVar("_T")
_D = TypeVar("_D")


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
    limit = _read(parameters, "limit", parse_int32, DEFAULT_LIMIT)
    shortest = _read(parameters, "minDuration", parse_duration, 0)
    longest = _read(parameters, "maxDuration", parse_duration, 0)
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
    end = _read(parameters, "endTs", parse_int, time.time_ns() // MILLISECOND) * MILLISECOND
    lookback = _read(parameters, "lookback", parse_int, _DEPENDENCIES_LOOKBACK // MILLISECOND) * MILLISECOND
    return end - lookback, end


def raw_wanted(parameters: QueryParams) -> bool:
    """Whether the trace is wanted as it was stored."""
    return _read(parameters, "raw", parse_bool, default=False)


def trace_id(text: str, what: str = "") -> int:
    """The number that 1 to 32 hex digits write; `what` goes before the reason."""
    try:
        return parse_trace_id(text)
    except ValueError as error:
        raise QueryError(f"{what}{error}") from None


def not_found() -> QueryError:
    """For an id that no trace has."""
    return QueryError("trace not found", HTTPStatus.NOT_FOUND)


def _time(parameters: QueryParams, name: str, default: int) -> int:
    microseconds = _read(parameters, name, parse_int, None)
    if microseconds is None:
        return default
    return max(-MAX_INT64, min(microseconds * MICROSECOND, MAX_INT64))


def _read(parameters: QueryParams, name: str, parse: Callable[[str], _T], default: _D) -> _T | _D:
    text = parameters.get(name, "")
    if not text:
        return default
    try:
        return parse(text)
    except ValueError as error:
        raise QueryError(f"unable to parse param '{name}': {error}") from None


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
