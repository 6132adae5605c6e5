"""Whether the backends can be reached: name, connection, and who answers there."""

from __future__ import annotations

import re
import ssl
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from autotrace.cli.doctor.report import Fact
from autotrace.export.connection import (
    CLOSED,
    NOT_RESOLVED,
    REFUSED,
    TIMED_OUT,
    TLS_FAILED,
    UNREACHABLE,
    UNTRUSTED,
    Deadline,
    Wire,
    connect,
    reason_of,
    resolve,
)
from autotrace.settings.shown import endpoint, without_secrets

if TYPE_CHECKING:
    from typing import Final

    from autotrace.settings import Settings

TIME: Final = 5.0
"""Seconds for each endpoint."""

_ENOUGH: Final = 1024
"""Bytes of an answer that tell who gives it."""

_HEAD: Final = re.compile(rb"HTTP/1\.. (?!400).*?\r\n\r\n", re.DOTALL)
"""Of an answer whose body says nothing of the protocol; a 400 may come from a port that speaks TLS."""
_SETTINGS_FRAME: Final = 4
_FRAME_HEADER: Final = 9

_ADVICE: Final = {
    REFUSED: "Nothing listens there: start the backend, or correct the address.",
    TIMED_OUT: "A firewall may swallow the connection, or the host is down.",
    NOT_RESOLVED: "No such host, as far as this machine knows: correct the name.",
    UNREACHABLE: "There is no route to that host from here.",
    UNTRUSTED: "Name the authority's PEM file in the exporter's _CERTIFICATE setting.",
    CLOSED: "Something listens there, but speaks another protocol.",
}
_DEFAULT_ADVICE: Final = "Something between this machine and the backend is in the way."
_PLAIN_TO_TLS: Final = ("http, but the port speaks TLS", "Write https:// instead of http://.")
_LOCAL: Final = " In a container, localhost is the container itself."


class Place(NamedTuple):
    """Where an exporter sends to."""

    host: str
    port: int
    path: str
    secure: bool
    speaks_http: bool


class Verdict(NamedTuple):
    """What became of an attempt."""

    wrong: bool
    seen: str
    advice: str = ""


def facts(settings: Settings) -> list[Fact]:
    """One for each exporter of ours that has a network to reach."""
    found = []
    for name in settings.traces_exporter:
        address = endpoint(name, settings)
        if address:
            found.append(_fact(name, address, settings))
    return found


def _fact(name: str, address: str, settings: Settings) -> Fact:
    shown = without_secrets(address)
    try:
        place = _place(name, address, settings)
    except ValueError:
        return Fact(name, f"{shown}: not an address", True, "Correct the address.")
    verdict = _resolved(place) if address.startswith("udp:") else _reached(name, place, settings)
    in_vain = verdict.seen == REFUSED and place.host in {"localhost", "127.0.0.1", "::1"}
    return Fact(name, f"{shown}: {verdict.seen}", verdict.wrong, verdict.advice + _LOCAL * in_vain)


def _place(name: str, address: str, settings: Settings) -> Place:
    grpc = name == "otlp" and settings.exporter_otlp_traces_protocol == "grpc"
    parts = urlsplit(address if "://" in address else f"//{address}")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    return Place(parts.hostname or "", port, parts.path or "/", secure, not grpc)


def _resolved(place: Place) -> Verdict:
    try:
        resolve(place.host, place.port, _deadline())
    except OSError as error:
        reason = reason_of(error)
        return Verdict(True, reason, _ADVICE.get(reason, _DEFAULT_ADVICE))
    return Verdict(False, "the name is known; datagrams are not answered")


def _reached(name: str, place: Place, settings: Settings) -> Verdict:
    try:
        tls = _tls(name, settings) if place.secure else None
    except (OSError, ValueError) as error:
        advice = "Correct the settings that end in _CERTIFICATE and _CLIENT_KEY."
        return Verdict(True, f"certificate files cannot be used: {error}", advice)
    try:
        if not place.speaks_http:
            connect(place.host, place.port, tls, _deadline()).disconnect()
            return Verdict(False, "accepts connections")
        verdict = _judged(_answer(place, tls))
    except OSError as error:
        reason = reason_of(error)
        verdict = Verdict(True, reason, _ADVICE.get(reason, _DEFAULT_ADVICE))
        if reason not in {TLS_FAILED, CLOSED}:
            return verdict
    if verdict.wrong and place.secure and _speaks_plain_http(place):
        return Verdict(True, "https, but the port speaks plain HTTP", "Write http:// instead of https://.")
    if verdict.wrong and not place.secure and _speaks_tls(place):
        return Verdict(True, *_PLAIN_TO_TLS)
    return verdict


def _judged(answer: bytes) -> Verdict:
    if answer.startswith(b"HTTP/1."):
        status = answer[9:12].decode("ascii", "replace")
        if status == "400" and b"HTTPS" in answer:
            return Verdict(True, *_PLAIN_TO_TLS)
        return Verdict(False, f"accepts connections, answers in HTTP (GET: {status})")
    if len(answer) >= _FRAME_HEADER and answer[3] == _SETTINGS_FRAME:
        advice = "Use the port for OTLP over HTTP (4318 by custom), or OTEL_EXPORTER_OTLP_PROTOCOL=grpc."
        return Verdict(True, "the port speaks HTTP/2 alone, as gRPC does", advice)
    if not answer:
        return Verdict(True, "accepts connections, and closes them without an answer", _ADVICE[CLOSED])
    return Verdict(True, "answers, but not in HTTP", _ADVICE[CLOSED])


def _answer(place: Place, tls: ssl.SSLContext | None) -> bytes:
    """The beginning of what comes back for a GET: harmless, and answered by any HTTP server."""
    wire = connect(place.host, place.port, tls, _deadline())
    try:
        host = f"[{place.host}]" if ":" in place.host else place.host
        request = f"GET {place.path} HTTP/1.1\r\nHost: {host}:{place.port}\r\nConnection: close\r\n\r\n"
        wire.sendall(request.encode("utf-8", "replace"))
        return _beginning(wire)
    finally:
        wire.disconnect()


def _beginning(wire: Wire) -> bytes:
    """Enough of an answer to tell who gives it; not all servers close the connection after it."""
    received = bytearray()
    buffer = bytearray(_ENOUGH)
    try:
        while len(received) < _ENOUGH and not _HEAD.match(received):
            size = wire.receive_into(buffer)
            if not size:
                break
            received += buffer[:size]
    except OSError:
        if not received:
            raise
    return bytes(received)


def _speaks_plain_http(place: Place) -> bool:
    try:
        return _answer(place, None).startswith(b"HTTP/")
    except OSError:
        return False


def _speaks_tls(place: Place) -> bool:
    """Whether a handshake succeeds; nothing is said over that connection, so nobody need be trusted."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        connect(place.host, place.port, context, _deadline()).disconnect()
    except OSError:
        return False
    return True


def _tls(name: str, settings: Settings) -> ssl.SSLContext:
    if name == "jaeger":
        return ssl.create_default_context(cafile=settings.exporter_jaeger_certificate or None)
    if name != "otlp":
        return ssl.create_default_context()
    context = ssl.create_default_context(cafile=settings.exporter_otlp_traces_certificate or None)
    certificate, key = (
        settings.exporter_otlp_traces_client_certificate,
        settings.exporter_otlp_traces_client_key,
    )
    if certificate:
        context.load_cert_chain(
            certificate, key or None, password=""
        )  # no: for an encrypted one it would ask
    return context


def _deadline() -> Deadline:
    deadline = Deadline()
    deadline.at = monotonic() + TIME
    return deadline
