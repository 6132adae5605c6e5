"""Every variable's text becomes a value, or one warning and the default."""

from __future__ import annotations

import contextlib
import io
import os
import re

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotrace.settings import parse, switched_off
from autotrace.settings.ignored import IGNORED
from autotrace.settings.kinds import NO_LIMIT
from autotrace.settings.model import TABLE, Settings
from autotrace.settings.names import NAMES, VARIABLES, short_name
from autotrace.settings.variable import LIBRARY


def values(settings):
    return {field: getattr(settings, field) for field in (*TABLE, "sources")}


@pytest.fixture
def lines(capsys):
    """The lines on stderr so far, and nothing on stdout."""

    def said():
        out, err = capsys.readouterr()
        assert out == ""
        return err.splitlines()

    return said


def test_nothing_set_gives_the_defaults_of_the_table(lines):
    settings = parse({})
    assert values(settings) == values(Settings())
    assert settings.sources == {}
    assert lines() == []


def test_defaults():
    settings = parse({})
    assert settings.enabled is True
    assert settings.traces_exporter == ("local",)
    assert settings.propagators == ("tracecontext", "baggage")
    assert settings.traces_sampler == "parentbased_always_on"
    assert (settings.bsp_schedule_delay, settings.bsp_export_timeout) == (5.0, 30.0)
    assert (settings.bsp_max_queue_size, settings.bsp_max_export_batch_size) == (2048, 512)
    assert settings.exit_timeout == 2.0
    assert settings.store_max_age == 168 * 3600.0
    assert (settings.store_max_mb, settings.jaeger_max_packet) == (256, 65000)
    assert settings.queue_max_bytes == 64 * 1024 * 1024
    assert (settings.span_attribute_count_limit, settings.span_attribute_value_length_limit) == (128, None)
    assert len(settings.instrumentation_http_known_methods) == 10


def test_a_set_variable_is_the_source_of_its_field():
    settings = parse({"OTEL_SERVICE_NAME": " shop "})
    assert settings.service_name == "shop"
    assert settings.sources == {"service_name": "OTEL_SERVICE_NAME"}


@pytest.mark.parametrize("name", [name for name in NAMES if LIBRARY not in name])
def test_empty_and_blank_count_as_unset(name, lines):
    for text in ("", "  "):
        assert values(parse({name: text})) == values(Settings())
    assert lines() == []


@pytest.mark.parametrize(
    ("name", "field"), [(row.name, field) for field, row in TABLE.items() if LIBRARY not in row.name]
)
def test_a_field_is_named_after_its_variable(name, field):
    # `python_` stays where the short name is taken: `excluded_urls` is the method that everybody calls.
    assert field in (short_name(name), name[len("OTEL_") :].lower())


def test_each_variable_has_one_line_of_text():
    assert len(NAMES) == len(set(NAMES))
    for row in TABLE.values():
        assert row.doc.endswith((".", "TORNADO."))
        assert "\n" not in row.doc
        assert "|" not in row.doc


def test_settings_do_not_print_their_secrets():
    settings = parse(
        {"OTEL_EXPORTER_JAEGER_PASSWORD": "hunter2", "OTEL_EXPORTER_OTLP_HEADERS": "key=hunter2"}
    )
    assert settings.exporter_jaeger_password == "hunter2"
    assert "hunter2" not in repr(settings)


def test_settings_are_frozen():
    with pytest.raises(AttributeError):
        parse({}).service_name = "other"


