"""Zipkin's collector, port 9411: spans of version 2 in JSON and protobuf, of version 1 in JSON.

Spec: https://zipkin.io/zipkin-api/
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from autotrace.backend.bodies import MIB, RefusedError
from autotrace.decoding import zipkin_json, zipkin_protobuf

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from starlette.requests import Request

    from autotrace.backend.receivers.intake import Intake
    from autotrace.decoding.decoded import Decoded

_MAX_BODY: Final = 10 * MIB
"""As the Zipkin server."""
_PROTOBUF: Final = "application/x-protobuf"
_THRIFT: Final = "application/x-thrift"


def routes(intake: Intake) -> list[Route]:
    """Those that take spans."""

    async def version_2(request: Request) -> Response:
        decode = zipkin_protobuf.decode if _content_type(request) == _PROTOBUF else zipkin_json.decode
        return await _answer(intake, request, decode)

    async def version_1(request: Request) -> Response:
        if _content_type(request) == _THRIFT:
            reason = "spans of version 1 are taken in JSON only"
            return PlainTextResponse(reason, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        return await _answer(intake, request, zipkin_json.decode_v1)

    return [
        Route("/api/v2/spans", version_2, methods=["POST"]),
        Route("/api/v1/spans", version_1, methods=["POST"]),
    ]


async def _answer(intake: Intake, request: Request, decode: Callable[[bytes], Decoded]) -> Response:
    try:
        await intake.take(request, _MAX_BODY, decode)
    except RefusedError as error:
        return PlainTextResponse(error.reason, error.status, error.headers)
    return Response(status_code=HTTPStatus.ACCEPTED)


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
