"""Client spans for `http.client`, the innermost layer: for programs that use it bare or by urllib.

Patched: `HTTPConnection.putrequest`, `endheaders` and `getresponse`, the three steps of an exchange,
which `request` and subclasses go through. Between them the application's code runs, so the span is
kept on the connection and is not current. It begins with `endheaders`, when the request is complete
and the connection may have to be made.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.http_client import HttpClient, Request
from autotrace.patching.guard import absorbed, guard
from autotrace.tracing.context import SUPPRESS_HTTP_KEY, SUPPRESS_KEY, current

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.instrumentation.http_client import ClientExchange
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_STATE = "_autotrace_exchange"


class _Headers:
    """The headers a connection has buffered, as the carrier that a trace is written into."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __setitem__(self, name: str, value: str) -> None:
        """Send a header once: one of that name which the application has put is taken back."""
        mark = name.lower().encode("latin-1") + b":"
        buffered = self._connection._buffer  # noqa: SLF001 - `putheader` only appends
        buffered[1:] = [line for line in buffered[1:] if not line.lower().startswith(mark)]
        self._connection.putheader(name, value)


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `http.client`."""
    client = HttpClient(patcher, "http_client")
    patcher.replace(module, "HTTPConnection.putrequest", partial(_begin_request, patcher))
    patcher.replace(module, "HTTPConnection.endheaders", partial(_send_headers, client))
    patcher.replace(module, "HTTPConnection.getresponse", _get_response)


def _begin_request(patcher: Patcher, original: Function) -> Function:
    def putrequest(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        # A previous exchange whose response was never asked for ends here.
        _abandon(self)
        result = original(self, method, url, *args, **kwargs)
        context = current()
        if patcher.enabled and not (
            context and (context.get(SUPPRESS_KEY) or context.get(SUPPRESS_HTTP_KEY))
        ):
            self.__dict__[_STATE] = (method, url)
        return result

    return putrequest


def _send_headers(client: HttpClient, original: Function) -> Function:
    def endheaders(self: Any, *args: Any, **kwargs: Any) -> Any:
        line = self.__dict__.pop(_STATE, None)
        exchange: ClientExchange | None = None
        if type(line) is tuple:
            try:
                exchange = client.begin(_request(self, line[0], line[1]))
                if exchange is not None:
                    client.inject(_Headers(self), exchange.context)
            except Exception as error:
                absorbed(error)
        if exchange is None:
            return original(self, *args, **kwargs)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            exchange.fail(error)
            raise
        self.__dict__[_STATE] = exchange
        return result

    return endheaders


def _get_response(original: Function) -> Function:
    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = self.__dict__.pop(_STATE, None)
        if exchange is None or type(exchange) is tuple:
            return original(self, *args, **kwargs)
        try:
            response = original(self, *args, **kwargs)
        except BaseException as error:
            exchange.fail(error)
            raise
        exchange.succeed(response)
        return response

    return getresponse


def _abandon(connection: Any) -> None:
    exchange = connection.__dict__.pop(_STATE, None)
    if exchange is not None and type(exchange) is not tuple:
        with guard:
            exchange.fail(None)


def _request(connection: Any, method: str, url: str) -> Request:
    scheme = "https" if connection.default_port == 443 else "http"  # noqa: PLR2004 - as the class says
    host = connection._tunnel_host or connection.host  # noqa: SLF001 - the peer behind a proxy
    port = (connection._tunnel_port if connection._tunnel_host else None) or connection.port  # noqa: SLF001
    if not url.startswith(("http://", "https://")):  # to a proxy it is absolute
        address = f"[{host}]" if ":" in host else host
        url = (
            f"{scheme}://{address}{url}"
            if port == connection.default_port
            else f"{scheme}://{address}:{port}{url}"
        )
    return Request(method, url, host, port, None)