@pytest.mark.parametrize(
    ("name", "text", "instead"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "abc", "2048 is used"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "2048 is used"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "2048 is used"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1_000", "2048 is used"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "٣", "2048 is used"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "2147483648", "2048 is used"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s", "5000 is used"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-5", "5000 is used"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10.5", "10000 is used"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "many", "ignored"),
        ("OTEL_EXPORTER_JAEGER_AGENT_PORT", "65536", "ignored"),
        ("AUTOTRACE_JAEGER_MAX_PACKET", "65001", "65000 is used"),
        ("AUTOTRACE_JAEGER_MAX_PACKET", "1023", "65000 is used"),
        ("AUTOTRACE_STORE_MAX_AGE", "a week", "168 is used"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http", "http/protobuf is used"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "none is used"),
        ("OTEL_EXPORTER_JAEGER_PROTOCOL", "thrift", "ignored"),
        ("OTEL_LOG_LEVEL", "loud", "info is used"),
        ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "ftp://z/", "http://localhost:9411/api/v2/spans is used"),
        ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "http://", "http://localhost:9411/api/v2/spans is used"),
        ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "http://z:99999/", "http://localhost:9411/api/v2/spans is used"),
        ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "http://[::1/", "http://localhost:9411/api/v2/spans is used"),
        ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "http://z/ a", "http://localhost:9411/api/v2/spans is used"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=1,b", "ignored"),
        ("OTEL_PROPAGATORS", ",", "tracecontext,baggage is used"),
    ],
)
def test_an_invalid_value_is_one_warning_and_counts_as_unset(name, text, instead, lines):
    assert values(parse({name: text})) == values(Settings())
    (line,) = lines()
    assert line.startswith(f"autotrace: {name}={text!r} ")
    assert line.endswith(f": {instead}")


@pytest.mark.parametrize("text", ["true", "TRUE", "True"])
def test_only_true_is_true(text, lines):
    assert parse({"OTEL_SDK_DISABLED": text}).sdk_disabled is True
    assert lines() == []


@pytest.mark.parametrize("text", ["1", "yes", "on", "0"])
def test_what_is_neither_true_nor_false_is_false_with_a_warning(text, lines):
    settings = parse({"OTEL_SDK_DISABLED": text})
    assert settings.sdk_disabled is False
    assert lines() == [f"autotrace: OTEL_SDK_DISABLED={text!r} is neither true nor false: taken as false"]


def test_times_are_milliseconds_and_become_seconds(lines):
    settings = parse(
        {"OTEL_BSP_SCHEDULE_DELAY": "250", "AUTOTRACE_EXIT_TIMEOUT": "0", "AUTOTRACE_STORE_MAX_AGE": "1"}
    )
    assert (settings.bsp_schedule_delay, settings.exit_timeout, settings.store_max_age) == (0.25, 0.0, 3600.0)
    assert lines() == []


def test_a_timeout_of_zero_is_the_longest_that_sockets_take(lines):
    assert parse({"OTEL_EXPORTER_ZIPKIN_TIMEOUT": "0"}).exporter_zipkin_timeout == NO_LIMIT
    assert lines() == []


@pytest.mark.parametrize("exporter", ["OTLP", "OTLP_TRACES", "ZIPKIN", "JAEGER"])
def test_a_timeout_that_looks_like_seconds_is_taken_as_milliseconds_with_a_warning(exporter, lines):
    name = f"OTEL_EXPORTER_{exporter}_TIMEOUT"
    settings = parse({name: "10"})
    taken = {field: getattr(settings, field) for field, source in settings.sources.items() if source == name}
    assert list(taken.values()) == [0.01]
    assert lines() == [f"autotrace: {name}='10' is in milliseconds: taken as 0.01 s (ten seconds are 10000)"]


@pytest.mark.parametrize(
    ("text", "level"), [("none", 0), ("error", 1), ("WARN", 2), ("info", 3), ("Debug", 4)]
)
def test_log_level(text, level):
    assert parse({"OTEL_LOG_LEVEL": text}).log_level == level


@pytest.mark.parametrize("level", ["none", "error"])
def test_the_log_level_counts_for_these_warnings_already(level, lines):
    parse({"OTEL_LOG_LEVEL": level, "OTEL_BSP_MAX_QUEUE_SIZE": "abc"})
    assert lines() == []


