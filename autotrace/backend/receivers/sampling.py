"""Jaeger's remote sampling: port 5778, and `/api/sampling` beside the collector on 14268.

Spec: https://www.jaegertracing.io/docs/1.76/architecture/sampling/
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from autotrace.backend.strategies import PROBABILISTIC, RATE_LIMITING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Final

    from starlette.requests import Request
    from starlette.responses import Response

    from autotrace.backend.strategies import Strategies

_NUMBERS: Final = {PROBABILISTIC: 0, RATE_LIMITING: 1}


def agent_routes(strategies: Strategies) -> list[Route]:
    """Every path, as Jaeger of version 2; the root in the numbers of old agents."""
    return [
        Route("/", _endpoint(strategies, numeric=True)),
        Route("/{path:path}", _endpoint(strategies, numeric=False)),
    ]


def collector_routes(strategies: Strategies) -> list[Route]:
    """The collector's path."""
    return [Route("/api/sampling", _endpoint(strategies, numeric=False))]


def _endpoint(strategies: Strategies, *, numeric: bool) -> Callable[[Request], Awaitable[Response]]:
    async def strategy(request: Request) -> Response:
        services = request.query_params.getlist("service")
        if len(services) != 1:
            return PlainTextResponse("'service' parameter must be provided once", HTTPStatus.BAD_REQUEST)
        answer = strategies.of(services[0])
        if numeric:
            answer = {**answer, "strategyType": _NUMBERS[answer["strategyType"]]}
        return JSONResponse(answer)

    return strategy
