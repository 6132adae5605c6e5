"""Client spans for `http.client`, the innermost layer: for programs that use it bare or by urllib.

Patched: `HTTPConnection.putrequest`, `endheaders` and `getresponse`, the three steps of an exchange,
which `request` and subclasses go through, and `close`, for a response that nobody asks for. Between
them the application's code runs, so the span is kept on the connection and is not current. It begins
with `endheaders`, when the request is complete and the connection may have to be made.

A layer above that makes the span itself leaves its context on the connection (`ABOVE`): no span is
made here then, only the trace headers are written.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.http_client import HttpClient
from autotrace.patching.guard import absorbed
from autotrace.patching.patcher import MARK
from autotrace.tracing.context import SUPPRESS_HTTP_KEY, SUPPRESS_KEY, current

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

# Attributes of a connection; never by its `__dict__`, which would slow down every later look at any of them.
ABOVE = "_autotrace_above"
"""What a layer above has left: a context, or `UNTRACED`; None where there is none."""
UNTRACED = "untraced"
"""The request is not to be traced, here either."""
_STATE = "_autotrace_exchange"
"""For an exchange of this layer: the request line, then the span; None between exchanges."""


def writes_headers(connection: Any) -> bool:
    """Whether this connection is one of ours to write trace headers on."""
    return getattr(getattr(type(connection), "endheaders", None), MARK, False)


class _Headers:
    """The headers a connection has buffered, as the carrier that a trace is written into."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __setitem__(self, name: str, value: str) -> None:
        """Send a header once: one of that name which the application has put is taken back."""
        connection = self._connection
        mark = name.lower().encode("latin-1") + b":"
        buffered = connection._buffer  # noqa: SLF001 - `putheader` only appends
        if mark in b"\n".join(buffered).lower():
            buffered[1:] = [line for line in buffered[1:] if not line.lower().startswith(mark)]
        if value.isascii() and value.isprintable():
            buffered.append(f"{name}: {value}".encode("ascii"))
        else:
            connection.putheader(name, value)


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `http.client`."""
    client = HttpClient(patcher, "http_client")
    patcher.replace(module, "HTTPConnection.putrequest", partial(_begin_request, client, patcher))
    patcher.replace(module, "HTTPConnection.endheaders", partial(_send_headers, client))
    patcher.replace(module, "HTTPConnection.getresponse", partial(_get_response, client))
    patcher.replace(module, "HTTPConnection.close", partial(_close, client))


def _begin_request(client: HttpClient, patcher: Patcher, original: Function) -> Function:
    def putrequest(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        if getattr(self, ABOVE, None) is not None:
            return original(self, method, url, *args, **kwargs)
        _abandon(client, self)
        result = original(self, method, url, *args, **kwargs)
        context = current()
        if patcher.enabled and not (
            context and (context.get(SUPPRESS_KEY) or context.get(SUPPRESS_HTTP_KEY))
        ):
            setattr(self, _STATE, (method, url))
        return result

    return putrequest


def _send_headers(client: HttpClient, original: Function) -> Function:
    def endheaders(self: Any, *args: Any, **kwargs: Any) -> Any:
        above = getattr(self, ABOVE, None)
        if above is not None:
            try:
                if above is not UNTRACED:
                    client.inject(_Headers(self), above)
            except Exception as error:
                absorbed(error)
            return original(self, *args, **kwargs)
        line = _take(self)
        span: Any = None
        if type(line) is tuple:
            try:
                begun = client.begin(*_request(self, *line))
                if begun is not None:
                    span, context = begun
                    client.inject(_Headers(self), context)
            except Exception as error:
                absorbed(error)
        if span is None:
            return original(self, *args, **kwargs)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            client.fail(span, error)
            raise
        setattr(self, _STATE, span)
        return result

    return endheaders


def _get_response(client: HttpClient, original: Function) -> Function:
    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = _take(self)
        if span is None or type(span) is tuple:
            return original(self, *args, **kwargs)
        try:
            response = original(self, *args, **kwargs)
        except BaseException as error:
            if kwargs and type(error) is TypeError:
                # urllib3 1.x asks with an argument of Python 2's, and then without.
                setattr(self, _STATE, span)
            else:
                client.fail(span, error)
            raise
        client.succeed(span, response)
        return response

    return getresponse


def _close(client: HttpClient, original: Function) -> Function:
    def close(self: Any) -> Any:
        _abandon(client, self)
        return original(self)

    return close


def _take(connection: Any) -> Any:
    state = getattr(connection, _STATE, None)
    if state is not None:
        setattr(connection, _STATE, None)
    return state


def _abandon(client: HttpClient, connection: Any) -> None:
    """End the span of an exchange whose response nobody has asked for."""
    span = _take(connection)
    if span is not None and type(span) is not tuple:
        client.fail(span, None)


def _request(connection: Any, method: str, url: str) -> tuple[str, str, str, int]:
    """Method, URL in full, host and port."""
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
    return method, url, host, port
