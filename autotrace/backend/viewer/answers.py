"""How the viewer's API answers."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.responses import Response

from autotrace.backend.viewer.parameters import ParameterError
from autotrace.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Final

    from starlette.requests import Request

    Handler = Callable[[Request], Awaitable[Response]]

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_compact = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class NotHereError(Exception):
    """What was asked for is not in the store."""


def encoded(content: Any) -> bytes:
    """JSON text; lone surrogates stay escapes."""
    return _compact(content).encode()


def answer(body: bytes, media_type: str = "application/json") -> Response:
    """All is well."""
    return Response(body, headers=_HEADERS, media_type=media_type)


def refusal(reason: str, status: HTTPStatus) -> Response:
    """All is not well; `reason` is for a person."""
    return Response(encoded({"error": reason}), status, _HEADERS, "application/json")


def from_the_viewer(handler: Handler) -> Handler:
    """Refuse another site: it can make a browser ask us for a change, but not hide that it was it."""

    async def handle(request: Request) -> Response:
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            return refusal("only the viewer itself may change what is stored", HTTPStatus.FORBIDDEN)
        return await handler(request)

    return handle


def guarded(handler: Handler) -> Handler:
    """Turn what can go wrong into answers."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except ParameterError as error:
            return refusal(str(error), HTTPStatus.BAD_REQUEST)
        except NotHereError as error:
            return refusal(str(error), HTTPStatus.NOT_FOUND)
        except StoreError as error:
            return refusal(error.reason, HTTPStatus.SERVICE_UNAVAILABLE)

    return handle
