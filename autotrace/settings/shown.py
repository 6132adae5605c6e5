"""Settings as the operator may read them: destinations and values, without anything secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.settings.model import TABLE

if TYPE_CHECKING:
    from typing import Final

    from autotrace.settings.model import Settings

HIDDEN: Final = "***"

_MAX_SHOWN: Final = 200

ENDPOINTS: Final = {
    "otlp": "exporter_otlp_traces_endpoint",
    "zipkin": "exporter_zipkin_endpoint",
    "jaeger": "exporter_jaeger_endpoint",
}
"""The field that holds the URL of each exporter of ours that has one."""


def shown(field: str, settings: Settings) -> str:
    """The value of a field as its variable would hold it."""
    row = TABLE[field]
    if row.secret:
        return HIDDEN
    text = row.kind.show(getattr(settings, field)) if getattr(settings, field) is not None else ""
    return without_secrets(text)[:_MAX_SHOWN]


def assignments(settings: Settings) -> list[tuple[str, str, str]]:
    """What is not left at its default: the variable, its value in force, and the variable that decided it."""
    return [
        (TABLE[field].name, shown(field, settings), source)
        for field, source in settings.sources.items()
        if field in TABLE
    ]


def endpoint(exporter: str, settings: Settings) -> str:
    """The URL that an exporter of ours sends to, or `udp://host:port`; empty where there is no network."""
    if exporter == "jaeger" and settings.exporter_jaeger_protocol.startswith("udp/"):
        return f"udp://{settings.exporter_jaeger_agent_host}:{settings.exporter_jaeger_agent_port}"
    url: str = getattr(settings, ENDPOINTS[exporter]) if exporter in ENDPOINTS else ""
    return url


def without_secrets(text: str) -> str:
    """An address without user, password and query, where a token may be; anything else as it is."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.partition('?')[0].rpartition('@')[2]}{slash}{path.partition('?')[0]}"
