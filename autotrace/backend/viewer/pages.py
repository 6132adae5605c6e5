"""The viewer's files, as they were built into `assets`; every other path is a view of the one page."""

from __future__ import annotations

import mimetypes
import re
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from typing import Final

    from starlette.requests import Request

_ASSETS: Final = Path(__file__).parent / "assets"
_INDEX: Final = "index.html"

# The interpreter's own table depends on files of the machine.
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_HASHED: Final = re.compile(r"[-.][A-Za-z0-9_-]{8,}\.[a-z0-9]+(\.map)?$")
"""Names that change with the content, as the bundler makes them."""

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"

_SECURITY: Final = {
    # Style attributes are how a waterfall places its bars; scripts come from our files only.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self';"
    " worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_NOT_BUILT: Final = (
    b"<!doctype html><title>autotrace</title><p>This installation has no viewer: its files were not built."
    b" The query APIs of Jaeger and Zipkin are here all the same.\n"
)


class _File(NamedTuple):
    content: bytes
    headers: dict[str, str]


def routes() -> list[Route]:
    """The one that takes every path that nobody else takes; to be mounted last."""
    files = _load(_ASSETS)
    index = files.pop(_INDEX, _File(_NOT_BUILT, _headers(_INDEX)))
    directories = {path.partition("/")[0] for path in files if "/" in path}

    async def page(request: Request) -> Response:
        path = request.path_params["path"]
        if path.startswith("api/") or path == "api":
            return JSONResponse({"error": "there is no such API"}, HTTPStatus.NOT_FOUND)
        file = files.get(path)
        if file is None:
            if path.partition("/")[0] in directories:  # of another version: a page would only confuse
                return Response(status_code=HTTPStatus.NOT_FOUND, headers=_SECURITY)
            file = index
        return Response(file.content, headers=file.headers)

    return [Route("/{path:path}", page)]


def _load(directory: Path) -> dict[str, _File]:
    """All files by their paths: what is not in here cannot be reached, whatever a request says."""
    return {
        path.relative_to(directory).as_posix(): _File(path.read_bytes(), _headers(path.name))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def _headers(name: str) -> dict[str, str]:
    kind = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    cache = _FOR_EVER if _HASHED.search(name) else _ASK_AGAIN
    return {**_SECURITY, "Content-Type": kind, "Cache-Control": cache}
