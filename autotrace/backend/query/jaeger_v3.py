"""The newer query API of Jaeger, under /api/v3: spans as OTLP JSON, plain answers for the rest.

Parameters have the names of Jaeger 2 (`query.serviceName`) or the older ones (`query.service_name`).

Spec: https://www.jaegertracing.io/docs/latest/architecture/apis/#query-json-over-http
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import Response
from starlette.routing import Route

from autotrace.backend import otlp_encoding
from autotrace.backend.query.answers import QueryError, encoded, success
from autotrace.backend.query.go_values import (
    parse_bool,
    parse_duration,
    parse_int32,
    parse_time,
    parse_trace_id,
)
from autotrace.backend.query.jaeger_parameters import DEFAULT_LIMIT, MAX_TRACES
from autotrace.backend.query.jaeger_search import found_traces, traces_of
from autotrace.store.errors import StoreError
from autotrace.store.records import KIND_NAMES
from autotrace.store.search import Query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Final

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from autotrace.backend.archive import Archive
    from autotrace.store.reader import Reader

    Answer = Callable[[Request], Awaitable[Any]]

_T = TypeVar("_T")

_START: Final = "query.startTimeMin"
_END: Final = "query.startTimeMax"
_CAPITAL: Final = re.compile("[A-Z]")


def routes(archive: Archive) -> list[Route]:
    """All of them."""
    api = _Api(archive)
    return [
        _route("/api/v3/services", api.services),
        _route("/api/v3/operations", api.operations),
        _route("/api/v3/traces", api.traces),
        _route("/api/v3/traces/{trace_id}", api.trace),
    ]


def _route(path: str, answer: Answer) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            return success(encoded(await answer(request)))
        except QueryError as error:
            return _refusal(error.reason, error.status)
        except StoreError as error:
            return _refusal(error.reason, HTTPStatus.INTERNAL_SERVER_ERROR)

    return Route(path, endpoint, methods=["GET"])


def _refusal(reason: str, status: HTTPStatus) -> Response:
    body = encoded({"error": {"httpCode": int(status), "message": reason}}) + b"\n"
    return Response(body, status, {"X-Content-Type-Options": "nosniff"}, "text/plain; charset=utf-8")


class _Api:
    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def services(self, _: Request) -> Any:
        return {"services": await self._archive.read(lambda reader: reader.services())}

    async def operations(self, request: Request) -> Any:
        service = request.query_params.get("service", "")
        _, kind = _named(request.query_params, "spanKind")
        operations = await self._archive.read(lambda reader: reader.operations(service))
        return {
            "operations": [
                {"name": name, "spanKind": KIND_NAMES[number]}
                for name, number in operations
                if not kind or KIND_NAMES[number] == kind
            ]
        }

    async def traces(self, request: Request) -> Any:
        return await self._spans_of(await found_traces(self._archive, _query(request.query_params)))

    async def trace(self, request: Request) -> Any:
        parameters = request.query_params
        for name in ("startTime", "endTime"):  # hints where to look, which the store does without
            _read(parameters, name, parse_time, 0)
        _read(parameters, "rawTraces", parse_bool, default=False)
        try:
            number = parse_trace_id(request.path_params["trace_id"])
        except ValueError as error:
            raise QueryError(f"malformed parameter trace_id: {error}") from None
        return await self._spans_of([number])

    async def _spans_of(self, trace_ids: Sequence[int]) -> Any:
        """All traces as one."""

        def answer(reader: Reader) -> Any:
            traces, _ = traces_of(reader, trace_ids)
            spans = [span for trace in traces.values() for span in trace]
            if not spans:
                raise QueryError("No traces found", HTTPStatus.NOT_FOUND)
            return {"result": otlp_encoding.request(spans)}

        return await self._archive.read(answer)


def _query(parameters: QueryParams) -> Query:
    """What GET /api/v3/traces asks for.

    Raises:
        QueryError: A parameter is malformed, or the range of time is missing.
    """
    if not _named(parameters, _START)[1] or not _named(parameters, _END)[1]:
        raise QueryError(f"{_START} and {_END} are required")
    start, end = _read(parameters, _START, parse_time, 0), _read(parameters, _END, parse_time, 0)
    depth = _read(parameters, "query.searchDepth", parse_int32, 0)
    limit = depth or _read(parameters, "query.num_traces", parse_int32, DEFAULT_LIMIT)
    _read(parameters, "query.rawTraces", parse_bool, default=False)
    return Query(
        service=_named(parameters, "query.serviceName")[1],
        operation=_named(parameters, "query.operationName")[1],
        min_duration=_read(parameters, "query.durationMin", parse_duration, 0),
        max_duration=_read(parameters, "query.durationMax", parse_duration, 0) or None,
        start=start,
        end=end,
        limit=max(1, min(limit, MAX_TRACES)),
        tags=_read(parameters, "query.attributes", _parse_attributes, ()),
    )


def _named(parameters: QueryParams, name: str) -> tuple[str, str]:
    """The name under which a parameter was given, today's or the older one, and its text."""
    older = _CAPITAL.sub(lambda capital: "_" + capital[0].lower(), name)
    text = parameters.get(name, "")
    return (name, text) if text else (older, parameters.get(older, ""))


def _read(parameters: QueryParams, name: str, parse: Callable[[str], _T], default: _T) -> _T:
    given, text = _named(parameters, name)
    if not text:
        return default
    try:
        return parse(text)
    except ValueError as error:
        raise QueryError(f"malformed parameter {given}: {error}") from None


def _parse_attributes(text: str) -> tuple[tuple[str, str], ...]:
    try:
        members = json.loads(text)
    except RecursionError:
        members = None
    if not isinstance(members, dict) or not all(isinstance(each, str) for each in members.values()):
        raise ValueError("expecting an object of strings")
    return tuple(members.items())
