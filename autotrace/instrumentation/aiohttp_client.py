"""Client spans for aiohttp, one per request that leaves the process.

Patched: `BaseConnector.connect`, `ClientRequest.send` and `ClientResponse.start`, the three steps of an
exchange; the span is handed from one to the next on aiohttp's own objects. `ClientSession._request` around
them follows redirects, repeats what a kept connection has lost and runs the client's middlewares; it is
patched only to count. Its arguments stay as they are: the headers that carry the trace are those that aiohttp
has made for this one request.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.http_client import HttpClient, counted_coroutine
from autotrace.patching.guard import absorbed, guard

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Final

    from autotrace.instrumentation.http_server import AnySpan
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_SPAN: Final = "_autotrace_span"
"""The attribute of a request, then of its response, until the response's head is there."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `aiohttp.client`."""
    client = HttpClient(patcher, "aiohttp_client")
    patcher.replace(module, "BaseConnector.connect", partial(_connect, client, patcher))
    patcher.replace(module, "ClientRequest.send", partial(_send, client))
    patcher.replace(module, "ClientResponse.start", partial(_start, client))
    patcher.replace(module, "ClientSession._request", partial(counted_coroutine, patcher=patcher))


def _connect(client: HttpClient, patcher: Patcher, original: Function) -> Function:
    async def connect(self: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
        span: AnySpan | None = None
        if patcher.enabled:
            try:
                span = _begin(client, req)
            except Exception as error:
                absorbed(error)
        if span is None:
            return await original(self, req, *args, **kwargs)
        try:
            return await original(self, req, *args, **kwargs)
        except BaseException as error:
            req.__dict__.pop(_SPAN, None)
            client.fail(span, TimeoutError() if _timed_out(req) else error)
            raise

    return connect


def _send(client: HttpClient, original: Function) -> Function:
    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = self.__dict__.pop(_SPAN, None)
        if span is None:  # for one, what a proxy is asked
            return await original(self, *args, **kwargs)
        try:
            response = await original(self, *args, **kwargs)
        except BaseException as error:
            client.fail(span, TimeoutError() if _timed_out(self) else error)
            raise
        with guard:
            setattr(response, _SPAN, span)
        return response

    return send


def _start(client: HttpClient, original: Function) -> Function:
    async def start(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = self.__dict__.pop(_SPAN, None)
        if span is None:
            return await original(self, *args, **kwargs)
        try:
            response = await original(self, *args, **kwargs)
        except BaseException as error:
            client.fail(span, error)
            raise
        try:
            major, minor = self.version
            client.end(span, self.status, major * 10 + minor, self.headers)
        except Exception as error:
            absorbed(error)
        return response

    return start


def _begin(client: HttpClient, request: Any) -> AnySpan | None:
    url = request.url
    begun = client.begin(request.method, str(url), url.raw_host, url.port, request.headers)
    if begun is None:
        return None
    span, context = begun
    client.inject(request.headers, context)
    setattr(request, _SPAN, span)
    return span


def _timed_out(request: Any) -> bool:
    """Whether a cancellation is a timeout of aiohttp's own, which says so only further out."""
    return getattr(getattr(request, "_timer", None), "_cancelled", False) is True
