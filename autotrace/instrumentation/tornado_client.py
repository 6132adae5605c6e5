"""Client spans for tornado's `AsyncHTTPClient`, and so for its `HTTPClient`.

Patched: `fetch_impl` of both clients, where an exchange begins, queueing included, and
`_HTTPConnection.headers_received`, where the head of a response is there. The simple client fetches anew for
each redirect, from wherever the connection happens to run: the context of the first fetch is kept for it.
libcurl follows redirects by itself: its exchanges make one span, and the trace headers go along.

tornado sends the headers of the request object, where it has put a copy of the application's, and adds its
own to them. The trace headers are on a copy of this exchange alone, for the same request may be sent twice at
a time.
"""

from __future__ import annotations

from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.http import server_of
from autotrace.instrumentation.http_client import HttpClient, open_group
from autotrace.patching.guard import absorbed, guard

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from types import ModuleType
    from typing import Final

    from autotrace.instrumentation.http_server import AnySpan
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_EXCHANGE: Final = "_autotrace_exchange"
"""The attribute of tornado's proxy around a request."""

_VERSIONS: Final = {"HTTP/1.1": 11, "HTTP/1.0": 10}
_FIRST_FINAL_STATUS: Final = 200


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `tornado.simple_httpclient`."""
    client = HttpClient(patcher, "tornado_client")
    patcher.replace(module, "SimpleAsyncHTTPClient.fetch_impl", partial(_fetch, client, patcher))
    patcher.replace(module, "_HTTPConnection.headers_received", _receive_head)


def install_curl(module: ModuleType, patcher: Patcher) -> None:
    """Patch `tornado.curl_httpclient`."""
    client = HttpClient(patcher, "tornado_client")
    patcher.replace(module, "CurlAsyncHTTPClient.fetch_impl", partial(_fetch, client, patcher))


class _Exchange:
    """An exchange, and the carrier of its trace headers."""

    __slots__ = ("_client", "_headers", "_replaced", "_request", "_span", "context")

    def __init__(self, client: HttpClient, span: AnySpan, proxy: Any, context: Context) -> None:
        self._client = client
        self._span: AnySpan | None = span
        self._request = proxy.request
        self._headers = proxy.__dict__["headers"] = proxy.headers.copy()
        self._replaced: dict[str, list[str]] = {}
        self.context = context

    def __setitem__(self, name: str, value: str) -> None:
        self._replaced[name] = self._headers.get_list(name)
        self._headers[name] = value

    def succeed(self, status: int, version: str | None, headers: Any) -> None:
        """The response's head is here."""
        span = self._end()
        if span is not None:
            self._client.end(span, status, _VERSIONS.get(version or ""), headers)

    def fail(self, error: BaseException | None) -> None:
        """No response will come."""
        span = self._end()
        if span is not None:
            self._client.fail(span, error)

    def _end(self) -> AnySpan | None:
        """The span, once; the request's headers are what tornado has made of them, without the trace's."""
        span, self._span = self._span, None
        if span is not None:
            for name, values in self._replaced.items():
                self._headers.pop(name, None)
                for value in values:
                    self._headers.add(name, value)
            self._request.headers = self._headers
        return span


def _fetch(client: HttpClient, patcher: Patcher, original: Function) -> Function:
    def fetch_impl(self: Any, request: Any, callback: Callable[[Any], None]) -> Any:
        exchange: _Exchange | None = None
        if patcher.enabled:
            try:
                exchange = _begin(client, request)
            except Exception as error:
                absorbed(error)
        if exchange is None:
            return original(self, request, callback)

        def done(response: Any) -> None:
            with guard:
                _settle(exchange, response)
            callback(response)

        try:
            return original(self, request, done)
        except BaseException as error:
            with guard:
                exchange.fail(error)
            raise

    return fetch_impl


def _receive_head(original: Function) -> Function:
    def headers_received(self: Any, first_line: Any, headers: Any) -> Any:
        try:
            exchange = self.request.__dict__.get(_EXCHANGE)
            if exchange is not None and first_line.code >= _FIRST_FINAL_STATUS:
                exchange.succeed(first_line.code, first_line.version, _Pairs(headers))
        except Exception as error:
            absorbed(error)
        return original(self, first_line, headers)

    return headers_received


class _Pairs:
    """Headers in which every value counts; tornado's own `items` joins those of one name."""

    __slots__ = ("items",)

    def __init__(self, headers: Any) -> None:
        self.items = headers.get_all


def _begin(client: HttpClient, request: Any) -> _Exchange | None:
    first = getattr(getattr(request.request, "original_request", None), "__dict__", {}).get(_EXCHANGE)
    if first is not None:
        context = first.context
    else:
        context = copy_context()
        context.run(open_group)
    url = request.url if isinstance(request.url, str) else request.url.decode()
    host, port = server_of(url)
    if not host:  # tornado will say so
        return None
    begun = context.run(client.begin, request.method, url, host, port, _Pairs(request.headers))
    if begun is None:
        return None
    span, sent = begun
    exchange = _Exchange(client, span, request, context)
    client.inject(exchange, sent)
    request.__dict__[_EXCHANGE] = exchange
    return exchange


def _settle(exchange: _Exchange, response: Any) -> None:
    """End what is not ended yet: an exchange that failed, or one of libcurl's."""
    if response.error is not None and not response._error_is_response_code:  # noqa: SLF001 - as tornado's `fetch` does
        exchange.fail(response.error)
    else:
        exchange.succeed(response.code, None, _Pairs(response.headers))
