"""How the query APIs answer: Jaeger in an envelope, Zipkin in bare JSON and plain text."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request


class QueryError(Exception):
    """A question that cannot be answered, with the status and the words that say so."""

    def __init__(self, reason: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def structured(
    data: Any, total: int = 0, errors: Sequence[dict[str, Any]] = (), *, pretty: bool = False
) -> bytes:
    """Jaeger's envelope."""
    answer = {"data": data, "total": total, "limit": 0, "offset": 0, "errors": list(errors) or None}
    return encoded(answer, pretty=pretty)


def encoded(answer: Any, *, pretty: bool = False) -> bytes:
    """JSON text; lone surrogates stay escapes."""
    if pretty:
        return json.dumps(answer, indent=4).encode()
    return json.dumps(answer, separators=(",", ":")).encode()


def is_pretty(request: Request) -> bool:
    """Whether Jaeger would indent the answer."""
    return request.query_params.get("prettyPrint", "") not in {"", "false"}


def refusal(error: QueryError, *, pretty: bool = False) -> Response:
    """Jaeger's answer to what cannot be answered."""
    entry = {"code": int(error.status), "msg": error.reason}
    body = structured(None, errors=[entry], pretty=pretty) + b"\n"
    return Response(body, error.status, {"X-Content-Type-Options": "nosniff"}, "text/plain; charset=utf-8")


def success(body: bytes) -> Response:
    """Jaeger's answer when all is well."""
    return Response(body, media_type="application/json")
