"""Spans for gRPC: what its clients and servers, threaded and asynchronous, have in common.

Spec: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.instrumentation.semconv import (
    ERROR_TYPE,
    NETWORK_PEER_ADDRESS,
    NETWORK_PEER_PORT,
    SERVER_ADDRESS,
    SERVER_PORT,
)
from autotrace.patching.guard import guard
from autotrace.tracing.context import current, suppressed, with_span
from autotrace.tracing.span import ERROR, Span

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.context import Context
    from autotrace.tracing.unsampled import UnsampledSpan

    AnySpan = Span | UnsampledSpan

OK: Final = "OK"
CANCELLED: Final = "CANCELLED"
UNKNOWN: Final = "UNKNOWN"
UNIMPLEMENTED: Final = "UNIMPLEMENTED"
_STATUSES: Final = (
    *(OK, CANCELLED, UNKNOWN, "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"),
    *(UNIMPLEMENTED, "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
"""By their numbers."""

_SERVER_ERRORS: Final = frozenset(
    (UNKNOWN, "DEADLINE_EXCEEDED", UNIMPLEMENTED, "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
)
"""With which a server has failed; with the others it has answered."""


class Call:
    """One call, seen from either side. It ends once, whichever thread says so first."""

    __slots__ = ("_errors", "_open", "context", "span")

    def __init__(self, span: AnySpan, context: Context, errors: frozenset[str] | None) -> None:
        self.span = span
        self.context = context
        self._errors = errors
        self._open = [True]

    def finish(self, status: str = "", details: str = "", error: BaseException | None = None) -> None:
        """End the span. Never raises.

        Args:
            status: Name of the status code; empty where it cannot be known.
            details: What was said with it.
            error: The exception that is the failure, where one tells more than the status does.
        """
        with guard:
            try:
                self._open.pop()  # in one step: the stream and its termination are two threads' business
            except IndexError:
                return
            span = self.span
            if type(span) is not Span:
                return
            if status:
                span.set_attribute("rpc.response.status_code", status)
            if error is not None:
                span.fail(error)
            elif status and status != OK and (self._errors is None or status in self._errors):
                span.set_attribute(ERROR_TYPE, status)
                span.set_status(ERROR, details)
            span.end()


class Rpc:
    """Begins the spans of calls."""

    def __init__(self, patcher: Patcher) -> None:
        self._start = patcher.tracer.start
        self._propagator = patcher.propagator
        self._receivers = patcher.settings.propagate_to

    def send(self, method: Any, target: Any, metadata: Any) -> tuple[Call, tuple[Any, ...]] | None:
        """A client is about to call; None where nothing is to be traced.

        Returns:
            The call, and a copy of its metadata with the context.
        """
        above = current()
        if suppressed(above):
            return None
        name, host, port = text(method).lstrip("/"), *_server(text(target))
        attributes: dict[str, Any] = {"rpc.system.name": "grpc", "rpc.method": name}
        if host:
            attributes[SERVER_ADDRESS] = host
        if port:
            attributes[SERVER_PORT] = port
        span = self._start(name, SpanKind.CLIENT, attributes, above)
        context = with_span(span, above)
        pairs = tuple(metadata or ())
        if self._receivers is None or self._receivers.fullmatch(host):
            headers: dict[str, str] = {}
            self._propagator.inject(headers, context)
            pairs = (*(pair for pair in pairs if pair[0] not in headers), *headers.items())
        return Call(span, context, None), pairs

    def receive(self, method: str, metadata: Any, peer: str = "") -> Call | None:
        """A server has got a call; an empty method is one that it does not have."""
        if suppressed(current()):
            return None
        context = self._propagator.extract(_headers(metadata or ()))
        name = method.lstrip("/")
        attributes: dict[str, Any] = {"rpc.system.name": "grpc", "rpc.method": name or "_OTHER"}
        _add_peer(attributes, peer)
        span = self._start(name or "grpc", SpanKind.SERVER, attributes, context)
        return Call(span, with_span(span, context), _SERVER_ERRORS)

    def refuse(self, method: str, metadata: Any) -> None:
        """A server has got a call of a method that it does not have."""
        call = self.receive("", metadata)
        if call is not None:
            call.span.set_attribute("rpc.method_original", method.lstrip("/"))
            call.finish(UNIMPLEMENTED)


def _headers(metadata: Iterable[tuple[str, Any]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for key, value in metadata:
        if isinstance(value, str):  # what is binary is none of ours
            headers[key] = f"{headers[key]},{value}" if key in headers else value
    return headers


def text(value: Any) -> str:
    """What grpc keeps as text or as bytes; empty for None."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def status_name(code: Any) -> str:
    """Of a status code, a `grpc.StatusCode` or its number."""
    if isinstance(code, int):
        return _STATUSES[code] if 0 <= code < len(_STATUSES) else UNKNOWN
    return str(getattr(code, "name", UNKNOWN))


@functools.lru_cache(maxsize=256)
def _server(target: str) -> tuple[str, int]:
    """Host and port of a channel's target, as in `dns:///shop:50051`; a path where it is a socket's."""
    scheme, colon, rest = target.partition(":")
    if colon and scheme in ("unix", "unix-abstract"):
        return rest.removeprefix("//"), 0
    if "://" in target:
        rest = target.partition("://")[2]
        return _host_and_port(rest.partition("/")[2] or rest)
    return _host_and_port(rest if scheme in ("dns", "ipv4", "ipv6") else target)


def _host_and_port(text: str) -> tuple[str, int]:
    first = text.partition(",")[0]
    host, colon, port = first.rpartition(":")
    if not colon or not port.isdecimal() or (":" in host and not host.endswith("]")):
        host, port = first, "0"
    return host.strip("[]"), int(port)


def _add_peer(attributes: dict[str, Any], peer: str) -> None:
    """As grpc names it: `ipv4:127.0.0.1:50051`, `ipv6:%5B::1%5D:50051`, `unix:/path`."""
    scheme, _, rest = peer.partition(":")
    if scheme in ("ipv4", "ipv6"):
        host, port = _host_and_port(rest.replace("%5B", "[").replace("%5D", "]"))
        attributes[NETWORK_PEER_ADDRESS] = host
        if port:
            attributes[NETWORK_PEER_PORT] = port
    elif rest:
        attributes[NETWORK_PEER_ADDRESS] = rest
