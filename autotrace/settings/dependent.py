"""Settings that depend on one another: from what was given to what is in force."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from autotrace.settings.kinds import with_scheme

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from autotrace.settings.model import Settings

    Complain = Callable[[str, str], None]
    """Takes a variable and what is wrong with it."""

_LOCATIONS: Final = (
    ("otlp", "exporter_otlp_traces_endpoint"),
    ("otlp", "exporter_otlp_endpoint"),
    ("jaeger", "exporter_jaeger_endpoint"),
    ("jaeger", "exporter_jaeger_agent_host"),
    ("jaeger", "exporter_jaeger_agent_port"),
    ("jaeger", "exporter_jaeger_protocol"),
    ("zipkin", "exporter_zipkin_endpoint"),
)
"""Exporters, and the fields that choose them when they are set."""

_OTHER_NAMES: Final = {
    "logging": "console",
    "otlp_proto_http": "otlp",
    "otlp_proto_grpc": "otlp",
    "zipkin_json": "zipkin",
    "zipkin_proto": "zipkin",
    "jaeger_thrift": "jaeger",
}
"""Exporters by the names that OpenTelemetry for Python has for them."""

_NAMED_PROTOCOLS: Final = {"otlp_proto_http": "http/protobuf", "otlp_proto_grpc": "grpc"}


def in_force(given: Settings, complain: Complain) -> Settings:
    """Fill in what follows from other settings; `sources` names what it follows from."""
    settings = given
    for step in (_otlp_protocol, _otlp_endpoint, _jaeger, _exporters, _sampler, _batch):
        settings = step(settings, complain)
    return settings


def _exporters(given: Settings, complain: Complain) -> Settings:
    del complain
    if "traces_exporter" in given.sources:
        names = (_OTHER_NAMES.get(name, name) for name in given.traces_exporter)
        return given.but(traces_exporter=tuple(dict.fromkeys(names)))
    chosen = [(name, given.sources[field]) for name, field in _LOCATIONS if field in given.sources]
    if not chosen:
        return given
    sources = {**given.sources, "traces_exporter": chosen[0][1]}
    return given.but(traces_exporter=tuple(dict.fromkeys(name for name, _ in chosen)), sources=sources)


def _otlp_protocol(given: Settings, complain: Complain) -> Settings:
    del complain
    for name in given.traces_exporter:
        # An exporter's name says more than a variable that may be the whole fleet's.
        if name in _NAMED_PROTOCOLS:
            sources = {**given.sources, "exporter_otlp_traces_protocol": "OTEL_TRACES_EXPORTER"}
            return given.but(exporter_otlp_traces_protocol=_NAMED_PROTOCOLS[name], sources=sources)
    return given


def _otlp_endpoint(given: Settings, complain: Complain) -> Settings:
    sources = dict(given.sources)
    base, endpoint = given.exporter_otlp_endpoint, given.exporter_otlp_traces_endpoint
    grpc = given.exporter_otlp_traces_protocol == "grpc"
    if not grpc:
        base = with_scheme(base, partial(complain, "OTEL_EXPORTER_OTLP_ENDPOINT"))
        endpoint = with_scheme(endpoint, partial(complain, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
    elif "exporter_otlp_endpoint" not in sources:
        base = "http://localhost:4317"
    if "exporter_otlp_traces_endpoint" not in sources:
        endpoint = base if grpc else _traces_url(base)
        if "exporter_otlp_endpoint" in sources:
            sources["exporter_otlp_traces_endpoint"] = sources["exporter_otlp_endpoint"]
    return given.but(exporter_otlp_endpoint=base, exporter_otlp_traces_endpoint=endpoint, sources=sources)


def _traces_url(base: str) -> str:
    path, mark, query = base.partition("?")
    return f"{path.rstrip('/')}/v1/traces{mark}{query}"


def _jaeger(given: Settings, complain: Complain) -> Settings:
    del complain
    sources = given.sources
    protocol = given.exporter_jaeger_protocol
    has_endpoint = "exporter_jaeger_endpoint" in sources
    has_port = "exporter_jaeger_agent_port" in sources
    has_agent = has_port or "exporter_jaeger_agent_host" in sources
    if has_agent and not has_endpoint and "exporter_jaeger_protocol" not in sources:
        protocol = "udp/thrift.compact"
    port = 6832 if protocol == "udp/thrift.binary" and not has_port else given.exporter_jaeger_agent_port
    no_url = protocol.startswith("udp/") and not has_endpoint
    return given.but(
        exporter_jaeger_protocol=protocol,
        exporter_jaeger_endpoint="" if no_url else given.exporter_jaeger_endpoint,
        exporter_jaeger_agent_port=port,
    )


def _sampler(given: Settings, complain: Complain) -> Settings:
    if not given.traces_sampler_arg or "traces_sampler" in given.sources:
        return given
    complain("OTEL_TRACES_SAMPLER_ARG", "is ignored: OTEL_TRACES_SAMPLER is not set")
    return given.but(traces_sampler_arg="")


def _batch(given: Settings, complain: Complain) -> Settings:
    most = given.bsp_max_queue_size
    if given.bsp_max_export_batch_size <= most:
        return given
    if "bsp_max_export_batch_size" in given.sources:
        complain("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", f"is more than the queue holds: {most} is used")
    return given.but(bsp_max_export_batch_size=most)
