"""The settings of a process, and at the same time the table of all environment variables.

Spec: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace import notices
from autotrace.settings.kinds import (
    ADDRESS,
    BOOLEAN,
    DURATION,
    FUNCTIONS,
    HEADERS,
    HOSTS,
    HOURS,
    LIST,
    MATCHED,
    NAMES,
    PAIRS,
    SEARCHED,
    SEARCHED_ANY_CASE,
    TEXT,
    TIMEOUT,
    URL,
    WORD,
    choice,
    integer,
    words,
)
from autotrace.settings.variable import NOTHING, per_library, table_of, variable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from re import Pattern
    from typing import Final

    from autotrace.settings.variable import Variable

_OWN: Final = "AUTOTRACE_"
_PYTHON: Final = "OTEL_PYTHON_"
_OTLP: Final = "OTEL_EXPORTER_OTLP_"
_JAEGER_URL: Final = "http://localhost:14268/api/traces"
_ZIPKIN_URL: Final = "http://localhost:9411/api/v2/spans"
_METHODS: Final = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "QUERY")
_LEVELS: Final = {
    "none": notices.NONE,
    "error": notices.ERROR,
    "warn": notices.WARN,
    "info": notices.INFO,
    "debug": notices.DEBUG,
}


class Settings:
    """One frozen object per process, made by `autotrace.settings.parse`.

    A field is named after its variable, lower case without the prefix `OTEL_PYTHON_`, `OTEL_` or
    `AUTOTRACE_`. Times are seconds, unset texts are empty, lists are tuples. Where one setting depends on
    another, the field holds what is in force.
    """

    enabled: bool = variable(
        BOOLEAN, True, "`false` leaves the program untouched.", section="General", prefix=_OWN
    )
    sdk_disabled: bool = variable(
        BOOLEAN, False, "`true` records no span; incoming trace headers are still passed on."
    )
    service_name: str = variable(
        TEXT,
        "",
        "Name of this service; beats `service.name` in `OTEL_RESOURCE_ATTRIBUTES`.",
        shown_default="`unknown_service:` and the executable",
    )
    resource_attributes: tuple[tuple[str, str], ...] = variable(
        PAIRS, (), "Attributes of every span's resource, percent-encoded; one error discards them all."
    )
    experimental_resource_detectors: tuple[str, ...] = variable(
        NAMES, ("otel",), "Resource detectors, entry points of `opentelemetry_resource_detector`."
    )
    log_level: int = variable(
        choice(_LEVELS),
        notices.INFO,
        "How much autotrace itself says on stderr. OpenTelemetry for Python ignores it.",
    )
    diagnostics: bool = variable(
        BOOLEAN,
        False,
        "`true` tells on stderr what is in force, what is patched and, at exit, how many spans were sent.",
        prefix=_OWN,
    )
    propagators: tuple[str, ...] = variable(
        NAMES,
        ("tracecontext", "baggage"),
        "tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace, or an entry point of "
        "`opentelemetry_propagator`; `none` anywhere means none.",
    )
    propagate_to_children: bool = variable(
        BOOLEAN,
        True,
        "`false` keeps the trace out of the environment of programs that this one starts.",
        prefix=_OWN,
    )
    propagate_to: Pattern[str] | None = variable(
        HOSTS,
        None,
        "Hosts that HTTP clients may send trace headers to: `api.example.com`, `.example.com` for every host "
        "below it, `*` for any text, as in `10.0.*`.",
        shown_default="all",
        prefix=_OWN,
    )
    traces_sampler: str = variable(
        WORD,
        "parentbased_always_on",
        "always_on, always_off, traceidratio, rate_limited, jaeger_remote, each also with `parentbased_` "
        "before it; rules; or an entry point of `opentelemetry_traces_sampler`.",
    )
    traces_sampler_arg: str = variable(
        TEXT, "", "Argument of the sampler; counts only with `OTEL_TRACES_SAMPLER`."
    )
    traces_exporter: tuple[str, ...] = variable(
        NAMES,
        ("local",),
        "otlp, jaeger, zipkin, console (or logging), local, none, or an entry point of "
        "`opentelemetry_traces_exporter`; several are allowed. Unset: the exporters whose endpoint is set. "
        "OpenTelemetry's default is otlp.",
    )
    id_generator: str = variable(
        WORD,
        "random",
        "Source of trace and span ids: an entry point of `opentelemetry_id_generator`.",
        prefix=_PYTHON,
    )
    disabled_instrumentations: tuple[str, ...] = variable(
        LIST, (), "Libraries to leave alone; `*` is all of them.", prefix=_PYTHON
    )
    trace_functions: tuple[tuple[str, str], ...] = variable(
        FUNCTIONS,
        (),
        "Functions of the program that get spans: `shop.pricing:discount`, `shop.cart:Cart.total`; "
        "`shop.pricing:*` for all public ones of a module, `shop.cart:Cart.*` for those of a class.",
        prefix=_OWN,
    )
    semconv_stability_opt_in: tuple[str, ...] = variable(
        NAMES,
        (),
        "`http/dup`, `database/dup`: write the old attribute names beside the stable ones, which are always "
        "written. OpenTelemetry for Python writes the old ones alone by default.",
    )

    bsp_schedule_delay: float = variable(
        DURATION, 5.0, "Longest wait before finished spans are sent.", section="Batches and limits"
    )
    bsp_export_timeout: float = variable(
        TIMEOUT, 30.0, "Time for one batch. Without effect in OpenTelemetry for Python."
    )
    bsp_max_queue_size: int = variable(integer(1), 2048, "Spans that wait; more are dropped and counted.")
    bsp_max_export_batch_size: int = variable(
        integer(1), 512, "Spans in one batch; at most the size of the queue."
    )
    queue_max_bytes: int = variable(
        integer(1), 64 * 1024 * 1024, "Estimated memory of the spans that wait.", prefix=_OWN
    )
    exit_timeout: float = variable(
        DURATION, 2.0, "Longest delay of the program's exit for sending what waits.", prefix=_OWN
    )
    attribute_value_length_limit: int | None = variable(
        integer(), None, "Characters kept of a text, bytes of a byte string."
    )
    attribute_count_limit: int = variable(integer(), 128, "Attributes kept; more are dropped and counted.")
    span_attribute_value_length_limit: int | None = variable(
        integer(), None, "The same for attributes of spans.", otherwise=("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",)
    )
    span_attribute_count_limit: int = variable(
        integer(), 128, "The same for one span.", otherwise=("OTEL_ATTRIBUTE_COUNT_LIMIT",)
    )
    span_event_count_limit: int = variable(integer(), 128, "Events kept of a span.")
    span_link_count_limit: int = variable(integer(), 128, "Links kept of a span.")
    event_attribute_count_limit: int = variable(integer(), 128, "Attributes kept of an event.")
    link_attribute_count_limit: int = variable(integer(), 128, "Attributes kept of a link.")

    exporter_otlp_endpoint: str = variable(
        ADDRESS,
        "http://localhost:4318",
        "Base URL, to which `v1/traces` is appended.",
        shown_default="http://localhost:4318, for gRPC http://localhost:4317",
        section="OTLP",
    )
    exporter_otlp_traces_endpoint: str = variable(
        ADDRESS,
        "http://localhost:4318/v1/traces",
        "Where OTLP spans go; used as it is.",
        shown_default=f"from `{_OTLP}ENDPOINT`",
    )
    exporter_otlp_traces_protocol: str = variable(
        words("http/protobuf", "http/json", "grpc"),
        "http/protobuf",
        "Encoding and transport. OpenTelemetry for Python defaults to grpc and knows no http/json.",
        otherwise=(_OTLP + "PROTOCOL",),
    )
    exporter_otlp_traces_headers: tuple[tuple[str, str], ...] = variable(
        HEADERS, (), "Request headers, percent-encoded or plain.", otherwise=(_OTLP + "HEADERS",), secret=True
    )
    exporter_otlp_traces_compression: str = variable(
        words("gzip", "none"),
        "none",
        "Compression of requests. OpenTelemetry for Python also knows deflate.",
        otherwise=(_OTLP + "COMPRESSION",),
    )
    exporter_otlp_traces_timeout: float = variable(
        TIMEOUT,
        10.0,
        "Time for one request with its retries. OpenTelemetry for Python reads **seconds**.",
        otherwise=(_OTLP + "TIMEOUT",),
    )
    exporter_otlp_traces_certificate: str = variable(
        TEXT,
        "",
        "PEM file with the authorities to trust.",
        otherwise=(_OTLP + "CERTIFICATE",),
        shown_default="the system's",
    )
    exporter_otlp_traces_client_key: str = variable(
        TEXT, "", "PEM file with the client's private key.", otherwise=(_OTLP + "CLIENT_KEY",)
    )
    exporter_otlp_traces_client_certificate: str = variable(
        TEXT, "", "PEM file with the client's certificate.", otherwise=(_OTLP + "CLIENT_CERTIFICATE",)
    )
    exporter_otlp_traces_insecure: bool = variable(
        BOOLEAN,
        False,
        "`true` goes without TLS where a gRPC endpoint has no scheme.",
        otherwise=("OTEL_EXPORTER_OTLP_SPAN_INSECURE", _OTLP + "INSECURE"),
    )

    exporter_zipkin_endpoint: str = variable(
        URL, _ZIPKIN_URL, "Full URL; spans are sent as JSON v2.", section="Zipkin"
    )
    exporter_zipkin_timeout: float = variable(
        TIMEOUT, 10.0, "Time for one request. OpenTelemetry for Python reads **seconds**."
    )

    exporter_jaeger_protocol: str = variable(
        words("http/thrift.binary", "udp/thrift.compact", "udp/thrift.binary", "grpc"),
        "http/thrift.binary",
        "Encoding and transport; for grpc, Thrift over HTTP is sent instead.",
        shown_default="udp/thrift.compact where an agent but no endpoint is set, else http/thrift.binary",
        section="Jaeger",
    )
    exporter_jaeger_endpoint: str = variable(URL, _JAEGER_URL, "Full URL of the collector, for HTTP.")
    exporter_jaeger_timeout: float = variable(
        TIMEOUT, 10.0, "Time for one request. The old exporter for Python read **seconds**."
    )
    exporter_jaeger_user: str = variable(TEXT, "", "User name for HTTP basic authentication.")
    exporter_jaeger_password: str = variable(TEXT, "", "Password for HTTP basic authentication.", secret=True)
    exporter_jaeger_agent_host: str = variable(TEXT, "localhost", "Host of the agent, for UDP.")
    exporter_jaeger_agent_port: int = variable(
        integer(1, 65535),
        6831,
        "Port of the agent, for UDP.",
        shown_default="6831, for udp/thrift.binary 6832",
    )
    exporter_jaeger_certificate: str = variable(
        TEXT, "", "PEM file with the authorities to trust.", shown_default="the system's"
    )
    jaeger_max_packet: int = variable(
        integer(1024, 65000),
        65000,
        "Bytes of a UDP datagram; macOS sends 9216 at most unless told otherwise.",
        prefix=_OWN,
    )

    home: str = variable(
        TEXT,
        "",
        "Directory of the local store.",
        shown_default="`autotrace` in `XDG_STATE_HOME`, or `~/.local/state/autotrace`",
        section="Local store",
        prefix=_OWN,
    )
    store_max_mb: int = variable(
        integer(1), 256, "Size of the local store in MiB; the oldest traces go first.", prefix=_OWN
    )
    store_max_age: float = variable(
        HOURS, 168 * 3600.0, "Age at which traces leave the local store.", prefix=_OWN
    )

    python_excluded_urls: Pattern[str] | None = variable(
        SEARCHED, None, "URLs that are not traced; found anywhere in the URL.", section="HTTP"
    )
    library_excluded_urls: Mapping[str, Pattern[str] | None] = per_library(
        "OTEL_PYTHON_<LIBRARY>_EXCLUDED_URLS",
        SEARCHED,
        "The same for one library, as in `OTEL_PYTHON_FLASK_EXCLUDED_URLS`; the general one then does not "
        "count, even if this one is empty.",
    )
    library_traced_request_attrs: Mapping[str, tuple[str, ...]] = per_library(
        "OTEL_PYTHON_<LIBRARY>_TRACED_REQUEST_ATTRS",
        LIST,
        "Attributes of the framework's request object that become span attributes: DJANGO, FALCON, TORNADO.",
    )
    instrumentation_http_capture_headers_server_request: Pattern[str] | None = variable(
        MATCHED, None, "Headers of incoming requests to record; `.*` is all."
    )
    instrumentation_http_capture_headers_server_response: Pattern[str] | None = variable(
        MATCHED, None, "Headers of responses to them."
    )
    instrumentation_http_capture_headers_client_request: Pattern[str] | None = variable(
        MATCHED, None, "Headers of outgoing requests to record."
    )
    instrumentation_http_capture_headers_client_response: Pattern[str] | None = variable(
        MATCHED, None, "Headers of responses to them."
    )
    instrumentation_http_capture_headers_sanitize_fields: Pattern[str] | None = variable(
        SEARCHED_ANY_CASE,
        None,
        "Recorded headers whose value becomes `[REDACTED]`; found anywhere in the name.",
    )
    instrumentation_http_known_methods: tuple[str, ...] = variable(
        LIST,
        _METHODS,
        "Methods that are recorded as they are, upper and lower case distinct; others become `_OTHER`.",
    )
    instrumentation_http_capture_all_methods: bool = variable(
        BOOLEAN,
        False,
        "`true` records every method as it is. OpenTelemetry for Python takes any text as true.",
        prefix=_PYTHON,
    )

    python_log_correlation: bool = variable(
        BOOLEAN,
        False,
        "Give the root logger, where it has no handler, a format that shows the trace. The fields are on "
        "every record anyway.",
        section="Logs",
    )
    python_log_format: str = variable(
        TEXT, "", "The format used then.", shown_default="with trace and span id"
    )
    python_log_level: str = variable(
        choice({name: name.upper() for name in ("notset", "debug", "info", "warning", "error", "critical")}),
        "INFO",
        "The root logger's level then.",
    )

    sources: Mapping[str, str] = NOTHING
    """The variable that decided a field, by field; what is not in it has its default."""

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)

    def __setattr__(self, name: str, _value: object) -> None:
        """Frozen: whoever holds the settings may rely on them."""
        raise AttributeError(f"settings do not change: {name}")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def but(self, **changes: Any) -> Settings:
        """The same settings with some of them changed."""
        return Settings(**{**self.__dict__, **changes})

    @property
    def names_service(self) -> bool:
        """Whether the operator has named the service."""
        return "service_name" in self.sources or "service.name" in dict(self.resource_attributes)

    @property
    def emit_old_http(self) -> bool:
        """Whether HTTP spans carry the old attribute names too."""
        return "http/dup" in self.semconv_stability_opt_in

    @property
    def emit_old_database(self) -> bool:
        """Whether database spans carry the old attribute names too."""
        return "database/dup" in self.semconv_stability_opt_in

    def excluded_urls(self, library: str) -> Pattern[str] | None:
        """What to `search` in a URL to see that `library`, as in `flask`, shall not trace it."""
        return self.library_excluded_urls.get(library, self.python_excluded_urls)

    def traced_request_attrs(self, library: str) -> tuple[str, ...]:
        """Attributes to copy from the request object of `library`, as in `django`, to the span."""
        return self.library_traced_request_attrs.get(library, ())


TABLE: Final[Mapping[str, Variable]] = table_of(Settings)
"""Every variable that counts, by field."""
