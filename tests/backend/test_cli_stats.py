"""`autotrace stats` beyond its table: names from anywhere, terminals of any width, both query APIs."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_slow_and_graph import home, ours, printed, run
from viewer_server import span, write

import autotrace
from autotrace.store.files import database_in

if TYPE_CHECKING:
    from query_server import QueryServer

__all__ = ("home", "ours")


@pytest.mark.usefixtures("ours")
def test_lines_of_services(home: Path) -> None:
    assert printed("stats", "--home", str(home), "--by", "service") == [
        "15 calls, 7% failed, in 3 traces",
        "",
        "  CALLS     RATE ERRORS     P50    P90    P95    P99    MAX  SERVICE",
        "      9    4.5/h     0%   100ms  900ms  900ms  900ms  900ms  shop",
        "      6    3.0/h    17%  20.0ms  888ms  888ms  888ms  888ms  stock",
    ]


@pytest.mark.usefixtures("ours")
def test_all_that_json_says(home: Path) -> None:
    out = run("stats", "--home", str(home), "--by", "service", "--service", "stock", "--json")[1]
    assert json.loads(out) == {
        "data": [
            {
                "service": "stock",
                "operation": "",
                "calls": 6,
                "errors": 1,
                "traces": 3,
                "p50": 20_000,
                "p90": 888_000,
                "p95": 888_000,
                "p99": 888_000,
                "max": 888_000,
            }
        ],
        "traces": 3,
        "spans": 6,
        "seconds": 7201.001,
        "complete": True,
    }


def test_both_query_apis_as_the_local_store(ours: QueryServer, home: Path) -> None:
    for question in ([], ["--by", "service"], ["--service", "nobody"]):
        asked = ("stats", "--last", "1d", *question)
        code, out, err = run(*asked, "--home", str(home))
        assert run(*asked, "--from", ours.url) == (code, out, err), question
        theirs = run(*asked, "--from", f"{ours.url}/zipkin")  # which writes names in small letters
        assert (theirs[0], theirs[1].lower(), theirs[2]) == (code, out.lower(), err), question


def test_nothing_there_as_json(home: Path, tmp_path: Path, ours: QueryServer) -> None:
    for options in (["--home", str(tmp_path)], ["--home", str(home), "--service", "nobody"]):
        code, out, err = run("stats", "--json", *options)
        assert (code, err) == (0, "")
        assert json.loads(out) == {"data": [], "traces": 0, "spans": 0, "seconds": 1.0, "complete": True}
    assert list(tmp_path.iterdir()) == []


def test_a_name_moves_no_cursor(tmp_path: Path) -> None:
    path = Path(database_in(str(tmp_path), {}))
    path.parent.mkdir(exist_ok=True)
    write(path, [span(1 << 96, 1, 0, 0, 5, service="a\n\x1b[31m", name="q\r\nx\x1b[2J")])
    lines = printed("stats", "--home", str(tmp_path))
    assert len(lines) == 4
    assert all(character.isprintable() for line in lines for character in line)


def test_a_call_without_an_end_has_no_duration(tmp_path: Path) -> None:
    path = Path(database_in(str(tmp_path), {}))
    path.parent.mkdir(exist_ok=True)
    write(path, [span(1 << 96, 1, 0, 0, None), span(1 << 96, 2, 1, 0, 7)])
    (each,) = json.loads(run("stats", "--home", str(tmp_path), "--json")[1])["data"]
    assert (each["calls"], each["p50"], each["max"]) == (2, 7_000, 7_000)


def test_a_terminal_gets_colours_and_names_that_fit(tmp_path: Path) -> None:
    path = Path(database_in(str(tmp_path), {}))
    path.parent.mkdir(exist_ok=True)
    write(path, [span(1 << 96, 1, 0, 0, 5, name="n" * 200, error=True)])
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    import fcntl
    import struct
    import termios

    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 90, 0, 0))
    subprocess.run(
        [sys.executable, "-m", "autotrace.cli.main", "stats", "--home", str(tmp_path)],
        env={
            "PATH": os.environ["PATH"],
            "TERM": "xterm",
            "PYTHONPATH": str(Path(autotrace.__file__).parents[1]),
            "PYTHONIOENCODING": "utf-8",
        },
        stdout=slave,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )
    shown = os.read(master, 65536).decode()
    os.close(slave)
    os.close(master)
    assert "\x1b[" in shown
    (line,) = (line for line in shown.splitlines() if "nnn" in line)
    assert 10 < line.count("n") < 30
    assert line.rstrip().endswith("…")
