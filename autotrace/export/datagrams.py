"""Datagrams to one host and port, and what can be known of their arrival.

Nobody answers a datagram. But where nobody listens either, the host says so (ICMP), and a connected
socket tells: on the same host before `send` returns, from another one with a later call.

Used by one thread at a time, but for `hasten`. After a fork the child drops the socket and makes its own.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Any

from autotrace.export.connection import REFUSED, Deadline, reason_of, resolve
from autotrace.export.delivery import lose

if TYPE_CHECKING:
    import socket
    from typing import Final

    from autotrace.export.exporter import Losses

RESOLVE_AFTER: Final = 60.0
"""Seconds for which an address is used: an agent that is started anew may have another."""


class TooLongError(Exception):
    """The system does not send so long a datagram."""


class DatagramSender:
    """Sends datagrams that hold spans."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._pid = os.getpid()
        self._socket: socket.socket | None = None
        self._addresses: list[tuple[int, Any]] = []
        """Those of the host that are still to be tried."""
        self._resolve_at = 0.0
        self._deadline = Deadline()
        self._in_doubt = 0
        """Spans in the last datagram, while nothing is known of it."""

    def send(self, datagram: bytes, spans: int, deadline: float, losses: Losses) -> None:
        """Send one datagram and count in `losses` what is known by now to be lost.

        That can be the spans of the datagram before, whose refusal has only now arrived.

        Raises:
            TooLongError: Nothing was sent.
        """
        if self._pid != os.getpid():
            self.close()
            self._start_afresh()
        elif monotonic() >= self._resolve_at:
            self._settle(losses)
            self.close()
            self._addresses.clear()
        self._deadline.at = deadline
        while True:
            reason = self._attempt(datagram, spans, losses)
            if not reason:
                return
            self.close()
            if not self._addresses:
                lose(losses, reason, spans)
                return
            # `localhost` may be ::1 and 127.0.0.1, while the agent listens on one of them.

    def hasten(self, deadline: float) -> None:
        """From any thread, at exit: what is under way ends by `deadline`."""
        self._deadline.latest = deadline

    def close(self) -> None:
        """Give up the socket; the next datagram makes another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _attempt(self, datagram: bytes, spans: int, losses: Losses) -> str:
        """Send to one address; why that failed, or nothing."""
        import errno  # noqa: PLC0415

        try:
            connected = self._socket or self._connect()
            self._settle(losses)
            connected.settimeout(self._deadline.left())
            connected.send(datagram)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                raise TooLongError from error
            return _reason(error)
        refusal = self._error()
        if not refusal:
            self._in_doubt = spans
        return refusal

    def _connect(self) -> socket.socket:
        import socket  # noqa: PLC0415 - the first span imports it, not the start of the program

        if not self._addresses:
            self._addresses = resolve(self._host, self._port, self._deadline)
            self._resolve_at = monotonic() + RESOLVE_AFTER
        family, address = self._addresses.pop(0)
        connected = self._socket = socket.socket(family, socket.SOCK_DGRAM)
        connected.connect(address)
        return connected

    def _settle(self, losses: Losses) -> None:
        """Count the datagram before as lost if its refusal has come; otherwise it passes for arrived."""
        if self._in_doubt and (reason := self._error()):
            lose(losses, reason, self._in_doubt)
        self._in_doubt = 0

    def _error(self) -> str:
        """What the network has said since the last call."""
        import socket  # noqa: PLC0415

        if self._socket is None:
            return ""
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return _reason(OSError(code, os.strerror(code))) if code else ""


def _reason(error: OSError) -> str:
    # By far the most frequent, without importing what `reason_of` compares with.
    return REFUSED if isinstance(error, ConnectionRefusedError) else reason_of(error)
