from __future__ import annotations

import sys

import pytest
from opentelemetry.propagators.textmap import TextMapPropagator

from autotrace.propagation.registry import BUILT_IN, build


def names(propagator):
    return [type(member).__name__ for member in propagator.propagators]


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (["tracecontext", "baggage"], ["TraceContext", "Baggage"]),
        (["baggage", "tracecontext"], ["Baggage", "TraceContext"]),
        (
            ["b3", "b3multi", "jaeger", "xray", "ottrace"],
            ["B3Single", "B3Multi", "Jaeger", "XRay", "OtTrace"],
        ),
        (["b3", "tracecontext", "b3", "B3", " b3 "], ["B3Single", "TraceContext"]),
        (["TraceContext"], ["TraceContext"]),
        (["none"], []),
        (["tracecontext", "None"], []),
        (["none", "no-such-thing"], []),
        ([], []),
        (["", " ", "b3"], ["B3Single"]),
    ],
)
def test_names(given, made, capsys):
    assert names(build(given)) == made
    assert capsys.readouterr().err == ""


def test_unknown_names_are_one_warning_and_the_rest_is_used(capsys):
    assert names(build(["wc3", "b3", "trace context"])) == ["B3Single"]
    assert capsys.readouterr().err == (
        "autotrace: OTEL_PROPAGATORS: 'wc3' is not known; 'trace context' is not known: b3 is used\n"
    )


def test_the_default_steps_in_when_no_name_is_left(capsys):
    assert names(build(["wc3"])) == ["TraceContext", "Baggage"]
    assert capsys.readouterr().err == (
        "autotrace: OTEL_PROPAGATORS: 'wc3' is not known: tracecontext,baggage is used\n"
    )


PLUGINS = """
from autotrace.propagation.tracecontext import TraceContext

class Theirs(TraceContext):
    pass

def broken():
    raise ZeroDivisionError("broken inside")
"""
ENTRY_POINTS = """
[opentelemetry_propagator]
theirs = some_plugins:Theirs
b3 = some_plugins:Theirs
broken = some_plugins:broken
missing = some_plugins_that_are_gone:Theirs
odd = some_plugins:str
"""


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """A package with propagators, installed as pip leaves it."""
    (tmp_path / "some_plugins.py").write_text(PLUGINS)
    info = tmp_path / "some_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-plugins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("some_plugins", None)


@pytest.mark.usefixtures("plugins")
def test_entry_points_are_found_and_ours_come_first(capsys):
    propagator = build(["theirs", "b3", "theirs"])
    assert names(propagator) == ["Theirs", "B3Single"]
    assert all(isinstance(member, TextMapPropagator) for member in propagator.propagators)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("plugins")
def test_plugins_that_fail_are_named(capsys):
    assert names(build(["broken", "missing", "odd", "theirs"])) == ["Theirs"]
    (line,) = capsys.readouterr().err.splitlines()
    for part in ("OTEL_PROPAGATORS", "'broken'", "broken inside", "'missing'", "'odd'", "theirs is used"):
        assert part in line


def test_built_in_names_need_no_scan_of_the_installed_packages(monkeypatch):
    monkeypatch.setattr("autotrace.propagation.registry._entry_points", None)
    assert len(build(list(BUILT_IN)).propagators) == len(BUILT_IN)
