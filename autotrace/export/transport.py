"""HTTP to a backend: POST a body, or GET a page, by a deadline.

On `http.client` with one kept connection. Retried with growing, jittered pauses: 429, 502, 503, 504,
a connection that cannot be made, and one that is closed without an answer; `Retry-After` decides about
the pause where it is given. Never past the deadline, and redirects are not followed.

`HTTP_PROXY`, `HTTPS_PROXY` and their like are ignored: they were set for the application's traffic, and a
collector is nearly always nearer than the proxy.

Used by one thread at a time, but for `hasten`. After a fork the child drops the connection, which
stays the parent's, and makes its own.

Spec: https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
"""

from __future__ import annotations

import os
import re
import threading
import zlib
from time import monotonic, time
from typing import TYPE_CHECKING, NamedTuple

from autotrace import __version__, notices
from autotrace.export.connection import (
    CLOSED,
    NETWORK_ERROR,
    NOT_RESOLVED,
    REFUSED,
    UNREACHABLE,
    Deadline,
    Wire,
    connect,
    reason_of,
)

if TYPE_CHECKING:
    import http.client
    import ssl
    from collections.abc import Iterable, Mapping
    from typing import Final

USER_AGENT: Final = f"autotrace/{__version__}"

MAX_ANSWER: Final = 4 * 2**20
"""Bytes read of an answer's body."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 5.0
"""Seconds between attempts, doubling from the first to the longest, less a jitter of up to a half."""
SHORTEST_PAUSE: Final = 0.1
"""Seconds, whatever the backend asks for: `Retry-After: 0` is no order to hammer it."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_TEXT: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_OURS: Final = frozenset(
    {"content-length", "content-type", "content-encoding", "transfer-encoding", "connection"}
)

_RETRIED_STATUS: Final = frozenset({429, 502, 503, 504})
_RETRIED_REASONS: Final = frozenset({REFUSED, CLOSED, NOT_RESOLVED, UNREACHABLE, NETWORK_ERROR})

_PIECE: Final = 2**16
"""Python 3.9 allocates what may be read before it reads."""

_GZIP: Final = 31
"""zlib's number for a gzip header and the largest window."""
_FASTEST: Final = 1
"""Attribute keys repeat so much that the fastest level already leaves a tenth."""


