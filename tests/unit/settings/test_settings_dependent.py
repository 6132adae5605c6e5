"""Settings that follow from others: where spans go, and how."""

from __future__ import annotations

import pytest

from autotrace.settings import parse

OTLP = "OTEL_EXPORTER_OTLP_"
JAEGER = "OTEL_EXPORTER_JAEGER_"


@pytest.mark.parametrize(
    ("text", "exporters"),
    [
        ("none", ()),
        ("otlp,none", ()),
        ("OTLP", ("otlp",)),
        ("logging", ("console",)),
        ("console,logging", ("console",)),
        ("otlp_proto_http", ("otlp",)),
        ("otlp_proto_grpc", ("otlp",)),
        ("zipkin_json", ("zipkin",)),
        ("zipkin_proto", ("zipkin",)),
        ("jaeger_thrift", ("jaeger",)),
        ("jaeger, local", ("jaeger", "local")),
        ("my_own", ("my_own",)),
    ],
)
def test_named_exporters(text, exporters, capsys):
    settings = parse({"OTEL_TRACES_EXPORTER": text, f"{OTLP}ENDPOINT": "http://a:4318"})
    assert settings.traces_exporter == exporters
    assert settings.sources["traces_exporter"] == "OTEL_TRACES_EXPORTER"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("environ", "exporters"),
    [
        ({f"{OTLP}ENDPOINT": "http://a"}, ("otlp",)),
        ({f"{OTLP}TRACES_ENDPOINT": "http://a"}, ("otlp",)),
        ({f"{JAEGER}ENDPOINT": "http://a"}, ("jaeger",)),
        ({f"{JAEGER}AGENT_HOST": "a"}, ("jaeger",)),
        ({f"{JAEGER}AGENT_PORT": "6831"}, ("jaeger",)),
        ({f"{JAEGER}PROTOCOL": "udp/thrift.compact"}, ("jaeger",)),
        ({"OTEL_EXPORTER_ZIPKIN_ENDPOINT": "http://a"}, ("zipkin",)),
    ],
)
def test_an_endpoint_chooses_its_exporter(environ, exporters):
    settings = parse(environ)
    assert settings.traces_exporter == exporters
    assert settings.sources["traces_exporter"] in environ


def test_several_endpoints_choose_several_exporters():
    environ = {
        "OTEL_EXPORTER_ZIPKIN_ENDPOINT": "http://a",
        f"{JAEGER}AGENT_HOST": "a",
        f"{OTLP}ENDPOINT": "http://a",
        f"{OTLP}TRACES_ENDPOINT": "http://a",
    }
    assert parse(environ).traces_exporter == ("otlp", "jaeger", "zipkin")


@pytest.mark.parametrize("name", [f"{JAEGER}AGENT_PORT", "OTEL_EXPORTER_ZIPKIN_ENDPOINT"])
def test_an_invalid_endpoint_chooses_nothing(name):
    assert parse({name: "::"}).traces_exporter == ("local",)


@pytest.mark.parametrize("name", [f"{OTLP}TIMEOUT", f"{JAEGER}USER"])
def test_other_variables_of_an_exporter_choose_nothing(name):
    assert parse({name: "1000"}).traces_exporter == ("local",)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://a:4318", "http://a:4318/v1/traces"),
        ("http://a:4318/", "http://a:4318/v1/traces"),
        ("https://a/otlp/", "https://a/otlp/v1/traces"),
        ("https://a/otlp?key=1", "https://a/otlp/v1/traces?key=1"),
    ],
)
def test_the_otlp_endpoint_is_a_base(base, url):
    settings = parse({f"{OTLP}ENDPOINT": base})
    assert settings.exporter_otlp_traces_endpoint == url
    assert settings.sources["exporter_otlp_traces_endpoint"] == f"{OTLP}ENDPOINT"


def test_the_otlp_traces_endpoint_is_used_as_it_is():
    settings = parse({f"{OTLP}ENDPOINT": "http://a", f"{OTLP}TRACES_ENDPOINT": "http://b/x"})
    assert settings.exporter_otlp_traces_endpoint == "http://b/x"


