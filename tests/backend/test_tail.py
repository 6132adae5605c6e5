"""`autotrace tail`, run as a command: traces appear once, complete, as they arrive."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from query_server import query_server
from viewer_server import MS, START, span, write

from autotrace.store.files import database_in

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = (time.time_ns() - START) / MS
HEADINGS = "TRACE     STARTED               DURATION   SPANS  SERVICES  ROOT"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = Path(database_in(str(tmp_path), {}))
    path.parent.mkdir(exist_ok=True)
    return path


class Tail:
    """The command at work."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        assert process.stderr is not None
        self.line = process.stdout.readline
        self.said = process.stderr.readline

    def end(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@contextmanager
def tail(*options: str) -> Iterator[Tail]:
    command = [sys.executable, "-m", "autotrace.cli.main", "tail", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            yield Tail(process)
        finally:
            process.kill()


def trace(number: int, **fields: Any) -> list[Any]:
    return [
        span(number << 96, 1, 0, NOW, 20, **fields),
        span(number << 96, 2, 1, NOW + 1, 5, name="child"),
    ]


def test_traces_appear_once_and_complete(path: Path) -> None:
    write(path, trace(0xAAAA0001, name="before"))
    with tail("--home", str(path.parent), "--last", "1h", "--json") as arriving:
        assert json.loads(arriving.line())["rootOperation"] == "before"
        write(path, trace(0xAAAA0002, name="first")[:1])
        write(path, trace(0xAAAA0002, name="first")[1:])
        first = json.loads(arriving.line())
        assert (first["rootOperation"], first["spans"], first["traceID"]) == (
            "first",
            2,
            f"{0xAAAA0002 << 96:032x}",
        )
        write(path, trace(0xAAAA0003, name="second"))
        assert json.loads(arriving.line())["rootOperation"] == "second"
        assert arriving.end() == (130, "", "")


def test_what_was_there_before_is_not_shown(path: Path) -> None:
    write(path, trace(0xAAAA0001, name="before"))
    with tail("--home", str(path.parent), "--limit", "1") as arriving:
        # It says nothing of having begun: traces are written until one is seen.
        for number in range(2, 200):
            write(path, trace(0xBBBB0000 + number, name=f"new {number}"))
            time.sleep(0.1)
            if arriving.process.poll() is not None:
                break
        out, err = arriving.process.communicate(timeout=30)
    assert (arriving.process.returncode, err) == (0, "")
    headings, line = out.splitlines()
    assert headings == HEADINGS
    assert line.startswith("bbbb0")
    assert "shop  new " in line


def test_only_what_matches(path: Path) -> None:
    with tail("--home", str(path.parent), "--operation", "wanted", "--limit", "2") as arriving:
        assert arriving.said().startswith("no traces yet:")
        write(path, trace(0xAAAA0001, name="other"))
        write(path, trace(0xAAAA0002, name="wanted"))
        write(path, trace(0xAAAA0003, name="wanted"))
        assert arriving.line() == HEADINGS + "\n"
        assert sorted(arriving.line()[:8] for _ in range(2)) == ["aaaa0002", "aaaa0003"]
        assert arriving.process.wait(30) == 0


def test_a_store_that_is_removed_begins_anew(path: Path) -> None:
    write(path, [each for number in range(1, 20) for each in trace(0xAAAA0000 + number)])
    with tail("--home", str(path.parent), "--last", "1h", "--json") as arriving:
        for _ in range(19):
            arriving.line()
        for file in path.parent.glob("traces.db*"):
            file.unlink()
        write(path, trace(0xBBBB0001, name="anew"))
        assert json.loads(arriving.line())["rootOperation"] == "anew"


def test_from_a_server(path: Path) -> None:
    write(path, trace(0xAAAA0001, name="before"))
    with (
        query_server(path.parent) as server,
        tail("--from", server.url, "--last", "1h", "--json") as arriving,
    ):
        assert json.loads(arriving.line())["rootOperation"] == "before"
        server.store(trace(0xAAAA0002, name="after"))
        assert json.loads(arriving.line())["rootOperation"] == "after"
        assert arriving.end() == (130, "", "")


def test_a_server_that_is_not_there(path: Path) -> None:
    with tail("--home", str(path.parent), "--from", "http://127.0.0.1:9") as arriving:
        out, err = arriving.process.communicate(timeout=30)
    assert (arriving.process.returncode, out) == (1, "")
    assert "does not answer" in err
