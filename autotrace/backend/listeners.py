"""The sockets of the ports, opened before anything else is done."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Final

    from autotrace.backend.ports import Port

_BACKLOG: Final = 512
_DATAGRAM_BUFFER: Final = 8 * 1024 * 1024
"""Bytes asked of the system for datagrams that are waiting; it gives what its own limit allows."""


class Listener(NamedTuple):
    """What became of a port."""

    port: Port
    socket: socket.socket | None
    """None when it could not be opened."""
    note: str
    """Why it could not."""
    address: str
    """`host:port`, where it listens or should."""

    @property
    def number(self) -> int:
        """Of the open port."""
        return self.socket.getsockname()[1] if self.socket is not None else self.port.number

    @property
    def url(self) -> str:
        """What to tell senders."""
        return f"{'udp' if self.port.datagrams else 'http'}://{self.address}{self.port.path}"


def listen(host: str, port: Port) -> Listener:
    """Open `port` on `host`; what goes wrong is in the note."""
    kind = socket.SOCK_DGRAM if port.datagrams else socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(host, port.number, type=kind, flags=socket.AI_PASSIVE)
        family, _, protocol, _, address = found[0]
        # Told that it is TCP, asyncio sends small answers at once; else each waits 40 ms for the client.
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        return Listener(port, None, _said(error), _text(host, port.number))
    try:
        if port.datagrams:
            with suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _DATAGRAM_BUFFER)
        else:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setblocking(False)
        opened.bind(address)
        if not port.datagrams:
            opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        return Listener(port, None, _said(error), _text(host, port.number))
    return Listener(port, opened, "", _text(host, opened.getsockname()[1]))


def _text(host: str, number: int) -> str:
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def _said(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
