"""Every setting is an option of `autotrace-run`."""

from __future__ import annotations

import pytest

from autotrace.settings.names import NAMES, short_name
from autotrace.settings.options import UsageError, described, understood
from autotrace.settings.variable import LIBRARY


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_is_an_option(name):
    name = name.replace(LIBRARY, "AIOHTTP_SERVER")
    for option in (f"--{short_name(name)}", f"--{short_name(name).replace('_', '-')}"):
        line = understood([f"{option}=a=b", "python", "--version"])
        assert line == ({name: "a=b"}, "", ["python", "--version"])


def test_no_two_variables_share_an_option():
    options = [short_name(name) for name in NAMES]
    assert len(options) == len(set(options))


def test_a_value_may_be_the_next_word():
    line = understood(["--service_name", "-shop", "--exporter-otlp-endpoint", "http://a", "python"])
    expected = {"OTEL_SERVICE_NAME": "-shop", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}
    assert (line.variables, line.command) == (expected, ["python"])


def test_a_flag_needs_no_value_and_takes_none_from_the_command():
    assert understood(["--sdk_disabled", "python"]) == ({"OTEL_SDK_DISABLED": "true"}, "", ["python"])
    assert understood(["--enabled=false", "python"]) == ({"AUTOTRACE_ENABLED": "false"}, "", ["python"])


def test_two_dashes_end_the_options():
    assert understood(["--sdk_disabled", "--", "--help"]).command == ["--help"]
    assert understood(["--"]) == ({}, "", [])


def test_options_of_the_command_are_its_own():
    assert understood(["--sdk_disabled", "app", "--service_name", "x"]).command == [
        "app",
        "--service_name",
        "x",
    ]


@pytest.mark.parametrize("word", ["-h", "--help", "--version"])
def test_questions(word):
    assert understood(["--service_name", "x", word]).question == word.strip("-").replace(
        "h", "help", len(word) == 2
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--serv_name", "x"], "unknown option --serv_name: did you mean --service_name?"),
        (["--hlep"], "unknown option --hlep: did you mean --help?"),
        (["-x"], "unknown option -x"),
        (["-service_name", "x"], "unknown option -service_name: did you mean --service_name?"),
        (["--_excluded_urls", "x"], "unknown option --_excluded_urls: did you mean --excluded_urls?"),
        (["--service_name"], "option --service_name needs a value"),
    ],
)
def test_what_makes_no_sense(arguments, message):
    with pytest.raises(UsageError) as raised:
        understood(arguments)
    assert str(raised.value) == message


def test_help_shows_every_option():
    words = described().replace(",", " ").split()
    from autotrace.settings.names import VARIABLES

    missing = [name for name in VARIABLES if f"--{short_name(name)}" not in words]
    assert missing == []
