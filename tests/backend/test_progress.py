"""Progress on a terminal, and nowhere else."""

from __future__ import annotations

import io

import pytest

from autotrace.cli import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "shown"), [(Terminal, "\r\x1b[K1 trace\r\x1b[K2 trace\r\x1b[K"), (io.StringIO, "")]
)
def test_a_line_that_goes_away(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], shown: str
) -> None:
    monkeypatch.setattr("sys.stderr", stream())
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    monkeypatch.setattr(progress, "_INTERVAL", 0.0)
    with progress.Progress("trace") as line:
        assert list(line.over("ab")) == ["a", "b"]
        written = progress.sys.stderr
    assert written.getvalue() == shown  # type: ignore[attr-defined]  # the stream of this test
