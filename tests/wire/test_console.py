"""The console exporter: one readable tree per trace, as soon as it is whole."""

from __future__ import annotations

import io
import os
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spans import finished_spans, make_span

from autotrace.export import console
from autotrace.export.console import ConsoleExporter, from_settings
from autotrace.settings import parse


class Page:
    """An exporter and what it has printed."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.exporter = ConsoleExporter(self.stream, {})

    def export(self, *spans: Any) -> dict[str, int]:
        return dict(self.exporter.export(spans, time.monotonic() + 5))

    def names(self) -> list[str]:
        """Of the spans printed since the last look, in the order of lines."""
        text = self.stream.getvalue()
        self.stream.seek(0)
        self.stream.truncate()
        words = text.replace("\n", " ").split()
        return [word for word in words if word.startswith("n-")]


def span(trace: int, number: int, parent: int, remote: bool = False) -> Any:
    return make_span(
        trace_id=trace, span_id=number, parent_id=parent, parent_is_remote=remote, name=f"n-{trace}-{number}"
    )


def test_a_tree_is_printed_once_its_root_has_ended() -> None:
    page = Page()
    assert page.export(span(1, 3, 2), span(1, 2, 1)) == {}
    assert page.names() == []
    assert page.export(span(1, 1, 0)) == {}
    assert page.names() == ["n-1-1", "n-1-2", "n-1-3"]


def test_it_looks_as_in_autotrace_show() -> None:
    page = Page()
    page.export(make_span(parent_id=0, attributes={"http.response.status_code": 200}))
    lines = page.stream.getvalue().splitlines()
    assert lines[0] == "trace ff00aa11bb22cc330123456789abcdef"
    assert lines[3].split() == ["svc", "GET", "/a", "200", "0", "1.50", "ms", "=" * 20]
    assert lines[-1] == ""


def test_a_remote_parent_makes_a_local_root() -> None:
    """Two requests of one trace in this process: each is printed when it is whole."""
    page = Page()
    page.export(span(1, 12, 11), span(1, 22, 21), span(1, 11, 0xA, remote=True))
    assert page.names() == ["n-1-11", "n-1-12"]
    page.export(span(1, 21, 0xA, remote=True))
    assert page.names() == ["n-1-21", "n-1-22"]


def test_what_ends_after_its_root_is_printed_later() -> None:
    page = Page()
    page.export(span(1, 1, 0))
    page.export(span(1, 2, 1))
    assert page.names() == ["n-1-1"]
    page.exporter.shutdown()
    assert page.names() == ["n-1-2"]


def test_nothing_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page()
    page.export(span(1, 2, 1))
    monkeypatch.setattr(console, "MAX_WAIT", 0.0)
    page.export(span(2, 2, 1))
    assert page.names() == ["n-1-2", "n-2-2"]


@pytest.mark.parametrize(("bound", "value"), [("MAX_TRACES", 3), ("MAX_SPANS", 3)])
def test_what_waits_is_bounded(bound: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, bound, value)
    page = Page()
    for trace in range(1, 6):
        page.export(span(trace, 2, 1))
    assert page.names() == ["n-1-2", "n-2-2"]  # the oldest, without their roots
    page.exporter.shutdown()
    assert page.names() == ["n-3-2", "n-4-2", "n-5-2"]


def test_a_closed_stream_is_a_reason() -> None:
    page = Page()
    page.stream.close()
    assert page.export(span(1, 1, 0)) == {"stderr is closed": 1}
    nowhere = ConsoleExporter(None, {})
    assert nowhere.export([span(1, 1, 0)], 0.0) == {"stderr is closed": 1}
    nowhere.shutdown()


def test_an_odd_span_costs_itself_alone() -> None:
    page = Page()
    assert page.export(make_span(kind=None), span(1, 1, 0)) == {"span could not be printed": 1}
    assert page.names() == ["n-1-1"]


@settings(deadline=None)
@given(st.lists(finished_spans(), max_size=8))
def test_every_span_is_printed_once(spans: list[Any]) -> None:
    page = Page()
    for number, each in enumerate(spans):
        each.trace_id = number % 3 + 1
        each.span_id = number % 4 + 1
        each.name = f"n-{number}"
        each._attributes, each._events, each._links = {}, None, None
        assert page.export(each) == {}
    page.exporter.shutdown()
    assert sorted(page.names()) == sorted(f"n-{number}" for number in range(len(spans)))


def test_a_terminal_gets_colours_and_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one: a pseudo terminal of 60 columns."""
    termios = pytest.importorskip("termios")
    import fcntl
    import pty
    import struct

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        assert from_settings(parse({})).export([make_span(parent_id=0, name="n" * 200)], 0.0) == {}
        text = os.read(ours, 65536).decode()
    os.close(ours)
    assert "\x1b[1;36msvc" in text
    assert "n…" in text
    assert "━" not in text