def test_lists_are_trimmed_deduplicated_and_keep_their_order():
    settings = parse(
        {"OTEL_PROPAGATORS": " B3 ,jaeger,, b3 ", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask, *"}
    )
    assert settings.propagators == ("b3", "jaeger")
    assert settings.disabled_instrumentations == ("flask", "*")


def test_none_among_propagators_means_none():
    assert parse({"OTEL_PROPAGATORS": "b3,none"}).propagators == ()


def test_resource_attributes_are_percent_decoded():
    text = "service.version=1%2C2, na%C3%AFve = caf%c3%a9=au lait ,empty="
    pairs = parse({"OTEL_RESOURCE_ATTRIBUTES": text}).resource_attributes
    assert pairs == (("service.version", "1,2"), ("naïve", "café=au lait"), ("empty", ""))


@pytest.mark.parametrize("bad", ["b", "=1", "b=%", "b=%4", "b=%zz", "b=%+1", "b=%C3", "b=%ff", "b=\udcff"])
def test_one_bad_resource_attribute_discards_all(bad, lines):
    assert parse({"OTEL_RESOURCE_ATTRIBUTES": f"a=1,{bad}"}).resource_attributes == ()
    (line,) = lines()
    assert "element 2" in line


def test_headers_are_percent_decoded_or_plain(lines):
    text = "Authorization=Basic%20YTpi==, x-plain=a b:c, X-Rate=50%"
    headers = parse({"OTEL_EXPORTER_OTLP_HEADERS": text}).exporter_otlp_traces_headers
    assert headers == (("authorization", "Basic YTpi=="), ("x-plain", "a b:c"), ("x-rate", "50%"))
    assert lines() == []


@pytest.mark.parametrize(
    "bad", ["hunter2", "=hunter2", "a b=hunter2", "a=hunter2%0d%0ab:c", "a=hunter2%E2%82%AC"]
)
def test_a_bad_header_is_left_out_and_not_repeated(bad, lines):
    headers = parse({"OTEL_EXPORTER_OTLP_HEADERS": f"{bad},ok=1"}).exporter_otlp_traces_headers
    assert headers == (("ok", "1"),)
    (line,) = lines()
    assert "OTEL_EXPORTER_OTLP_HEADERS=*** is no list of name=value (element 1)" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "url",
    [
        "ftp://user:hunter2@z/",
        "ftp://user:hun/hunter2@z",
        "ftp://z/?token=hunter2",
        "http://u:hunter2@z:99999",
        "ftp://user:hunter2?x@z",
    ],
)
def test_warnings_hide_the_credentials_of_a_url(url, lines):
    parse({"OTEL_EXPORTER_ZIPKIN_ENDPOINT": url})
    (line,) = lines()
    assert "hunter2" not in line


def test_warnings_repeat_a_bounded_part_of_the_text(lines):
    parse({"OTEL_BSP_MAX_QUEUE_SIZE": "9" * 100_000})
    (line,) = lines()
    assert len(line) < 250


def test_limits_of_spans_fall_back_to_the_general_ones():
    general = {"OTEL_ATTRIBUTE_COUNT_LIMIT": "7", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "0"}
    settings = parse(general)
    assert (settings.span_attribute_count_limit, settings.span_attribute_value_length_limit) == (7, 0)
    assert settings.sources["span_attribute_count_limit"] == "OTEL_ATTRIBUTE_COUNT_LIMIT"
    settings = parse({**general, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "9"})
    assert (settings.span_attribute_count_limit, settings.attribute_count_limit) == (9, 7)


def test_an_invalid_specific_variable_leaves_the_word_to_the_general_one(lines):
    environ = {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "x", "OTEL_ATTRIBUTE_COUNT_LIMIT": "7"}
    assert parse(environ).span_attribute_count_limit == 7
    (line,) = lines()
    assert line.endswith(": OTEL_ATTRIBUTE_COUNT_LIMIT counts")


def test_a_variable_that_counts_for_two_fields_is_reported_once(lines):
    parse({"OTEL_ATTRIBUTE_COUNT_LIMIT": "x"})
    assert len(lines()) == 1


