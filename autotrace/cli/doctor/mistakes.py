"""Settings that are valid, and hardly what was meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from autotrace.cli.doctor.report import Fact
from autotrace.settings.model import TABLE
from autotrace.settings.names import NAMES, library_in, nearest
from autotrace.settings.shown import ENDPOINTS, without_secrets
from autotrace.settings.variable import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from autotrace.settings import Settings

_PATHS: Final = {"otlp": "/v1/traces", "zipkin": "/api/v2/spans", "jaeger": "/api/traces"}
_AGENT_PORTS: Final = {6831, 6832}
_FOREIGN_PORTS: Final = {
    4317: "the port for gRPC",
    14250: "a collector's port for gRPC",
    16686: "the port of Jaeger's user interface",
}
_HTTP_PORTS: Final = {"otlp": 4318, "jaeger": 14268, "zipkin": 9411}
_GRPC_PORT: Final = 4317

_OTHER_SIGNALS: Final = re.compile(r"METRIC|LOGS|LOGRECORD|BLRP|PROMETHEUS|PROFILE")
"""In the names of OpenTelemetry's variables that have nothing to do with traces."""


def mistakes(settings: Settings) -> list[Fact]:
    """What stands in the way of spans, or sends them to the wrong door."""
    found = _silence(settings)
    for exporter, field in ENDPOINTS.items():
        url = getattr(settings, field)
        over_udp = exporter == "jaeger" and settings.exporter_jaeger_protocol.startswith("udp/")
        if exporter in settings.traces_exporter and url and not over_udp:
            name = settings.sources.get(field, TABLE[field].name)
            grpc = exporter == "otlp" and settings.exporter_otlp_traces_protocol == "grpc"
            found += _of_grpc_address(name, url) if grpc else _of_url(exporter, name, url)
    return found


def names_in_vain(environ: Mapping[str, str]) -> list[Fact]:
    """Variables of OpenTelemetry's that nobody knows, and that look like one that is known."""
    known = [name[len("OTEL_") :] for name in NAMES if name.startswith("OTEL_") and LIBRARY not in name]
    patterns = [name for name in NAMES if LIBRARY in name]
    facts = []
    for name in sorted(environ):
        is_known = name in NAMES or any(library_in(name, pattern) for pattern in patterns)
        if not name.startswith("OTEL_") or is_known or _OTHER_SIGNALS.search(name):
            continue
        meant = nearest(name[len("OTEL_") :], known)
        if meant:
            facts.append(
                Fact("unknown name", f"{name}: did you mean OTEL_{meant}?", True, "Correct the name.")
            )
        else:
            facts.append(Fact("unknown name", f"{name} is unknown to autotrace"))
    return facts


def _silence(settings: Settings) -> list[Fact]:
    reasons = (
        (not settings.enabled, "AUTOTRACE_ENABLED"),
        (settings.sdk_disabled, "OTEL_SDK_DISABLED"),
        (not settings.traces_exporter, "OTEL_TRACES_EXPORTER"),
        (settings.traces_sampler.endswith("always_off"), "OTEL_TRACES_SAMPLER"),
        ("*" in settings.disabled_instrumentations, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"),
    )
    return [
        Fact("switched off", f"{name} keeps all spans back", True, f"Remove {name}, if you want traces.")
        for applies, name in reasons
        if applies
    ]


def _of_grpc_address(name: str, address: str) -> list[Fact]:
    if _port(address if "://" in address else f"//{address}") != _HTTP_PORTS["otlp"]:
        return []
    text = f"{name}: 4318 is the port for HTTP, and the protocol is grpc"
    advice = f"Use port {_GRPC_PORT}, or OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf."
    return [Fact("wrong port", text, True, advice)]


def _of_url(exporter: str, name: str, url: str) -> list[Fact]:
    found = []
    port, path = _port(url), urlsplit(url).path.rstrip("/")
    usual, usual_path = _HTTP_PORTS[exporter], _PATHS[exporter]
    shown = without_secrets(url)
    if port in _AGENT_PORTS:
        text = f"{shown}: {port} is a Jaeger agent's port for UDP, and {name} is for HTTP"
        advice = f"Use OTEL_EXPORTER_JAEGER_AGENT_PORT={port}, or a collector's port for HTTP ({usual})."
        found.append(Fact("wrong port", text, True, advice))
    if port in _FOREIGN_PORTS:
        text = f"{shown}: {port} is {_FOREIGN_PORTS[port]}, and the protocol is HTTP"
        otherwise = ", or OTEL_EXPORTER_OTLP_PROTOCOL=grpc" if exporter == "otlp" else ""
        found.append(Fact("wrong port", text, True, f"Use port {usual}{otherwise}."))
    if path.endswith(usual_path * 2):
        text = f"{name} ends in {usual_path}, which is appended to it: {shown}"
        found.append(Fact("path given twice", text, True, f"Leave {usual_path} out of {name}."))
    elif port == usual and path != usual_path:
        text = f"{shown}: spans are taken at {usual_path}"
        found.append(Fact("wrong path", text, True, f"Set {name} to the URL with {usual_path} at its end."))
    return found


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None