@pytest.mark.parametrize(
    "environ", [{f"{OTLP}PROTOCOL": "grpc"}, {"OTEL_TRACES_EXPORTER": "otlp_proto_grpc"}]
)
def test_grpc_has_no_path_and_a_port_of_its_own(environ, capsys):
    assert parse(environ).exporter_otlp_traces_protocol == "grpc"
    assert parse(environ).exporter_otlp_traces_endpoint == "http://localhost:4317"
    settings = parse({**environ, f"{OTLP}ENDPOINT": "collector:4317"})
    assert settings.exporter_otlp_traces_endpoint == "collector:4317"
    assert capsys.readouterr().err == ""


def test_the_name_of_an_exporter_beats_the_general_protocol():
    settings = parse({"OTEL_TRACES_EXPORTER": "otlp_proto_http", f"{OTLP}PROTOCOL": "grpc"})
    assert settings.exporter_otlp_traces_protocol == "http/protobuf"
    assert settings.exporter_otlp_traces_endpoint == "http://localhost:4318/v1/traces"
    assert settings.sources["exporter_otlp_traces_protocol"] == "OTEL_TRACES_EXPORTER"


@pytest.mark.parametrize(
    ("name", "field", "url"),
    [
        (f"{OTLP}ENDPOINT", "exporter_otlp_traces_endpoint", "http://a:4318/v1/traces"),
        (f"{OTLP}TRACES_ENDPOINT", "exporter_otlp_traces_endpoint", "http://a:4318"),
        ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "exporter_zipkin_endpoint", "http://a:4318"),
        (f"{JAEGER}ENDPOINT", "exporter_jaeger_endpoint", "http://a:4318"),
    ],
)
def test_host_and_port_are_taken_as_http_with_a_warning(name, field, url, capsys):
    assert getattr(parse({name: "a:4318"}), field) == url
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"autotrace: {name}='a:4318' has no scheme: http:// is put before it"


@pytest.mark.parametrize(
    ("suffix", "specific", "general"),
    [
        ("PROTOCOL", "http/json", "grpc"),
        ("HEADERS", (("a", "1"),), (("b", "2"),)),
        ("COMPRESSION", "none", "gzip"),
        ("TIMEOUT", 1.0, 2.0),
        ("CERTIFICATE", "/ca", "/general"),
        ("CLIENT_KEY", "/key", "/general"),
        ("CLIENT_CERTIFICATE", "/cert", "/general"),
        ("INSECURE", False, True),
    ],
)
def test_variables_for_traces_beat_the_general_ones(suffix, specific, general):
    def text(value):
        if isinstance(value, tuple):
            return ",".join("=".join(pair) for pair in value)
        return str(int(value * 1000)) if isinstance(value, float) else str(value)

    field = f"exporter_otlp_traces_{suffix.lower()}"
    alone = {f"{OTLP}{suffix}": text(general)}
    both = {**alone, f"{OTLP}TRACES_{suffix}": text(specific)}
    assert getattr(parse(alone), field) == general
    assert parse(alone).sources[field] == f"{OTLP}{suffix}"
    assert getattr(parse(both), field) == specific
    assert parse(both).sources[field] == f"{OTLP}TRACES_{suffix}"


HTTP = ("http/thrift.binary", "http://localhost:14268/api/traces", 6831)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, HTTP),
        ({"ENDPOINT": "http://a/t"}, ("http/thrift.binary", "http://a/t", 6831)),
        ({"ENDPOINT": "http://a/t", "AGENT_HOST": "a"}, ("http/thrift.binary", "http://a/t", 6831)),
        ({"AGENT_HOST": "a"}, ("udp/thrift.compact", "", 6831)),
        ({"AGENT_PORT": "7000"}, ("udp/thrift.compact", "", 7000)),
        ({"PROTOCOL": "udp/thrift.binary"}, ("udp/thrift.binary", "", 6832)),
        ({"PROTOCOL": "udp/thrift.binary", "AGENT_PORT": "7000"}, ("udp/thrift.binary", "", 7000)),
        ({"PROTOCOL": "UDP/Thrift.Compact"}, ("udp/thrift.compact", "", 6831)),
        ({"PROTOCOL": "http/thrift.binary", "AGENT_HOST": "a"}, HTTP),
        ({"PROTOCOL": "grpc", "ENDPOINT": "http://a:14250"}, ("grpc", "http://a:14250", 6831)),
    ],
)
def test_jaeger_protocol_endpoint_and_port(environ, expected):
    settings = parse({f"{JAEGER}{name}": text for name, text in environ.items()})
    actual = (
        settings.exporter_jaeger_protocol,
        settings.exporter_jaeger_endpoint,
        settings.exporter_jaeger_agent_port,
    )
    assert actual == expected
