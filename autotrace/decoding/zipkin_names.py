"""Attributes under which the store keeps what only a Zipkin span has members for.

Shared by the receiver, which writes them, and the query API, which makes members of them again. Tags
of a span are attributes as they are, texts all of them, and win over what would get the same name.

An `error` tag without `otel.status_code` stays an attribute, beside a status ERROR with its text as the
message: OpenTelemetry did not make that span, and it goes out with the tags it came with. Where both
are there, they become the status alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

REMOTE_SERVICE: Final = "peer.service"
REMOTE_ADDRESS: Final = "network.peer.address"
REMOTE_PORT: Final = "network.peer.port"
REMOTE_IPV6: Final = "zipkin.remote.ipv6"
"""Only beside an IPv4 address; likewise below."""

LOCAL_ADDRESS: Final = "network.local.address"
LOCAL_PORT: Final = "network.local.port"
LOCAL_IPV6: Final = "zipkin.local.ipv6"

REMOTE_NAMES: Final = (
    (REMOTE_SERVICE, ""),
    ("service.peer.name", ""),
    ("server.address", ""),
    ("net.peer.name", ""),
    (REMOTE_ADDRESS, REMOTE_PORT),
    ("server.socket.domain", ""),
    ("server.socket.address", "server.socket.port"),
    ("net.sock.peer.name", ""),
    ("net.sock.peer.addr", "net.sock.peer.port"),
    ("peer.hostname", ""),
    ("peer.address", ""),
    ("db.name", ""),
)
"""Attributes that name the other side of a CLIENT or PRODUCER span, first hit wins, with that of its port.

Spec: https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/#otlp---zipkin
"""
