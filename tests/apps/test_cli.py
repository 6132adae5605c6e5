"""`autotrace traces` and `autotrace show`, run as commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from spans import make_span

import autotrace
from autotrace.export.local import LocalExporter
from autotrace.tracing.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Iterator

MS = 1_000_000
SHOP, STOCK = Resource({"service.name": "shop"}), Resource({"service.name": "stock"})


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "autotrace.cli.main", *arguments],
        env={
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("OTEL_", "AUTOTRACE_"))
            },
            "PYTHONPATH": str(Path(autotrace.__file__).parents[1]),
            "PYTHONIOENCODING": "utf-8",
            **environ,
        },
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def span(
    trace: int, number: int, parent: int, name: str, resource: Resource, ago: float, took: int, **more: Any
) -> Any:
    start = NOW - int(ago * 1e9)
    return make_span(
        trace_id=trace,
        span_id=number,
        parent_id=parent,
        name=name,
        resource=resource,
        start_time=start,
        end_time=start + took * MS,
        **more,
    )


NOW = time.time_ns()
A, B, C = 0xAAAA1111 << 96, 0xAAAA2222 << 96, 0x463AC35C9F6413AD
FAILED = {"status_code": StatusCode.ERROR}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("home")
    exporter = LocalExporter(str(directory / "traces.db"), 2**28, 86400.0)
    for spans in (
        [span(A, 1, 0, "GET /a", SHOP, 7200, 50)],
        [
            span(B, 2, 1, "SELECT stock", STOCK, 59.9, 20, kind=SpanKind.CLIENT,
                 attributes={"db.query.text": "SELECT 1"}, **FAILED),
            span(B, 1, 0, "GET /b", SHOP, 60, 500, **FAILED),
        ],
        [span(C, 1, 0xDEAD, "käse\ud800", STOCK, 1, 5)],
    ):  # fmt: skip
        assert exporter.export(spans, time.monotonic() + 20) == {}
    exporter.shutdown()
    return str(directory)


def listed(home: str, *options: str) -> list[str]:
    """First columns of the listing."""
    done = run("traces", "--home", home, *options)
    assert done.returncode == 0, done.stderr
    return [line.split()[0] for line in done.stdout.splitlines()[1:]]


def test_the_listing(home: str) -> None:
    done = run("traces", "--home", home)
    heading, c, b, a = done.stdout.splitlines()
    assert heading == "TRACE     STARTED               DURATION   SPANS  SERVICES  ROOT"
    assert c.startswith("463ac35c  20")
    assert c.endswith("   5.00 ms       1         1  stock  käse\\ud800")
    assert b.endswith("    500 ms       2         2  ✗ shop  GET /b")
    assert a.endswith("   50.0 ms       1         1  shop  GET /a")
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("--limit 2", "463ac35c aaaa2222"),
        ("--service shop", "aaaa2222 aaaa1111"),
        ("--errors", "aaaa2222"),
        ("--min-duration 100ms", "aaaa2222"),
        ("--min-duration 10ms --max-duration 60ms", "aaaa2222 aaaa1111"),
        ("--since 1h", "463ac35c aaaa2222"),
        ("--operation GET_/a", "aaaa1111"),
    ],
)
def test_the_listing_can_be_narrowed(home: str, options: str, found: str) -> None:
    words = [word.replace("_", " ") for word in options.split()]
    assert listed(home, *words) == found.split()


def test_the_listing_as_json(home: str) -> None:
    (trace,) = json.loads(run("traces", "--home", home, "--errors", "--json").stdout)["data"]
    assert trace == {
        "traceID": f"{B:032x}",
        "startTime": (NOW - 60 * 10**9) // 1000,
        "duration": 500_000,
        "spans": 2,
        "errors": 2,
        "rootService": "shop",
        "rootOperation": "GET /b",
        "services": ["shop", "stock"],
    }


@pytest.mark.parametrize("which", ["aaaa2", "AAAA2222", f"{B:032x}"])
def test_a_trace_is_shown_by_the_first_digits_of_its_id(home: str, which: str) -> None:
    done = run("show", which, "--home", home)
    lines = done.stdout.splitlines()
    assert lines[0] == f"trace {B:032x}"
    assert lines[3].startswith("✗ shop  GET /b ")
    assert lines[4].startswith("└─ ✗ stock  SELECT stock  SELECT 1 ")
    assert max(map(len, lines)) <= 100
    assert (done.stderr, done.returncode) == ("", 0)


def test_the_last_trace_and_a_narrow_page(home: str) -> None:
    lines = run("--home", home, "show", "last", "--width", "60").stdout.splitlines()
    assert lines[0] == "trace 463ac35c9f6413ad"
    assert lines[4] == "   (its parent 000000000000dead is not here)"
    assert max(map(len, lines)) <= 60


def test_a_trace_as_json_has_jaegers_form(home: str) -> None:
    answer = json.loads(run("show", "aaaa2", "--home", home, "--json").stdout)
    assert list(answer) == ["data", "total", "limit", "offset", "errors"]
    (trace,) = answer["data"]
    assert {span["operationName"]: len(span["references"]) for span in trace["spans"]} == {
        "GET /b": 0,
        "SELECT stock": 1,
    }
    assert {process["serviceName"] for process in trace["processes"].values()} == {"shop", "stock"}


def test_an_ambiguous_id_lists_candidates(home: str) -> None:
    done = run("show", "aaaa", "--home", home)
    assert done.returncode == 2
    assert done.stdout == ""
    first, *candidates = done.stderr.splitlines()
    assert first == "autotrace: 2 traces begin with 'aaaa':"
    assert [line.split()[0] for line in candidates] == [f"{B:032x}", f"{A:032x}"]


@pytest.mark.parametrize("which", ["bbbb", "nonsense", "", "%"])
def test_an_unknown_id_is_one_line(home: str, which: str) -> None:
    done = run("show", which, "--home", home)
    assert done.returncode == 1
    assert done.stderr == f"autotrace: no trace begins with {which!r}; `autotrace traces` lists them\n"


def test_no_match_is_told_from_no_traces(home: str, tmp_path: Path) -> None:
    assert run("traces", "--service", "nobody", "--home", home).stderr == "no trace matches\n"
    for command in (["traces"], ["show", "last"]):
        done = run(*command, AUTOTRACE_HOME=str(tmp_path))
        assert done.stdout == ""
        assert done.stderr.startswith("no traces yet: make some with `autotrace-run python app.py`")
        assert str(tmp_path / "traces.db") in done.stderr
        assert done.returncode == (command != ["traces"])
    assert json.loads(run("traces", "--json", "--home", str(tmp_path)).stdout)["data"] == []
    assert list(tmp_path.iterdir()) == []


def test_the_home_comes_from_the_environment_unless_given(home: str, tmp_path: Path) -> None:
    assert "463ac35c" in run("traces", AUTOTRACE_HOME=home).stdout
    assert "463ac35c" in run("traces", "--home", home, AUTOTRACE_HOME=str(tmp_path)).stdout
    assert "463ac35c" in run("--home", home, "traces", AUTOTRACE_HOME=str(tmp_path)).stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["traces", "--limit", "0"], "not a positive number: '0'"),
        (["traces", "--min-duration", "5"], "not a duration: '5'"),
        (["paint"], "invalid choice: 'paint'"),
        ([], "required: COMMAND"),
        (["show"], "required: TRACE"),
    ],
)
def test_misuse_exits_with_2(arguments: list[str], problem: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert problem in done.stderr


def test_version() -> None:
    assert run("--version").stdout == f"autotrace {autotrace.__version__}\n"


def test_a_store_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "traces.db").write_text("nothing of ours" * 100)
    done = run("traces", "--home", str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "autotrace: store is corrupt\n")


def test_a_reader_that_goes_away_is_no_error(home: str) -> None:
    command = f"{sys.executable} -m autotrace.cli.main traces --home {home} --limit 1000 --json; echo $? >&2"
    environ = {**os.environ, "PYTHONPATH": str(Path(autotrace.__file__).parents[1])}
    done = subprocess.run(
        f"({command}) | true",
        shell=True,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr in ("141\n", "0\n")  # 0: all was written before `true` had ended

    reading, writing = os.pipe()
    os.close(reading)
    gone = subprocess.run(
        command, shell=True, env=environ, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(writing)
    assert gone.stderr == b"141\n"


def test_a_terminal_without_unicode_gets_ascii(home: str) -> None:
    done = run("show", "aaaa2", "--home", home, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.stdout.isascii()
    assert "`- ! stock  SELECT stock" in done.stdout


def test_it_starts_fast() -> None:
    """No part of a tracer is imported, and nothing heavy."""
    code = "import sys, autotrace.cli.main; print(*sys.modules)"
    environ = {**os.environ, "PYTHONPATH": str(Path(autotrace.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert loaded.isdisjoint(
        {"opentelemetry", "sqlite3", "logging", "asyncio", "ssl", "socket", "inspect", "dataclasses"}
    )
