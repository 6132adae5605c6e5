"""Client spans for urllib3, one per request that leaves the process.

Patched: `HTTPConnectionPool._make_request`, which sends one request on one connection, whichever
client library sits on top. `urlopen` of pool and manager around it call themselves for retries and
redirects, and are patched only to count them. `_make_request` is private, but has been there with the
same first arguments from 1.x on; `urlopen`, the public door, would nest each retry in the one before.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.http_client import HttpClient, Request, counted
from autotrace.patching.guard import absorbed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.instrumentation.http_client import ClientExchange
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `urllib3.connectionpool`."""
    client = HttpClient(patcher, "urllib3")

    def observe(original: Function) -> Function:
        def _make_request(self: Any, conn: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            exchange: ClientExchange | None = None
            if patcher.enabled:
                try:
                    request = _request(self, method, url, args, kwargs)
                    exchange = client.begin(request)
                    if exchange is not None:
                        args, kwargs = _with_headers(exchange.headers(request.headers), args, kwargs)
                        exchange.enter()
                except Exception as error:
                    absorbed(error)
                    exchange = None
            if exchange is None:
                return original(self, conn, method, url, *args, **kwargs)
            try:
                response = original(self, conn, method, url, *args, **kwargs)
            except BaseException as error:
                exchange.leave()
                exchange.fail(error)
                raise
            exchange.leave()
            exchange.succeed(response)
            return response

        return _make_request

    patcher.replace(module, "HTTPConnectionPool._make_request", observe)
    patcher.replace(module, "HTTPConnectionPool.urlopen", partial(counted, patcher=patcher))


def install_manager(module: ModuleType, patcher: Patcher) -> None:
    """Patch `urllib3.poolmanager`."""
    patcher.replace(module, "PoolManager.urlopen", partial(counted, patcher=patcher))


def _request(pool: Any, method: str, url: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request:
    host, port, scheme = pool.host, pool.port, pool.scheme
    if not url.startswith("http"):  # through a proxy it is absolute
        default = port is None or port == (443 if scheme == "https" else 80)
        address = f"[{host}]" if ":" in host and host[0] != "[" else host
        url = f"{scheme}://{address}{url}" if default else f"{scheme}://{address}:{port}{url}"
    headers = kwargs.get("headers")
    if headers is None and len(args) > 1:
        headers = args[1]  # 2.x: body, headers
    return Request(method, url, host, port, headers if headers is not None else pool.headers)


def _with_headers(
    headers: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if "headers" not in kwargs and len(args) > 1:
        return (args[0], headers, *args[2:]), kwargs
    return args, {**kwargs, "headers": headers}
