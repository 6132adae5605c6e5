"""A TCP or TLS connection on which every single operation ends by one deadline.

A socket's own timeout starts anew with each byte that arrives; a peer that trickles could hold its
reader for ever. Here each operation is given what is left until the deadline, which may be drawn
nearer from another thread meanwhile.
"""

from __future__ import annotations

import io
import threading
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from autotrace.export import threads

if TYPE_CHECKING:
    import socket
    import ssl
    from typing import Final

    from _typeshed import ReadableBuffer, WriteableBuffer

    Address = tuple[Any, ...]

SLICE: Final = 0.25
"""Seconds after which a waiting reader looks at its deadline again."""

REFUSED: Final = "connection refused"
CLOSED: Final = "connection closed by the backend"
TIMED_OUT: Final = "timed out"
NOT_RESOLVED: Final = "name not resolved"
UNREACHABLE: Final = "host unreachable"
UNTRUSTED: Final = "certificate not trusted"
TLS_FAILED: Final = "tls failed"
NETWORK_ERROR: Final = "network error"
NOT_HTTP: Final = "answer is not http"
FAILED: Final = "request failed"


class Deadline:
    """When everything under way ends, on the clock of `time.monotonic()`."""

    __slots__ = ("at", "latest")

    def __init__(self) -> None:
        self.at = 0.0
        """Of the work under way."""
        self.latest = inf
        """Of all work; may be set from any thread."""

    def left(self) -> float:
        """Seconds left, more than 0.

        Raises:
            TimeoutError: None is left.
        """
        left = min(self.at, self.latest) - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def allows(self, wait: float) -> bool:
        """Whether there is time to do anything after a pause of so many seconds."""
        return monotonic() + wait < min(self.at, self.latest)


class Wire:
    """What `http.client` takes for a connected socket.

    `close` does nothing: `http.client` closes its socket while a response is still to be read from
    it, and relies on reference counts of the real thing. `disconnect` is ours to call.
    """

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def sendall(self, data: ReadableBuffer) -> None:
        """Send all of `data`, by the deadline."""
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(self._deadline.left())
            rest = rest[self._socket.send(rest) :]

    def receive_into(self, buffer: WriteableBuffer) -> int:
        """Wait for data, by the deadline; 0 at the end of the stream."""
        while True:
            self._socket.settimeout(min(SLICE, self._deadline.left()))
            try:
                return self._socket.recv_into(buffer)
            except _timeouts():
                pass

    def makefile(self, _mode: str) -> io.BufferedReader:
        """A file to read one response from."""
        return io.BufferedReader(_Incoming(self))

    def close(self) -> None:
        """See the class."""

    def disconnect(self) -> None:
        """Close the descriptor, without a word to the peer: after a fork it is still the parent's."""
        self._socket.close()

    __del__ = disconnect  # a forgotten socket would have Python warn on the application's stderr


class _Incoming(io.RawIOBase):
    """The reading end of a wire; closing it leaves the wire open for the next response."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._wire.receive_into(buffer)


def connect(host: str, port: int, tls: ssl.SSLContext | None, deadline: Deadline) -> Wire:
    """Open a connection to the first address of `host` that answers.

    Raises:
        OSError: None did. Each address is given its share of the time that is left.
    """
    addresses = resolve(host, port, deadline)
    refusal: OSError = ConnectionRefusedError()
    for position, (family, address) in enumerate(addresses):
        share = deadline.left() / (len(addresses) - position)
        try:
            return Wire(_connected(family, address, host, tls, share), deadline)
        except OSError as error:
            refusal = error
    raise refusal


def _connected(
    family: int, address: Address, host: str, tls: ssl.SSLContext | None, timeout: float
) -> socket.socket:
    import socket  # noqa: PLC0415 - the first span imports it, not the start of the program

    end = monotonic() + timeout
    connected = socket.socket(family, socket.SOCK_STREAM)
    try:
        connected.settimeout(timeout)
        connected.connect(address)
        # Head and body are written apart; without this the body waits for the peer's acknowledgement.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            connected = tls.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
            connected.settimeout(max(end - monotonic(), 0.001))
            connected.do_handshake()
    except BaseException:
        connected.close()
        raise
    return connected


def resolve(host: str, port: int, deadline: Deadline) -> list[tuple[int, Address]]:
    """Addresses of a name, on a thread of its own: `getaddrinfo` knows no timeout and may take minutes."""
    import socket  # noqa: PLC0415

    found: list[tuple[int, Address]] = []
    failures: list[OSError] = []

    def look_up(flags: int = 0) -> None:
        try:
            answers = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, socket.IPPROTO_TCP, flags)
            found.extend((family, address) for family, _, _, _, address in answers)
        except OSError as error:
            failures.append(error)
        except UnicodeError as error:  # an empty or overlong label
            failures.append(socket.gaierror(socket.EAI_NONAME, str(error)))

    look_up(socket.AI_NUMERICHOST)
    if found:
        return found
    failures.clear()

    def look_up_alone() -> None:
        threads.unwatched()
        look_up()

    thread = threading.Thread(target=look_up_alone, name="autotrace-resolve", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is closing, or there are no more threads
        look_up()
    else:
        thread.join(deadline.left())
        if thread.is_alive():
            raise TimeoutError
    if not found:
        raise failures[0]
    return found


def reason_of(error: BaseException) -> str:
    """What went wrong, as a short phrase for the operator, equal for equal causes."""
    import errno  # noqa: PLC0415
    import http.client  # noqa: PLC0415
    import socket  # noqa: PLC0415

    kind = type(error).__name__
    if kind.startswith("SSL"):  # by name: `ssl` may be missing, and need not be imported for plain http
        return _TLS_REASONS.get(kind, TLS_FAILED)
    if getattr(error, "errno", 0) in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        return UNREACHABLE
    reasons: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
        (_timeouts(), TIMED_OUT),
        (socket.gaierror, NOT_RESOLVED),
        (ConnectionRefusedError, REFUSED),
        (ConnectionError, CLOSED),
        (OSError, NETWORK_ERROR),
        (http.client.HTTPException, NOT_HTTP),
    )
    return next((reason for kinds, reason in reasons if isinstance(error, kinds)), FAILED)


_TLS_REASONS: Final = {
    "SSLCertVerificationError": UNTRUSTED,
    "SSLEOFError": CLOSED,
    "SSLZeroReturnError": CLOSED,
}


def _timeouts() -> tuple[type[BaseException], ...]:
    """What a socket raises when its time is over: two classes before Python 3.10."""
    import socket  # noqa: PLC0415

    return (TimeoutError, socket.timeout)
