"""A backend on a real loopback socket that answers as the test tells it to."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple


class Request(NamedTuple):
    line: str
    headers: dict[str, str]
    body: bytes


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Because", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


CLOSE = b""
"""An answer: close the connection without a word."""


class Backend:
    """Answers the n-th request with the n-th of `answers`, and from then on with the last.

    An answer is the bytes to send, or a function that is given the socket and after which the
    connection is closed. `CLOSE` and an answer with `connection: close` close it too.
    """

    def __init__(self, *answers: Any, family: int = socket.AF_INET, tls: Any = None) -> None:
        self.answers = answers or (answer(),)
        self.received: list[Request] = []
        self.connections = 0
        self.over = threading.Event()
        self._tls = tls
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def url(self, path: str = "/v1/traces", scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def drop_idle(self) -> None:
        """Close the server's end of every connection, as a backend does after its keep-alive time."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def close(self) -> None:
        self.over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        self.drop_idle()

    def _start(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection.makefile("rb") as stream:
                while self._exchange(connection, stream):
                    pass
        connection.close()

    def _exchange(self, connection: socket.socket, stream: Any) -> bool:
        line = stream.readline().decode().strip()
        if not line:
            return False
        headers = {}
        while True:
            name, separator, value = stream.readline().decode().partition(":")
            if not separator:
                break
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        self.received.append(Request(line, headers, body))
        reply = self.answers[min(len(self.received), len(self.answers)) - 1]
        if callable(reply):
            reply(connection)
            return False
        connection.sendall(reply)
        return bool(reply) and b"connection: close" not in reply


@contextmanager
def backend(*answers: Any, **options: Any) -> Any:
    served = Backend(*answers, **options)
    try:
        yield served
    finally:
        served.close()
