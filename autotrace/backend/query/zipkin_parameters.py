"""Parameters of Zipkin's query API, with its defaults and its words for what is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from autotrace.backend.query.answers import QueryError
from autotrace.backend.query.zipkin_search import Search

if TYPE_CHECKING:
    from typing import Final

    from starlette.datastructures import QueryParams

MAX_TRACES: Final = 10_000
"""Of one answer."""

_DEFAULT_LIMIT: Final = 10
_DEFAULT_LOOKBACK: Final = 24 * 60 * 60 * 1000
_TRACE_DIGITS: Final = 32
_HEX: Final = frozenset("0123456789abcdef")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_MAX_LONG: Final = 2**63 - 1
_MAX_INT: Final = 2**31 - 1
_MAX_CLAUSES: Final = 100


def search_of(parameters: QueryParams, now: int) -> Search:
    """What GET /traces asks for at the time `now`, milliseconds since the epoch.

    Raises:
        QueryError: One of them is malformed.
    """
    if parameters.get("limit") == "":
        raise QueryError("Cannot set null to primitive type parameter: limit")
    shortest, longest = _integer(parameters, "minDuration"), _integer(parameters, "maxDuration")
    end, lookback = _integer(parameters, "endTs"), _integer(parameters, "lookback")
    limit = _integer(parameters, "limit", _MAX_INT)
    search = Search(
        service=parameters.get("serviceName", "").lower(),
        remote_service=parameters.get("remoteServiceName", "").lower(),
        span_name=_span_name(parameters),
        annotations=_annotations(parameters.get("annotationQuery", "")),
        min_duration=shortest,
        max_duration=longest,
        end=now if end is None else end,
        lookback=_DEFAULT_LOOKBACK if lookback is None else lookback,
        limit=_DEFAULT_LIMIT if limit is None else limit,
    )
    for name, number in (("endTs", search.end), ("limit", search.limit), ("lookback", search.lookback)):
        _positive(name, number)
    if shortest is not None:
        _positive("minDuration", shortest)
        if longest is not None and longest < shortest:
            raise QueryError("maxDuration < minDuration")
    elif longest is not None:
        raise QueryError("maxDuration is only valid with minDuration")
    return search._replace(limit=min(search.limit, MAX_TRACES))


def dependencies_range(parameters: QueryParams) -> tuple[int, int]:
    """Its end, and how far it looks back, in milliseconds."""
    if not required(parameters, "endTs"):
        raise QueryError("Cannot set null to primitive type parameter: endTs")
    end, lookback = _integer(parameters, "endTs") or 0, _integer(parameters, "lookback")
    lookback = _DEFAULT_LOOKBACK if lookback is None else lookback
    _positive("endTs", end)
    _positive("lookback", lookback)
    return end, lookback


def required(parameters: QueryParams, name: str) -> str:
    """A parameter that must be there."""
    if name not in parameters:
        raise QueryError(f"Mandatory parameter/header/attribute is missing: {name}")
    return str(parameters[name])


def trace_ids(text: str) -> list[int]:
    """Two or more different ids between commas."""
    if not text:
        raise QueryError("traceIds parameter is empty")
    texts = text.split(",")
    if len(texts) == 1:
        raise QueryError("Use /api/v2/trace/{traceId} endpoint to retrieve a single trace")
    numbers: list[int] = []
    for each in texts:
        number = trace_id(each)
        if number in numbers:
            raise QueryError(f"redundant traceId: {each}")
        numbers.append(number)
    return numbers


def trace_id(text: str) -> int:
    """The number that 1 to 32 digits write."""
    if not text:
        raise QueryError("traceId is empty")
    if len(text) > _TRACE_DIGITS:
        raise QueryError("traceId.length > 32")
    if not _HEX.issuperset(text):
        raise QueryError(f"{text} should be lower-hex encoded with no prefix")
    if not int(text, 16):
        raise QueryError("traceId is all zeros")
    return int(text, 16)


def _span_name(parameters: QueryParams) -> str:
    name = str(parameters.get("spanName", "")).lower()
    return "" if name == "all" else name


def _annotations(text: str) -> dict[str, str]:
    clauses: dict[str, str] = {}
    for clause in text.split(" and ", _MAX_CLAUSES - 1) if text else ():
        key, equals, value = clause.partition("=")
        if equals:
            clauses[key.strip()] = value.strip()
        else:
            clauses.setdefault(key.strip(), "")
    return clauses


def _integer(parameters: QueryParams, name: str, maximum: int = _MAX_LONG) -> int | None:
    text = parameters.get(name)
    if not text:
        return None
    if not _INTEGER.fullmatch(text) or not -maximum - 1 <= int(text) <= maximum:
        raise QueryError(f'For input string: "{text:.80}"')
    return int(text)


def _positive(name: str, number: int) -> None:
    if number <= 0:
        raise QueryError(f"{name} <= 0")
