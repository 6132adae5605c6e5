"""Variables of OpenTelemetry's that are known, and without effect here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Final


class Ignored(NamedTuple):
    """One of them."""

    name: str
    reason: str
    silent: bool = False
    """Whether setting it is normal and needs no warning."""


IGNORED: Final = (
    Ignored("OTEL_METRICS_EXPORTER", "there are no metrics", silent=True),
    Ignored("OTEL_LOGS_EXPORTER", "there are no logs", silent=True),
    Ignored("OTEL_CONFIG_FILE", "configuration files are not read"),
    Ignored("OTEL_EXPERIMENTAL_CONFIG_FILE", "configuration files are not read"),
    Ignored("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "exceptions stay span events"),
    Ignored("OTEL_EXPORTER_ZIPKIN_PROTOCOL", "reserved by the specification", silent=True),
    Ignored("OTEL_EXPORTER_JAEGER_AGENT_SPLIT_OVERSIZED_BATCHES", "they are always split", silent=True),
    Ignored("OTEL_EXPORTER_JAEGER_GRPC_INSECURE", "Jaeger is not reached by gRPC"),
    Ignored("OTEL_PYTHON_CONTEXT", "the OpenTelemetry API reads it itself", silent=True),
    Ignored("OTEL_PYTHON_TRACER_PROVIDER", "the provider is autotrace's"),
    Ignored("OTEL_PYTHON_METER_PROVIDER", "the OpenTelemetry API reads it itself", silent=True),
    Ignored("OTEL_PYTHON_LOGGER_PROVIDER", "the OpenTelemetry API reads it itself", silent=True),
    Ignored("OTEL_PYTHON_DISTRO", "for opentelemetry-instrument", silent=True),
    Ignored("OTEL_PYTHON_CONFIGURATOR", "for opentelemetry-instrument", silent=True),
    Ignored("OTEL_PYTHON_TRACER_CONFIGURATOR", "experimental, not supported"),
    Ignored("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "there are no metrics", silent=True),
    Ignored(
        "OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH",
        "patching is the program's own first act",
    ),
    Ignored(
        "OTEL_PYTHON_INSTRUMENTATION_ELASTICSEARCH_ENABLED",
        "the client of Elasticsearch reads it itself",
        silent=True,
    ),
    Ignored(
        "OTEL_PYTHON_INSTRUMENTATION_ELASTICSEARCH_CAPTURE_SEARCH_QUERY",
        "the client of Elasticsearch reads it itself",
        silent=True,
    ),
    Ignored("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "experimental, not supported"),
    Ignored("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER", "experimental, not supported"),
)