def test_a_batch_is_at_most_the_queue(lines):
    settings = parse({"OTEL_BSP_MAX_QUEUE_SIZE": "100"})
    assert settings.bsp_max_export_batch_size == 100
    assert lines() == []  # nobody asked for 512
    settings = parse({"OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "200"})
    assert settings.bsp_max_export_batch_size == 100
    assert lines() == [
        "autotrace: OTEL_BSP_MAX_EXPORT_BATCH_SIZE='200' is more than the queue holds: 100 is used"
    ]


def test_a_sampler_argument_counts_only_with_a_sampler(lines):
    settings = parse({"OTEL_TRACES_SAMPLER": "TraceIdRatio", "OTEL_TRACES_SAMPLER_ARG": "0.5"})
    assert (settings.traces_sampler, settings.traces_sampler_arg) == ("traceidratio", "0.5")
    assert lines() == []
    assert parse({"OTEL_TRACES_SAMPLER_ARG": "0.5"}).traces_sampler_arg == ""
    assert lines() == ["autotrace: OTEL_TRACES_SAMPLER_ARG='0.5' is ignored: OTEL_TRACES_SAMPLER is not set"]


@pytest.mark.parametrize("ignored", IGNORED, ids=lambda ignored: ignored.name)
def test_variables_without_effect(ignored, lines):
    assert values(parse({ignored.name: "otlp"})) == values(Settings())
    expected = [] if ignored.silent else [f"autotrace: {ignored.name} is ignored: {ignored.reason}"]
    assert lines() == expected


def test_what_the_operator_of_kubernetes_injects_is_accepted_silently(lines):
    parse(
        {
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_RESOURCE_ATTRIBUTES_POD_NAME": "shop-1",
            "OTEL_NODE_IP": "10.0.0.1",
        }
    )
    assert lines() == []


def test_an_unknown_name_of_ours_is_reported_with_the_nearest_known(lines):
    parse({"AUTOTRACE_EXIT_TIMOUT": "hunter2", "AUTOTRACE_ZZZZZZ": "1"})
    assert lines() == [
        "autotrace: AUTOTRACE_EXIT_TIMOUT is not a setting: did you mean AUTOTRACE_EXIT_TIMEOUT?",
        "autotrace: AUTOTRACE_ZZZZZZ is not a setting",
    ]


def test_unknown_names_are_reported_a_few_times_only(lines):
    parse({f"AUTOTRACE_{number}": "1" for number in range(100)})
    assert len(lines()) == 5


def test_excluded_urls_of_a_library_beat_the_general_ones_even_when_empty(lines):
    settings = parse(
        {
            "OTEL_PYTHON_EXCLUDED_URLS": "health,/metrics$",
            "OTEL_PYTHON_FLASK_EXCLUDED_URLS": "",
            "OTEL_PYTHON_AIOHTTP_SERVER_EXCLUDED_URLS": "admin",
        }
    )
    assert settings.excluded_urls("requests").search("http://h/healthz")
    assert settings.excluded_urls("requests").search("http://h/metrics")
    assert not settings.excluded_urls("requests").search("http://h/metrics/1")
    assert settings.excluded_urls("flask") is None
    assert settings.excluded_urls("aiohttp_server").pattern == "admin"
    assert parse({}).excluded_urls("flask") is None
    assert lines() == []


def test_traced_request_attributes():
    settings = parse({"OTEL_PYTHON_DJANGO_TRACED_REQUEST_ATTRS": "path_info, content_type"})
    assert settings.traced_request_attrs("django") == ("path_info", "content_type")
    assert settings.traced_request_attrs("falcon") == ()


@pytest.mark.parametrize("bad", ["b(", "*b", "[b", "(?P<a>x)"])
def test_a_bad_expression_is_left_out(bad, lines):
    pattern = parse({"OTEL_PYTHON_EXCLUDED_URLS": f"(?P<a>a),{bad},c"}).excluded_urls("flask")
    assert pattern.pattern == "(?P<a>a)|c"
    (line,) = lines()
    assert repr(bad) in line


def test_flags_hold_for_their_own_element_on_every_python(lines):
    pattern = parse({"OTEL_PYTHON_EXCLUDED_URLS": "a,(?i)b"}).excluded_urls("flask")
    assert pattern.search("B")
    assert not pattern.search("A")
    assert lines() == []


@pytest.mark.parametrize(
    ("text", "told", "kept"),
    [
        ("", ["anything"], []),
        ("*", ["anything", "::1"], []),
        ("api.example.com", ["api.example.com", "API.example.com."], ["example.com", "xapi.example.com"]),
        (".example.com", ["a.example.com", "a.b.example.com"], ["example.com", "badexample.com"]),
        ("*.corp, 10.0.*,[::1]", ["a.corp", "10.0.3.4", "::1"], ["corp", "110.0.3.4", "a.corp.evil"]),
    ],
)
def test_hosts_that_may_receive_trace_headers(text, told, kept, lines):
    hosts = parse({"AUTOTRACE_PROPAGATE_TO": text}).propagate_to
    assert [host for host in told if hosts is not None and not hosts.fullmatch(host)] == []
    assert [host for host in kept if hosts is None or hosts.fullmatch(host)] == []
    assert lines() == []


def test_what_is_no_host_name_is_left_out_and_opens_nothing(lines):
    hosts = parse({"AUTOTRACE_PROPAGATE_TO": "https://a.example/,b:80,.,c.example"}).propagate_to
    assert [host for host in ("a.example", "b", "c.example") if hosts.fullmatch(host)] == ["c.example"]
    hosts = parse({"AUTOTRACE_PROPAGATE_TO": "https://a.example/"}).propagate_to
    assert not hosts.fullmatch("a.example")
    assert len(lines()) == 2


@pytest.mark.parametrize("side", ["server_request", "server_response", "client_request", "client_response"])
def test_captured_headers_match_the_whole_name_in_any_case(side):
    field = f"instrumentation_http_capture_headers_{side}"
    pattern = getattr(parse({f"OTEL_{field.upper()}": "content-type,x-.*,(?i)etag"}), field)
    for name in ("Content-Type", "X-Request-Id", "ETag"):
        assert pattern.match(name)
        assert pattern.fullmatch(name)
    assert not pattern.match("content-type-2")
    assert not pattern.match("my-content-type")


def test_sanitized_fields_are_searched_in_any_case():
    environ = {"OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS": "cookie,Authorization"}
    assert parse(environ).instrumentation_http_capture_headers_sanitize_fields.search("Set-Cookie")


def test_known_methods_replace_the_list_and_keep_their_case():
    settings = parse({"OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS": "GET,purge"})
    assert settings.instrumentation_http_known_methods == ("GET", "purge")


def test_stability_opt_in():
    settings = parse({"OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup, database"})
    assert settings.emit_old_http
    assert not settings.emit_old_database
    assert parse({"OTEL_SEMCONV_STABILITY_OPT_IN": "database/dup"}).emit_old_database


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, None),
        ("", None),
        (" ", None),
        ("true", None),
        ("True", None),
        ("false", "AUTOTRACE_ENABLED=false"),
        (" FALSE", "AUTOTRACE_ENABLED=FALSE"),
    ],
)
def test_switched_off(text, reason, lines):
    environ = {} if text is None else {"AUTOTRACE_ENABLED": text}
    assert switched_off(environ) == reason
    assert parse(environ).enabled is (reason is None)
    assert lines() == []


