"""Client spans for urllib3, one per request that leaves the process.

Patched: `HTTPConnectionPool._make_request`, which sends one request on one connection, whichever
client library sits on top. `urlopen` of pool and manager around it call themselves for retries and
redirects, and are patched only to count them. `_make_request` is private, but has been there with the
same first arguments from 1.x on; `urlopen`, the public door, would nest each retry in the one before.

The trace headers are written by `http.client` below, as the last ones, so that the application's
mapping need not be copied; where that is not patched, or the connection is of another kind, a copy
carries them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.http import server_of
from autotrace.instrumentation.http_client import HttpClient, counted
from autotrace.instrumentation.http_dot_client import ABOVE, UNTRACED, writes_headers
from autotrace.patching.guard import absorbed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.instrumentation.http_server import AnySpan
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `urllib3.connectionpool`."""
    client = HttpClient(patcher, "urllib3")

    def observe(original: Function) -> Function:
        def _make_request(self: Any, conn: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            span: AnySpan | None = None
            if patcher.enabled:
                try:
                    address, host, port = _target(self, url)
                    headers = _headers(self, args, kwargs)
                    begun = client.begin(method, address, host, port, headers)
                    below = writes_headers(conn)
                    if begun is not None:
                        span, context = begun
                        if below:
                            setattr(conn, ABOVE, UNTRACED if context is None else context)
                        else:
                            args, kwargs = _with_headers(client.propagate(headers, context), args, kwargs)
                    elif below and client.excludes(address):
                        setattr(conn, ABOVE, UNTRACED)
                except Exception as error:
                    absorbed(error)
            if span is None:
                try:
                    return original(self, conn, method, url, *args, **kwargs)
                finally:
                    _let_go(conn)
            try:
                response = original(self, conn, method, url, *args, **kwargs)
            except BaseException as error:
                _let_go(conn)
                client.fail(span, error)
                raise
            _let_go(conn)
            client.succeed(span, response)
            return response

        return _make_request

    patcher.replace(module, "HTTPConnectionPool._make_request", observe)
    patcher.replace(module, "HTTPConnectionPool.urlopen", partial(counted, patcher=patcher))


def install_manager(module: ModuleType, patcher: Patcher) -> None:
    """Patch `urllib3.poolmanager`."""
    patcher.replace(module, "PoolManager.urlopen", partial(counted, patcher=patcher))


def _target(pool: Any, url: str) -> tuple[str, str, int | None]:
    """The URL in full, and the host and port that it names."""
    host, port, scheme = pool.host, pool.port, pool.scheme
    if url.startswith(("http://", "https://")):  # to a proxy it is absolute
        return url, *server_of(url)
    address = f"[{host}]" if ":" in host and host[0] != "[" else host
    if port is None or port == (443 if scheme == "https" else 80):
        return f"{scheme}://{address}{url}", host, port
    return f"{scheme}://{address}:{port}{url}", host, port


def _headers(pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    headers = kwargs.get("headers")
    if headers is None and len(args) > 1:
        headers = args[1]  # 2.x: body, headers
    return headers if headers is not None else pool.headers


def _with_headers(
    headers: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if "headers" not in kwargs and len(args) > 1:
        return (args[0], headers, *args[2:]), kwargs
    return args, {**kwargs, "headers": headers}


def _let_go(connection: Any) -> None:
    """The connection goes back to its pool, for whomever comes next."""
    if getattr(connection, ABOVE, None) is not None:
        setattr(connection, ABOVE, None)