class Response(NamedTuple):
    """What the backend answered, or why it did not."""

    status: int
    """0 when there was no answer."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """Its first `MAX_ANSWER` bytes."""
    reason: str
    """For `Losses`; empty when the body was delivered, which any 2xx says."""


class HttpTransport:
    """Posts to one URL.

    Args:
        url: `http` or `https`; a user and password in it become basic authentication.
        headers: Sent with each request; names and values that HTTP forbids are left out, and said.
        timeout: For one post with its retries, in seconds; 0 for no limit but the deadline's.
        gzip: Compress bodies.
        certificate: PEM file of the authorities to trust instead of the system's.
        client_key: PEM file, when it is not in `client_certificate`.
        client_certificate: PEM file to prove who we are.
        auth: User and password for basic authentication.
    """

    def __init__(
        self,
        url: str,
        headers: Iterable[tuple[str, str]] = (),
        timeout: float = 10.0,
        *,
        gzip: bool = False,
        certificate: str = "",
        client_key: str = "",
        client_certificate: str = "",
        auth: tuple[str, str] | None = None,
    ) -> None:
        self._timeout = timeout
        self._gzip = gzip
        self._certificate = certificate
        self._client_key = client_key
        self._client_certificate = client_certificate
        self._tls: ssl.SSLContext | None = None
        self._fault = ""
        self._host, self._port, self._target, self.destination = "", 0, "/", url
        self._secure = False
        self._headers = {"user-agent": USER_AGENT.encode()}
        self._locate(url, auth)
        self._headers.update(_usable(headers))
        self._start_afresh()

    def _start_afresh(self) -> None:
        """At construction and in a forked child, where locks of the parent may be held for ever."""
        self._pid = os.getpid()
        self._connection: http.client.HTTPConnection | None = None
        self._wire: Wire | None = None
        self._deadline = Deadline()
        self._hurry = threading.Event()

    def _locate(self, url: str, auth: tuple[str, str] | None) -> None:
        from urllib.parse import quote, unquote, urlsplit  # noqa: PLC0415 - on the export thread, not at start

        try:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError  # noqa: TRY301 - one line for all that is wrong with a URL
            self._secure = parts.scheme == "https"
            self._host = parts.hostname
            self._port = parts.port or (443 if self._secure else 80)
        except ValueError:
            self._fault = "endpoint is not a url"
            # Not the text itself: it may hold a password, and we cannot tell where.
            notices.warn("the exporter's endpoint is not an http or https URL: spans are dropped")
            self.destination = "an unusable endpoint"
            return
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        self._target = f"{path}?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else path
        self.destination = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"
        if auth is None and parts.username is not None:
            auth = (unquote(parts.username), unquote(parts.password or ""))
        if auth is not None:
            self._headers["authorization"] = b"Basic " + _base64(":".join(auth).encode("utf-8", "replace"))

    def post(self, body: bytes, content_type: str, deadline: float) -> Response:
        """Deliver `body`, retrying until it is delivered or refused, or the time is over.

        Args:
            body: Not yet compressed.
            content_type: Of the body.
            deadline: On the clock of `time.monotonic()`, in seconds.

        Returns:
            The last answer. Whatever goes wrong on the network is its `reason`, never an exception.
        """
        if self._pid != os.getpid():
            self._abandon()
        if self._fault:
            return _failure(self._fault)
        if self._timeout > 0:
            deadline = min(deadline, monotonic() + self._timeout)
        self._deadline.at = deadline
        headers = {**self._headers, "content-type": content_type.encode()}
        if self._gzip:
            body = _compressed(body)
            headers["content-encoding"] = b"gzip"
        pause = FIRST_PAUSE
        hurried = False
        while True:
            response = self._attempt(body, headers)
            if response.status not in _RETRIED_STATUS and response.reason not in _RETRIED_REASONS:
                return response
            wait = _retry_after(response.headers)
            if wait is None:
                wait = pause * (0.5 + _jitter() / 2)
                pause = min(pause * 2, LONGEST_PAUSE)
            if self._hurry.is_set():
                wait = 0.0
            if hurried or not self._deadline.allows(wait):
                return response
            hurried = self._hurry.wait(wait)

    def get(self, deadline: float) -> Response:
        """Ask for the URL once, by `deadline`; as `post`, but there is another time."""
        if self._pid != os.getpid():
            self._abandon()
        if self._fault:
            return _failure(self._fault)
        self._deadline.at = deadline
        return self._attempt(None, self._headers)

    def hasten(self, deadline: float) -> None:
        """From any thread, at exit: all ends by `deadline`, and pauses end with one last attempt at once."""
        self._deadline.latest = deadline
        self._hurry.set()

    def close(self) -> None:
        """Give up the connection; the next post makes another."""
        wire, self._wire, self._connection = self._wire, None, None
        if wire is not None:
            wire.disconnect()

    def _abandon(self) -> None:
        """In a forked child: close our copy of the descriptor, which the parent does not notice."""
        self.close()
        self._start_afresh()

    def _attempt(self, body: bytes | None, headers: Mapping[str, bytes]) -> Response:
        """One exchange; two, when the kept connection turns out to be closed."""
        kept = self._connection is not None
        try:
            return self._exchange(body, headers)
        except Exception as error:
            self.close()
            failure = _failure(_reason(error))
        if not kept or failure.reason not in _RETRIED_REASONS:
            return failure
        try:
            return self._exchange(body, headers)
        except Exception as error:
            self.close()
            return _failure(_reason(error))

    def _exchange(self, body: bytes | None, headers: Mapping[str, bytes]) -> Response:
        connection = self._connection or self._open()
        try:
            connection.request("GET" if body is None else "POST", self._target, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            pass  # perhaps the backend has said why before it closed: a 413 comes like that
        answer = connection.getresponse()
        content = _content(answer)
        if answer.will_close or not answer.isclosed():
            self.close()
        received = {name.lower(): value for name, value in answer.getheaders()}
        delivered = 200 <= answer.status < 300  # noqa: PLR2004 - any 2xx
        return Response(answer.status, received, content, "" if delivered else f"http {answer.status}")

    def _open(self) -> http.client.HTTPConnection:
        from http.client import HTTPConnection  # noqa: PLC0415 - imports ssl and email: not before it is needed

        tls = self._tls_context() if self._secure else None
        wire = connect(self._host, self._port, tls, self._deadline)
        connection = HTTPConnection(self._host, self._port)
        connection.default_port = 443 if self._secure else 80  # leaves it out of the Host header
        connection.auto_open = 0  # a lost connection is our business
        connection.sock = wire
        self._wire, self._connection = wire, connection
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        import ssl  # noqa: PLC0415 - for https alone

        if self._tls is None:
            try:
                context = ssl.create_default_context(cafile=self._certificate or None)
                context.set_alpn_protocols(["http/1.1"])
                if self._client_certificate:
                    # The empty password: for an encrypted key OpenSSL would ask on the terminal, and wait.
                    context.load_cert_chain(self._client_certificate, self._client_key or None, password="")
            except (OSError, ValueError) as error:
                files = ", ".join(
                    filter(None, (self._certificate, self._client_certificate, self._client_key))
                )
                notices.warn(f"certificate files cannot be used ({error}): {files}", "certificate files")
                raise _UnusableError("certificate files cannot be used") from error
            self._tls = context
        return self._tls


def _content(answer: http.client.HTTPResponse) -> bytes:
    """The start of a body; `answer` is closed when that was all of it."""
    pieces = []
    try:
        for _ in range(MAX_ANSWER // _PIECE):
            piece = answer.read(_PIECE)
            if not piece:
                break
            pieces.append(piece)
    except Exception:
        pass  # the status has arrived, and is what counts; a body broken off leaves `answer` open
    return b"".join(pieces)


class _UnusableError(Exception):
    """The configuration does not allow a connection; the text is the reason."""


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, _UnusableError) else reason_of(error)


def _failure(reason: str) -> Response:
    return Response(0, {}, b"", reason)


def _usable(headers: Iterable[tuple[str, str]]) -> dict[str, bytes]:
    """Headers as HTTP allows them: a line break in a value would be a header of its own."""
    usable = {}
    for name, value in headers:
        token = name.strip().lower()
        encoded = value.strip().encode("utf-8", "replace")
        if _TOKEN.fullmatch(token) and _TEXT.fullmatch(encoded) and token not in _OURS:
            usable[token] = encoded
        else:
            notices.warn(f"the header {name!r:.60} cannot be sent: left out")
    return usable


def _base64(text: bytes) -> bytes:
    from binascii import b2a_base64  # noqa: PLC0415

    return b2a_base64(text, newline=False)


def _compressed(body: bytes) -> bytes:
    compressor = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
    return compressor.compress(body) + compressor.flush()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the backend asks, from a number or an HTTP date; None when it asks nothing."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isdecimal():
        return max(float(text[:9]), SHORTEST_PAUSE)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - http.client has imported it

    try:
        return max(parsedate_to_datetime(text).timestamp() - time(), SHORTEST_PAUSE)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _jitter() -> float:
    """0 to 1. Not from the `random` module's own generator, whose sequence is the application's."""
    return int.from_bytes(os.urandom(2), "big") / 0xFFFF
