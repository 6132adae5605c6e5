"""Client spans for httpcore, which sends the requests of httpx, and those of programs that use it alone.

Patched: `ConnectionPool.handle_request` and `AsyncConnectionPool.handle_async_request`, which send one
request and return when the response's head is there: over HTTP/1.1 or HTTP/2, directly or through a proxy, on
asyncio or trio. Nothing is made current for the duration: no library that is traced lies below, and what runs
there of the application's, the body that it streams, is none of the client's work.

`OTEL_PYTHON_HTTPX_EXCLUDED_URLS` holds for both libraries, and for their successors httpcore2 and httpx2.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.http_client import HttpClient
from autotrace.patching.guard import absorbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType
    from typing import Final

    from autotrace.instrumentation.http_server import AnySpan
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_PORTS: Final = {b"http": 80, b"https": 443, b"ws": 80, b"wss": 443}
_VERSIONS: Final = {b"HTTP/1.1": 11, b"HTTP/2": 20, b"HTTP/1.0": 10}


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `httpcore`."""
    client = HttpClient(patcher, "httpx")
    patcher.replace(module, "ConnectionPool.handle_request", partial(_handle, client, patcher))
    patcher.replace(
        module, "AsyncConnectionPool.handle_async_request", partial(_handle_async, client, patcher)
    )


def _handle(client: HttpClient, patcher: Patcher, original: Function) -> Function:
    def handle_request(self: Any, request: Any) -> Any:
        span: AnySpan | None = None
        if patcher.enabled:
            try:
                span, request = _begin(client, request)
            except Exception as error:
                absorbed(error)
        if span is None:
            return original(self, request)
        try:
            response = original(self, request)
        except BaseException as error:
            client.fail(span, error)
            raise
        _succeed(client, span, response)
        return response

    return handle_request


def _handle_async(client: HttpClient, patcher: Patcher, original: Function) -> Function:
    async def handle_async_request(self: Any, request: Any) -> Any:
        span: AnySpan | None = None
        if patcher.enabled:
            try:
                span, request = _begin(client, request)
            except Exception as error:
                absorbed(error)
        if span is None:
            return await original(self, request)
        try:
            response = await original(self, request)
        except BaseException as error:
            client.fail(span, error)
            raise
        _succeed(client, span, response)
        return response

    return handle_async_request


class _Headers:
    """Headers as httpcore has them, pairs of bytes, to read as texts and to write a trace into."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self.pairs = pairs

    def items(self) -> Iterable[tuple[str, str]]:
        return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.pairs)

    def __setitem__(self, name: str, value: str) -> None:
        """Send a header once: one of that name which the application has put is left out of the copy."""
        key = name.lower().encode("latin-1")
        pairs = [pair for pair in self.pairs if pair[0].lower() != key]
        pairs.append((name.encode("latin-1"), value.encode("latin-1")))
        self.pairs = pairs


def _begin(client: HttpClient, request: Any) -> tuple[AnySpan | None, Any]:
    """The span, and the request to send: a copy, for the application may send its own again."""
    url = request.url
    usual = _PORTS.get(url.scheme)
    if usual is None:  # httpcore will say so
        return None, request
    host = url.host.decode("latin-1")
    port = url.port or usual
    address = f"[{host}]" if ":" in host else host
    if port != usual:
        address = f"{address}:{port}"
    headers = _Headers(request.headers)
    begun = client.begin(
        request.method.decode("latin-1"),
        f"{url.scheme.decode()}://{address}{url.target.decode('latin-1')}",
        host,
        port,
        headers,
    )
    if begun is None:
        return None, request
    span, context = begun
    client.inject(headers, context)
    fresh = object.__new__(type(request))
    fresh.__dict__.update(request.__dict__)
    fresh.headers = headers.pairs
    return span, fresh


def _succeed(client: HttpClient, span: AnySpan, response: Any) -> None:
    try:
        version = _VERSIONS.get(response.extensions.get("http_version"))
        client.end(span, response.status, version, _Headers(response.headers))
    except Exception as error:
        absorbed(error)
