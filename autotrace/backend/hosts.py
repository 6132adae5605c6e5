"""Who may be asked for traces: a web site must not read them through a name that it points at this machine.

The `Host` of a request that a browser makes for such a site is the site's name. Addresses and names of
this machine are what a user, or a script, would ask.

See https://en.wikipedia.org/wiki/DNS_rebinding
"""

from __future__ import annotations

import socket
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Receive, Scope, Send


class KnownHosts:
    """ASGI middleware that refuses requests for another host than `names`, localhost, or an address."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may be asked."""
        if scope["type"] == "http" and not self._known(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse("unknown Host", HTTPStatus.FORBIDDEN)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _known(self, host: str) -> bool:
        name = _name(host)
        return not name or name in self._names or name.endswith(".localhost") or _is_address(name)


def names_of(host: str) -> frozenset[str]:
    """Names under which this machine is asked for what listens on `host`."""
    if is_loopback(host):
        return frozenset({"localhost"})
    own = socket.gethostname().lower()
    return frozenset({"localhost", host.lower(), own, own.partition(".")[0], f"{own}.local"})


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches it."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _name(host: str) -> str:
    """Of a Host header: without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
