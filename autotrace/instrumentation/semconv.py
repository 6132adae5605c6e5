"""Names of OpenTelemetry's semantic conventions (1.44), and the old names they replaced.

Spec: https://opentelemetry.io/docs/specs/semconv/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Final

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"

HTTP_REQUEST_METHOD: Final = "http.request.method"
HTTP_REQUEST_METHOD_ORIGINAL: Final = "http.request.method_original"
HTTP_REQUEST_RESEND_COUNT: Final = "http.request.resend_count"
HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
HTTP_ROUTE: Final = "http.route"
URL_FULL: Final = "url.full"
URL_PATH: Final = "url.path"
URL_QUERY: Final = "url.query"
URL_SCHEME: Final = "url.scheme"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
CLIENT_ADDRESS: Final = "client.address"
NETWORK_PEER_ADDRESS: Final = "network.peer.address"
NETWORK_PEER_PORT: Final = "network.peer.port"
NETWORK_PROTOCOL_NAME: Final = "network.protocol.name"
NETWORK_PROTOCOL_VERSION: Final = "network.protocol.version"
USER_AGENT_ORIGINAL: Final = "user_agent.original"
ERROR_TYPE: Final = "error.type"
CODE_FUNCTION_NAME: Final = "code.function.name"

# The conventions have no names for these.
WEBSOCKET_MESSAGES_RECEIVED: Final = "websocket.messages.received"
WEBSOCKET_MESSAGES_SENT: Final = "websocket.messages.sent"
WEBSOCKET_CLOSE_CODE: Final = "websocket.close_code"

MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_OPERATION_NAME: Final = "messaging.operation.name"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_DESTINATION_NAME: Final = "messaging.destination.name"
MESSAGING_MESSAGE_ID: Final = "messaging.message.id"

_OLD_HTTP: Final = {
    HTTP_REQUEST_METHOD: "http.method",
    HTTP_RESPONSE_STATUS_CODE: "http.status_code",
    HTTP_REQUEST_RESEND_COUNT: "http.resend_count",
    URL_SCHEME: "http.scheme",
    NETWORK_PROTOCOL_VERSION: "http.flavor",
    USER_AGENT_ORIGINAL: "http.user_agent",
}
_OLD_HTTP_SERVER: Final = {
    **_OLD_HTTP,
    SERVER_ADDRESS: "net.host.name",
    SERVER_PORT: "net.host.port",
    CLIENT_ADDRESS: "http.client_ip",
    NETWORK_PEER_ADDRESS: "net.sock.peer.addr",
    NETWORK_PEER_PORT: "net.sock.peer.port",
}
_OLD_HTTP_CLIENT: Final = {
    **_OLD_HTTP,
    URL_FULL: "http.url",
    SERVER_ADDRESS: "net.peer.name",
    SERVER_PORT: "net.peer.port",
}
_OLD_DATABASE: Final = {
    "db.system.name": "db.system",
    "db.namespace": "db.name",
    "db.operation.name": "db.operation",
    "db.query.text": "db.statement",
    SERVER_ADDRESS: "net.peer.name",
    SERVER_PORT: "net.peer.port",
}


def add_old_http_server(attributes: dict[str, Any]) -> None:
    """Repeat a server span's attributes under the names before 1.23 (`http/dup`)."""
    _repeat(attributes, _OLD_HTTP_SERVER)
    path, query = attributes.get(URL_PATH), attributes.get(URL_QUERY)
    if path is not None:
        attributes["http.target"] = f"{path}?{query}" if query else path


def add_old_http_client(attributes: dict[str, Any]) -> None:
    """Repeat a client span's attributes under the names before 1.23 (`http/dup`)."""
    _repeat(attributes, _OLD_HTTP_CLIENT)


def add_old_database(attributes: dict[str, Any]) -> None:
    """Repeat the attributes of a span of a store without SQL under the names before 1.33 (`database/dup`)."""
    _repeat(attributes, _OLD_DATABASE)
    system = attributes["db.system.name"]
    if system == "redis" and "db.name" in attributes:
        attributes["db.redis.database_index"] = int(attributes.pop("db.name"))
    elif system == "mongodb" and "db.collection.name" in attributes:
        attributes["db.mongodb.collection"] = attributes["db.collection.name"]


def _repeat(attributes: dict[str, Any], names: dict[str, str]) -> None:
    for new, old in names.items():
        if new in attributes:
            attributes[old] = attributes[new]
