"""The query API of Zipkin, as its own viewer and many scripts use it: routes under /api/v2.

Spec: https://zipkin.io/zipkin-api/
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from autotrace import __version__
from autotrace.backend.query.answers import QueryError, encoded
from autotrace.backend.query.zipkin_names import remote_services, services, span_names
from autotrace.backend.query.zipkin_parameters import (
    dependencies_range,
    required,
    search_of,
    trace_id,
    trace_ids,
)
from autotrace.backend.query.zipkin_search import dependencies, traces
from autotrace.backend.query.zipkin_search import encoded as encoded_trace
from autotrace.store.errors import StoreError
from autotrace.store.quantities import full_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Final

    from starlette.requests import Request

    from autotrace.backend.archive import Archive
    from autotrace.store.reader import Reader

    Answer = Callable[[Request], Awaitable[Response]]

_ANYBODY: Final = {"Access-Control-Allow-Origin": "*"}
_KEEP: Final = "max-age=300, must-revalidate"
_FEW_SERVICES: Final = 3
"""Up to here names are not to be kept: whoever begins wants to see the next one at once."""
_JSON: Final = "application/json"
_CONFIG: Final = {
    "environment": "",
    "queryLimit": 10,
    "defaultLookback": 15 * 60 * 1000,
    "searchEnabled": True,
    "logsUrl": None,
    "supportUrl": None,
    "archivePostUrl": None,
    "archiveUrl": None,
    "dependency": {"enabled": True, "lowErrorRate": 0.5, "highErrorRate": 0.75},
}
"""Of Zipkin's own viewer."""


def routes(archive: Archive) -> list[Route]:
    """All that answer GET; spans are posted to the collector."""
    api = _Api(archive)
    answers = {
        "/services": api.services,
        "/spans": api.span_names,
        "/remoteServices": api.remote_services,
        "/traces": api.traces,
        "/trace/{trace_id}": api.trace,
        "/traceMany": api.trace_many,
        "/dependencies": api.dependencies,
        "/autocompleteKeys": api.autocomplete_keys,
        "/autocompleteValues": api.autocomplete_values,
    }
    under = [
        _route(prefix + path, answer)
        for prefix in ("/api/v2", "/zipkin/api/v2")
        for path, answer in answers.items()
    ]
    return [
        *under,
        _route("/health", api.health),
        _route("/info", api.info),
        _route("/config.json", api.config),
        _route("/zipkin/config.json", api.config),
        _route("/api/v2/{path:path}", api.unknown),
    ]


def _route(path: str, answer: Answer) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            response = await answer(request)
        except QueryError as error:
            response = PlainTextResponse(error.reason, error.status)
        except StoreError as error:
            response = PlainTextResponse(error.reason, HTTPStatus.INTERNAL_SERVER_ERROR)
        if "origin" in request.headers:
            response.headers.update(_ANYBODY)
        return response

    return Route(path, endpoint, methods=["GET"])


class _Api:
    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def services(self, _: Request) -> Response:
        return await self._names(services)

    async def span_names(self, request: Request) -> Response:
        service = required(request.query_params, "serviceName").lower()
        return await self._names(lambda reader: span_names(reader, service))

    async def remote_services(self, request: Request) -> Response:
        service = required(request.query_params, "serviceName").lower()
        return await self._names(lambda reader: remote_services(reader, service))

    async def autocomplete_keys(self, _: Request) -> Response:
        return await self._names(lambda _: [])

    async def autocomplete_values(self, request: Request) -> Response:
        required(request.query_params, "key")
        return await self._names(lambda _: [])

    async def _names(self, names: Callable[[Reader], list[str]]) -> Response:
        def answer(reader: Reader) -> tuple[bytes, int]:
            with reader.snapshot():
                return encoded(names(reader)), len(services(reader))

        body, count = await self._archive.read(answer)
        return Response(
            body, headers={"Cache-Control": _KEEP} if count > _FEW_SERVICES else {}, media_type=_JSON
        )

    async def traces(self, request: Request) -> Response:
        search = search_of(request.query_params, _now())
        return _json(await self._archive.read(lambda reader: encoded(traces(reader, search))))

    async def trace(self, request: Request) -> Response:
        number = trace_id(request.path_params["trace_id"])
        trace = await self._archive.read(lambda reader: encoded(encoded_trace(reader, number)))
        if trace == b"[]":
            raise QueryError(f"{full_id(number)} not found", HTTPStatus.NOT_FOUND)
        return _json(trace)

    async def trace_many(self, request: Request) -> Response:
        numbers = trace_ids(required(request.query_params, "traceIds"))

        def answer(reader: Reader) -> bytes:
            with reader.snapshot():
                found = [encoded_trace(reader, number) for number in numbers]
            return encoded([trace for trace in found if trace])

        return _json(await self._archive.read(answer))

    async def dependencies(self, request: Request) -> Response:
        end, lookback = dependencies_range(request.query_params)
        return _json(await self._archive.read(lambda reader: encoded(dependencies(reader, end, lookback))))

    async def unknown(self, _: Request) -> Response:
        raise QueryError("404 Not Found", HTTPStatus.NOT_FOUND)

    async def health(self, _: Request) -> Response:
        parts: dict[str, Any] = {"status": "UP", "zipkin": {"status": "UP"}}
        try:
            await self._archive.read(lambda reader: reader.last())
        except StoreError as error:
            failed = {"status": "DOWN", "details": {"error": error.reason}}
            return _json(encoded({"status": "DOWN", "zipkin": failed}), HTTPStatus.SERVICE_UNAVAILABLE)
        return _json(encoded(parts))

    async def info(self, _: Request) -> Response:
        return _json(encoded({"zipkin": {"version": f"autotrace {__version__}", "commit": ""}}))

    async def config(self, _: Request) -> Response:
        return _json(encoded(_CONFIG))


def _json(body: bytes, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(body, status, media_type=_JSON)


def _now() -> int:
    return time.time_ns() // 1_000_000
