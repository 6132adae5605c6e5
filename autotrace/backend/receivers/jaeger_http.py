"""Jaeger's collector over HTTP, port 14268: a Batch in binary Thrift.

Spec: https://www.jaegertracing.io/docs/1.76/architecture/apis/#thrift-over-http
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from autotrace.backend.bodies import MIB, RefusedError
from autotrace.decoding import jaeger_thrift

if TYPE_CHECKING:
    from typing import Final

    from starlette.requests import Request

    from autotrace.backend.receivers.intake import Intake

_MAX_BODY: Final = 20 * MIB
"""As Jaeger of version 2."""
_CONTENT_TYPES: Final = frozenset({"application/x-thrift", "application/vnd.apache.thrift.binary"})


def routes(intake: Intake) -> list[Route]:
    """The one that takes spans."""

    async def traces(request: Request) -> Response:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in _CONTENT_TYPES:
            return PlainTextResponse(f"unsupported content type: {content_type:.80}", HTTPStatus.BAD_REQUEST)
        try:
            await intake.take(request, _MAX_BODY, jaeger_thrift.decode)
        except RefusedError as error:
            return PlainTextResponse(error.reason, error.status, error.headers)
        return Response(status_code=HTTPStatus.ACCEPTED)

    return [Route("/api/traces", traces, methods=["POST"])]
