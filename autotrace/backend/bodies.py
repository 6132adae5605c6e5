"""From the body of a request to spans: within a size, a time, and a memory that all requests share."""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import ClientDisconnect

from autotrace.decoding.decoded import MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from starlette.requests import Request

_T = TypeVar("_T")

MIB: Final = 1024 * 1024

_PATIENCE: Final = 30.0
"""Seconds for a whole body: a sender that takes longer has stalled."""
_MAX_HELD: Final = 192 * MIB
"""Bytes, as they came, of all bodies that are being read or decoded."""
_MAX_DISCARDED: Final = 256 * MIB
"""Of a body that is too large: most clients read the answer only after they have sent it all."""
_LARGE: Final = 4 * MIB
"""Such bodies are decoded one at a time: their spans take many times their size."""

_THREADS: Final = 2
"""So that a large body does not hold up the small ones."""

_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
_USUAL_RATIO: Final = 16
"""Of inflated spans to compressed ones."""
_CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate", "zlib"})


class RefusedError(Exception):
    """A request that is not served, with the status that says so."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        """For the answer."""
        return {"Retry-After": "1"} if self.status == HTTPStatus.SERVICE_UNAVAILABLE else {}


class Bodies:
    """Reads and decodes bodies. To be made and used in one event loop."""

    def __init__(self) -> None:
        self._held = 0
        self._large = asyncio.Lock()
        self._threads = ThreadPoolExecutor(_THREADS, "autotrace-decode")

    async def decoded(self, request: Request, limit: int, decode: Callable[[bytes], _T]) -> _T:
        """What `decode` makes, in a thread, of a body of at most `limit` bytes, as it came and inflated.

        Raises:
            RefusedError: Too large, too slow, too many at a time, of an unknown coding, malformed.
        """
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        if coding not in _CODINGS and coding != "identity":
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"unknown Content-Encoding {coding:.40}")
        chunks: list[bytes] = []
        try:
            await asyncio.wait_for(self._read(request, limit, chunks), _PATIENCE)
            body = b"".join(chunks)
            if coding == "identity":
                return await self._in_thread(decode, body, len(body))
            return await self._in_thread(
                lambda body: decode(_inflated(body, limit)), body, len(body) * _USUAL_RATIO
            )
        except asyncio.TimeoutError:
            raise RefusedError(
                HTTPStatus.REQUEST_TIMEOUT, f"no whole body within {_PATIENCE:.0f} seconds"
            ) from None
        except MalformedError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None
        finally:
            self._held -= sum(map(len, chunks))

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    async def _read(self, request: Request, limit: int, chunks: list[bytes]) -> None:
        """Append what comes to `chunks`, and count it."""
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size <= limit:
                    if self._held > _MAX_HELD:
                        raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests at a time")
                    chunks.append(chunk)
                    self._held += len(chunk)
                elif size > _MAX_DISCARDED:
                    break
        except ClientDisconnect:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the sender went away") from None
        if size > limit:
            raise _too_large(limit)

    async def _in_thread(self, decode: Callable[[bytes], _T], body: bytes, size: int) -> _T:
        loop = asyncio.get_running_loop()
        if size < _LARGE:
            return await loop.run_in_executor(self._threads, decode, body)
        async with self._large:
            return await loop.run_in_executor(self._threads, decode, body)


def _inflated(body: bytes, limit: int) -> bytes:
    """The content of gzip, zlib, or bare deflate, which some senders take `deflate` for."""
    try:
        return _inflated_as(_GZIP_OR_ZLIB, body, limit)
    except zlib.error:
        pass
    try:
        return _inflated_as(_RAW_DEFLATE, body, limit)
    except zlib.error:
        raise MalformedError("the body is not compressed as Content-Encoding says") from None


def _inflated_as(window: int, body: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(window)
    content = inflater.decompress(body, limit + 1)
    if len(content) > limit:
        raise _too_large(limit)
    if not inflater.eof or inflater.unused_data:
        raise MalformedError("the compressed body is cut off, or something follows it")
    return content


def _too_large(limit: int) -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body may have {limit // MIB} MiB, also inflated"
    )
