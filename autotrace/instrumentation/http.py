"""What HTTP servers and clients have in common: methods, hosts, captured headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.semconv import HTTP_REQUEST_METHOD_ORIGINAL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from autotrace.settings import Settings

MAX_TEXT: Final = 1024
"""Characters kept of a header value, a host, a method."""
_MAX_HEADERS: Final = 64
_MAX_HOSTS: Final = 1024

OTHER: Final = "_OTHER"
_SENSITIVE: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
"""Never captured in clear text, whatever the settings say."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_SERVER: Final = re.compile(r"(\w+)://(?:[^/?#]*@)?([^/?#]*)")

_hosts: dict[tuple[str, str], tuple[str, int | None]] = {}


class Methods:
    """Turns a request's method into a span name's first word and its attributes.

    Spec: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#name
    """

    def __init__(self, settings: Settings) -> None:
        known = {method: method for method in settings.instrumentation_http_known_methods}
        self.known = _EveryMethod() if settings.instrumentation_http_capture_all_methods else known
        """Look a method up here first: the span's name begins with what is found, or with `HTTP`."""

    @staticmethod
    def describe_unknown(method: str, attributes: dict[str, Any]) -> str:
        """The value of `http.request.method` for one that nobody knows; the original is kept beside it."""
        attributes[HTTP_REQUEST_METHOD_ORIGINAL] = method[:MAX_TEXT]
        return OTHER


class _EveryMethod(dict[str, str]):
    """Knows any method (`OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS`)."""

    def get(self, method: str, _default: Any = None) -> Any:
        return method[:MAX_TEXT]


class HeaderCapture:
    """Copies the headers that the operator chose into attributes.

    Args:
        prefix: `http.request.header.` or `http.response.header.`.
        chosen: Matches whole header names.
        secret: Searched in header names; their values are replaced.
    """

    def __init__(self, prefix: str, chosen: re.Pattern[str] | None, secret: re.Pattern[str] | None) -> None:
        self._prefix = prefix
        self._chosen = chosen
        self._secret = secret

    def __bool__(self) -> bool:
        return self._chosen is not None

    def capture(self, headers: Iterable[tuple[str, str]], attributes: dict[str, Any]) -> None:
        """Add what is chosen: lists of strings, as the conventions say."""
        if self._chosen is None:
            return
        captured = 0
        for raw_name, value in headers:
            name = raw_name.lower()
            if captured >= _MAX_HEADERS or not self._chosen.fullmatch(name):
                continue
            captured += 1
            hidden = name in _SENSITIVE or (self._secret is not None and self._secret.search(name))
            key = self._prefix + name
            attributes[key] = [*attributes.get(key, ()), "[REDACTED]" if hidden else str(value)[:MAX_TEXT]]


def split_host(host: str, scheme: str) -> tuple[str, int | None]:
    """`Host` header or authority into address and port; the scheme's own port where none is given."""
    found = _hosts.get((host, scheme))
    if found is None:
        found = _split(host[:MAX_TEXT].strip(), scheme)
        if len(_hosts) >= _MAX_HOSTS:
            _hosts.clear()
        _hosts[host, scheme] = found
    return found


def server_of(url: str) -> tuple[str, int | None]:
    """Address and port of a full URL; an empty address where it is none."""
    parts = _SERVER.match(url)
    return split_host(parts[2], parts[1]) if parts is not None else ("", None)


def apply_forwarded(
    header: str, scheme: str, host: str | None, client: str | None
) -> tuple[str, str | None, str | None]:
    """The first element of a `Forwarded` header (RFC 7239) over what the other headers said."""
    for pair in header[:MAX_TEXT].split(",", 1)[0].split(";"):
        name, _, value = pair.strip().partition("=")
        value = value.strip().strip('"')
        if not value:
            continue
        name = name.lower()
        if name == "proto":
            scheme = value
        elif name == "host":
            host = value
        elif name == "for":
            client = split_host(value, "")[0]
    return scheme, host, client


def _split(host: str, scheme: str) -> tuple[str, int | None]:
    address, colon, port = host.rpartition(":")
    if not colon or port.endswith("]") or (":" in address and not address.endswith("]")):
        address, port = host, ""  # no port, or a bare IPv6 address
    number = int(port) if _is_port(port) else _DEFAULT_PORTS.get(scheme)
    return address.strip("[]"), number


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len("65535")