def test_a_switch_that_is_neither_is_off_and_says_so(lines):
    assert switched_off({"AUTOTRACE_ENABLED": "0"}) == "AUTOTRACE_ENABLED=0"
    assert lines() == ["autotrace: AUTOTRACE_ENABLED='0' is neither true nor false: taken as false"]


texts = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="%,=:/@?#[]()*+\\|{}^$. \t\n\0\udcffaA0", max_size=30),
    st.sampled_from(["http://", "http://[", "true", "-1", "9" * 5000, "(?P<a>b)", "%", "(((("]),
)
names = st.sampled_from(
    [name.replace(LIBRARY, "FLASK") for name in NAMES] + ["AUTOTRACE_X", "AUTOTRACE_\udcff"]
)


@hypothesis.settings(deadline=None)
@given(st.dictionaries(names, texts, max_size=12))
def test_no_environment_raises(environ):
    settings = parse(environ)
    assert set(settings.sources.values()) <= set(environ)
    for name in settings.traces_exporter:
        assert name == name.lower()
    assert settings.bsp_max_export_batch_size <= settings.bsp_max_queue_size


@hypothesis.settings(deadline=None)
@given(texts)
def test_no_text_is_warned_about_more_than_once(text):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        parse({"OTEL_EXPORTER_OTLP_ENDPOINT": text})
    assert said.getvalue().count("\n") <= 1


def test_the_real_environment_can_be_given():
    assert parse(os.environ).exit_timeout >= 0


def test_every_name_begins_with_a_known_prefix():
    for name in VARIABLES:
        assert re.match(r"(OTEL|AUTOTRACE)_", name)
