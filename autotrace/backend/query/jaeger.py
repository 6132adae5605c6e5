"""The query API of Jaeger, as its own viewer and many scripts use it: routes under /api.

Spec: https://www.jaegertracing.io/docs/latest/architecture/apis/
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.responses import PlainTextResponse
from starlette.routing import Route

from autotrace.backend.query.answers import QueryError, is_pretty, refusal, structured, success
from autotrace.backend.query.jaeger_dependencies import dependencies
from autotrace.backend.query.jaeger_parameters import (
    dependencies_range,
    not_found,
    raw_wanted,
    trace_id,
    trace_query,
)
from autotrace.backend.query.jaeger_search import TOO_MANY_SPANS, found_traces, traces_of
from autotrace.decoding import otlp_json
from autotrace.decoding.decoded import MalformedError
from autotrace.store import jaeger_json
from autotrace.store.errors import StoreError
from autotrace.store.jaeger_display import adjusted
from autotrace.store.quantities import full_id
from autotrace.store.records import KIND_NAMES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from typing import Final

    from starlette.requests import Request
    from starlette.responses import Response

    from autotrace.backend.archive import Archive
    from autotrace.store.reader import Reader
    from autotrace.store.records import SpanRecord

    Answer = Callable[[Request], Awaitable[bytes]]

_MAX_BODY: Final = 64 * 1024 * 1024


def routes(archive: Archive) -> list[Route]:
    """All of them; `unknown` goes after whatever else lies under /api."""
    api = _Api(archive)
    return [
        _route("/api/services", api.services),
        _route("/api/services/{service:path}/operations", api.operation_names),
        _route("/api/operations", api.operations),
        _route("/api/traces", api.traces),
        _route("/api/traces/{trace_id}", api.trace),
        _route("/api/dependencies", api.dependencies),
        _route("/api/transform", api.transform, "POST"),
        _route("/api/archive/{trace_id}", api.archive, "POST"),
        _route("/api/metrics/{path:path}", api.metrics),
    ]


def unknown() -> Route:
    """For what else is asked under /api: no page of the viewer."""

    async def answer(_: Request) -> Response:
        return PlainTextResponse("404 page not found\n", HTTPStatus.NOT_FOUND)

    return Route("/api/{path:path}", answer, methods=["GET", "POST", "PUT", "DELETE"])


def _route(path: str, answer: Answer, method: str = "GET") -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            return success(await answer(request))
        except QueryError as error:
            return refusal(error, pretty=is_pretty(request))
        except StoreError as error:
            failed = QueryError(error.reason, HTTPStatus.INTERNAL_SERVER_ERROR)
            return refusal(failed, pretty=is_pretty(request))

    return Route(path, endpoint, methods=[method])


class _Api:
    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def services(self, request: Request) -> bytes:
        names = await self._archive.read(lambda reader: reader.services())
        return structured(names, len(names), pretty=is_pretty(request))

    async def operation_names(self, request: Request) -> bytes:
        service = unquote(request.path_params["service"])
        operations = await self._archive.read(lambda reader: reader.operations(service))
        names = list(dict.fromkeys(name for name, _ in operations))
        return structured(names, len(names), pretty=is_pretty(request))

    async def operations(self, request: Request) -> bytes:
        service = request.query_params.get("service", "")
        kind = request.query_params.get("spanKind", "")
        if not service:
            raise QueryError("parameter 'service' is required")
        operations = await self._archive.read(lambda reader: reader.operations(service))
        data = [
            {"name": name, "spanKind": KIND_NAMES[number]}
            for name, number in operations
            if not kind or KIND_NAMES[number] == kind
        ]
        return structured(data, len(data), pretty=is_pretty(request))

    async def traces(self, request: Request) -> bytes:
        wanted, pretty = trace_query(request.query_params), is_pretty(request)
        trace_ids: Sequence[int] = wanted.trace_ids
        if not trace_ids:
            trace_ids = await found_traces(self._archive, wanted.query)

        def answer(reader: Reader) -> bytes:
            traces, cut = traces_of(reader, trace_ids)
            errors: list[dict[str, Any]] = [{"msg": TOO_MANY_SPANS}] if cut else []
            if wanted.trace_ids:
                errors += [
                    {"msg": "trace not found", "traceID": full_id(number)}
                    for number, spans in traces.items()
                    if not spans
                ]
            data = [_shown(spans, raw=wanted.raw) for spans in traces.values() if spans]
            return structured(data, errors=errors, pretty=pretty)

        return await self._archive.read(answer)

    async def trace(self, request: Request) -> bytes:
        number, pretty = trace_id(request.path_params["trace_id"]), is_pretty(request)
        raw = raw_wanted(request.query_params)

        def answer(reader: Reader) -> bytes:
            spans = reader.trace(number)
            if not spans:
                raise not_found()
            return structured([_shown(spans, raw=raw)], pretty=pretty)

        return await self._archive.read(answer)

    async def dependencies(self, request: Request) -> bytes:
        start, end = dependencies_range(request.query_params)
        service = request.query_params.get("service", "")
        data = await self._archive.read(lambda reader: dependencies(reader, start, end, service))
        return structured(data, pretty=is_pretty(request))

    async def transform(self, request: Request) -> bytes:
        body, pretty = await _body(request), is_pretty(request)

        def answer() -> bytes:
            try:
                decoded = otlp_json.decode(body)
            except MalformedError as error:
                raise QueryError(f"cannot unmarshal OTLP : {error}") from None
            by_trace: dict[int, list[SpanRecord]] = {}
            for span in decoded.spans:
                by_trace.setdefault(span.trace_id, []).append(span)
            return structured([_shown(spans, raw=False) for spans in by_trace.values()], pretty=pretty)

        return await asyncio.get_running_loop().run_in_executor(None, answer)

    async def archive(self, request: Request) -> bytes:
        """Say that it is kept: the store is where archived traces would go."""
        number = trace_id(request.path_params["trace_id"])
        if await self._archive.read(lambda reader: reader.summary(number)) is None:
            raise not_found()
        return structured([], pretty=is_pretty(request))

    async def metrics(self, _: Request) -> bytes:
        raise QueryError("metrics querying is currently disabled", HTTPStatus.NOT_IMPLEMENTED)


def _shown(spans: Iterable[SpanRecord], *, raw: bool) -> dict[str, Any]:
    trace = jaeger_json.trace(spans)
    return trace if raw else adjusted(trace)


async def _body(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MAX_BODY:
            raise QueryError("the body is too large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        chunks.append(chunk)
    return b"".join(chunks)
