"""OTLP over HTTP, port 4318.

Spec: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from autotrace.backend.bodies import MIB, RefusedError
from autotrace.decoding import otlp_json, otlp_protobuf

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from starlette.requests import Request

    from autotrace.backend.receivers.intake import Intake
    from autotrace.decoding.decoded import Decoded

PATH: Final = "/v1/traces"

_MAX_BODY: Final = 64 * MIB
"""What the specification recommends."""
_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"

_RPC_CODES: Final = {
    HTTPStatus.BAD_REQUEST: 3,
    HTTPStatus.REQUEST_TIMEOUT: 4,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: 8,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: 12,
    HTTPStatus.SERVICE_UNAVAILABLE: 14,
}
"""google.rpc.Code: INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE."""


def routes(intake: Intake) -> list[Route]:
    """The one that takes traces."""

    async def traces(request: Request) -> Response:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        decode = _DECODERS.get(content_type)
        if decode is None:
            reason = f"Content-Type must be {_PROTOBUF} or {_JSON}"
            return Response(reason, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, media_type="text/plain")
        try:
            decoded = await intake.take(request, _MAX_BODY, decode)
        except RefusedError as error:
            return _refusal(content_type, error)
        return _success(content_type, decoded)

    return [Route(PATH, traces, methods=["POST"])]


_DECODERS: Final[dict[str, Callable[[bytes], Decoded]]] = {
    _PROTOBUF: otlp_protobuf.decode,
    _JSON: otlp_json.decode,
}


def _success(content_type: str, decoded: Decoded) -> Response:
    """An ExportTraceServiceResponse, empty unless spans were rejected."""
    rejected, reason = decoded.rejected, decoded.reason
    if content_type == _JSON:
        partial = {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": reason}}
        return Response(json.dumps(partial if rejected else {}), media_type=_JSON)
    body = (
        _sized(b"\x0a", b"\x08" + _varint(rejected) + _sized(b"\x12", reason.encode())) if rejected else b""
    )
    return Response(body, media_type=_PROTOBUF)


def _refusal(content_type: str, error: RefusedError) -> Response:
    """A google.rpc.Status."""
    code = _RPC_CODES[error.status]
    if content_type == _JSON:
        body = json.dumps({"code": code, "message": error.reason}).encode()
    else:
        body = b"\x08" + _varint(code) + _sized(b"\x12", error.reason.encode())
    return Response(body, error.status, error.headers, content_type)


def _sized(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:  # noqa: PLR2004 - what does not fit seven bits goes on in the next byte
        out += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return out + bytes((number,))
