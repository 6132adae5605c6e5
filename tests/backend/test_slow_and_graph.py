"""`autotrace slow` and `autotrace graph`, run as commands: on the local store, and on the two query APIs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from query_server import QueryServer, query_server
from viewer_server import CLIENT, MS, START, span, write

import autotrace
from autotrace.analysis.service_map import Place, ServiceMap, Share, Traffic
from autotrace.cli.graph import text
from autotrace.cli.graph.figures import rate, share
from autotrace.store.files import database_in
from autotrace.store.records import KIND_PRODUCER
from autotrace.store.style import Style
from autotrace.store.text import columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotrace.store.records import SpanRecord

NOW = (time.time_ns() // MS - 60_000 - START // MS) * 1.0
"""A minute ago, in milliseconds after the start that `span` counts from."""
OLD = NOW - 7_200_000
A, B, C = 0xAAAA1111 << 96, 0xBBBB2222 << 96, 0xCCCC3333CCCC3333


def order(trace: int, at: float, took: float, *, fails: bool = False) -> list[SpanRecord]:
    """A request of the shop's, which spends 10 ms itself."""
    database = {"db.system.name": "postgresql", "db.namespace": "stock"}
    return [
        span(trace, 1, 0, at, took, "shop", "POST /orders"),
        span(trace, 2, 1, at + 5, took - 10, "shop", "POST", CLIENT, attributes={"server.address": "stock"}),
        span(trace, 3, 2, at + 6, took - 12, "stock", "POST /take", error=fails),
        span(trace, 4, 3, at + 7, 20, "stock", "SELECT items", CLIENT, attributes=database),
        span(trace, 5, 1, at + took - 2, 1, "shop", "send mails", KIND_PRODUCER,
             attributes={"messaging.system": "kafka"}),
    ]  # fmt: skip


SPANS = [*order(C, OLD, 900), *order(A, NOW, 100), *order(B, NOW + 1000, 300, fails=True)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def ours(home: Path) -> Iterator[QueryServer]:
    path = Path(database_in(str(home), {}))
    path.parent.mkdir(exist_ok=True)
    write(path, SPANS)
    with query_server(path.parent) as server:
        yield server


def run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    done = subprocess.run(
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
    return done.returncode, done.stdout, done.stderr


def printed(*arguments: str) -> list[str]:
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    return out.splitlines()


@pytest.mark.usefixtures("ours")
def test_where_the_time_goes(home: Path) -> None:
    assert printed("slow", "--home", str(home)) == [
        "1.30 s in 5 operations, 3 traces, 15 spans",
        "",
        "  SELF    %   CALLS ERRORS     P50    P95    MAX  SLOWEST   OPERATION",
        " 1.20s   93       3      1   288ms  888ms  888ms  cccc3333  stock  POST /take",
        "60.0ms    5       3      0  20.0ms 20.0ms 20.0ms  bbbb2222  stock  SELECT items",
        "27.0ms    2       3      0   300ms  900ms  900ms  cccc3333  shop  POST /orders",
        "6.00ms    0       3      0   290ms  890ms  890ms  cccc3333  shop  POST",
        "3.00ms    0       3      0  1.00ms 1.00ms 1.00ms  bbbb2222  shop  send mails",
    ]
    assert printed("slow", "--home", str(home), "--service", "stock", "--last", "1h", "--limit", "1") == [
        "376 ms in 2 operations of stock, 2 traces, 10 spans",
        "",
        "  SELF    %   CALLS ERRORS     P50    P95    MAX  SLOWEST   OPERATION",
        " 336ms   89       2      1  88.0ms  288ms  288ms  bbbb2222  POST /take",
        "and 1 more",
    ]
    assert printed("slow", "--home", str(home), "--operation", "POST /orders")[-1].startswith("27.0ms  100 ")


@pytest.mark.usefixtures("ours")
def test_the_slowest_trace_can_be_shown(home: Path) -> None:
    (work,) = json.loads(run("slow", "--home", str(home), "--limit", "1", "--since", "1h", "--json")[1])[
        "data"
    ]
    assert work == {
        "service": "stock",
        "operation": "POST /take",
        "selfTime": 336_000,
        "calls": 2,
        "errors": 1,
        "p50": 88_000,
        "p95": 288_000,
        "max": 288_000,
        "slowestTrace": f"{B:032x}",
    }
    assert printed("show", "--home", str(home), work["slowestTrace"])[0] == f"trace {B:032x}"


@pytest.mark.usefixtures("ours")
def test_who_calls_whom(home: Path) -> None:
    assert printed("graph", "--home", str(home), "--last", "1h") == [
        "                                    CALLS      RATE  ERRORS      P50      P95",
        "shop",
        "├─ kafka  messaging                     2     2.0/h      0%  1.00 ms  1.00 ms",
        "└─ stock                                2     2.0/h     50%  88.0 ms   288 ms",
        "   └─ postgresql stock  database        2     2.0/h      0%  20.0 ms  20.0 ms",
    ]
    around_kafka = printed("graph", "--home", str(home), "--service", "kafka")
    assert [line.split()[:2] for line in around_kafka[1:]] == [["shop"], ["└─", "kafka"]]
    answer = json.loads(run("graph", "--home", str(home), "--json")[1])
    assert [(edge["from"], edge["to"], edge["calls"]) for edge in answer["edges"]] == [
        ("shop", "kafka", 3),
        ("shop", "stock", 3),
        ("stock", "postgresql stock", 3),
    ]
    assert 7200 < answer["seconds"] < 7203


@pytest.mark.usefixtures("ours")
def test_the_map_of_the_traces_that_match(home: Path) -> None:
    def calls(*filters: str) -> list[tuple[str, int, int]]:
        answer = json.loads(run("graph", "--home", str(home), "--json", *filters)[1])
        return [(f"{edge['from']} {edge['to']}", edge["calls"], edge["errors"]) for edge in answer["edges"]]

    everywhere = ["shop kafka", "shop stock", "stock postgresql stock"]
    assert [name for name, *_ in calls("--errors")] == everywhere
    assert calls("--errors", "--service", "stock") == [("shop stock", 1, 1), ("stock postgresql stock", 1, 0)]
    assert calls("--operation", "POST /take", "--min-duration", "200ms")[1] == ("shop stock", 2, 1)
    assert calls("--operation", "POST /take", "--max-duration", "100ms")[1] == ("shop stock", 1, 0)
    assert calls("--tag", "db.namespace=stock", "--service", "stock")[0] == ("shop stock", 3, 1)
    assert calls("--tag", "db.namespace=stock", "--service", "shop") == []
    # Places that send no spans have neighbours, too; the conditions are then those of anybody's spans.
    assert calls("--service", "kafka", "--errors") == [("shop kafka", 1, 0)]


@pytest.mark.usefixtures("ours")
def test_the_map_for_graphviz(home: Path) -> None:
    first, *lines, last = printed("graph", "--home", str(home), "--dot")
    assert (first, last) == ("digraph autotrace {", "}")
    assert '  "database postgresql stock" [label="postgresql stock", shape=cylinder];' in lines
    (call,) = (line for line in lines if '"service shop" -> "service stock"' in line)
    assert re.search(r'\[label="3 calls, 1\.5/h, 33% errors\\np50 288 ms, p95 888 ms", color=red\];$', call)


QUESTIONS = (
    ["slow", "--last", "1d"],
    ["slow", "--last", "1d", "--json"],
    ["slow", "--last", "1h", "--service", "stock"],
    ["slow", "--last", "1d", "--service", "nobody"],
    ["graph", "--last", "1d"],
    ["graph", "--last", "1d", "--service", "stock"],
    ["graph", "--last", "1h", "--dot"],
    ["graph", "--last", "1d", "--errors"],
    ["graph", "--last", "1d", "--operation", "POST /take", "--min-duration", "200ms"],
    ["graph", "--last", "1d", "--tag", "messaging.system=kafka", "--service", "shop"],
)


def test_from_jaeger_as_from_the_local_store(ours: QueryServer, home: Path) -> None:
    for question in QUESTIONS:
        assert run(*question, "--from", ours.url) == run(*question, "--home", str(home)), question


def test_from_zipkin_as_from_the_local_store(ours: QueryServer, home: Path) -> None:
    """Which writes names in small letters."""
    for question in QUESTIONS:
        code, out, err = run(*question, "--home", str(home))
        theirs = run(*question, "--from", f"{ours.url}/zipkin")
        assert (theirs[0], theirs[1].lower(), theirs[2]) == (code, out.lower(), err), question


def test_nothing_there(ours: QueryServer, home: Path, tmp_path: Path) -> None:
    for command in ("slow", "graph"):
        code, out, err = run(command, AUTOTRACE_HOME=str(tmp_path))
        assert (code, out) == (0, "")
        assert err.startswith("no traces yet: make some with `autotrace-run python app.py`")
        for option in (["--last", "1ms"], ["--service", "nobody"]):
            assert run(command, "--home", str(home), *option) == (0, "", "no trace matches\n")
    assert json.loads(run("slow", "--home", str(tmp_path), "--json")[1])["data"] == []
    assert json.loads(run("graph", "--home", str(tmp_path), "--json")[1])["edges"] == []
    assert run("graph", "--home", str(tmp_path), "--dot")[1].endswith("\n}\n")
    assert list(tmp_path.iterdir()) == []
    code, out, err = run("slow", "--from", f"{ours.url}/nowhere")
    assert (code, out) == (1, "")
    assert "is neither the query API of Jaeger nor that of Zipkin" in err
    assert run("slow", "--last", "soon")[0] == 2
    assert run("graph", "--dot", "--json")[0] == 2


@pytest.mark.usefixtures("ours")
def test_a_terminal_without_unicode_gets_ascii(home: Path) -> None:
    for command in ("slow", "graph"):
        code, out, _ = run(command, "--home", str(home), PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert code == 0
        assert out.isascii()


def service(name: str) -> Place:
    return Place(name, "service")


def drawn(*calls: tuple[str, str]) -> ServiceMap:
    traffic = [Traffic(service(caller), service(called), 7, 0, 1000, 2000) for caller, called in calls]
    return ServiceMap([Share(service(name), 1, 0, 1) for name in sorted({*sum(calls, ())})], traffic)


def lines_of(drawn: ServiceMap, width: int = 100) -> list[str]:
    lines = list(text.drawing(drawn, 60.0, width, Style()))
    assert max(map(columns, lines)) <= width
    return lines


def tree(*calls: tuple[str, str]) -> list[str]:
    """Without the figures."""
    heading, *lines = lines_of(drawn(*calls))
    return [line[: heading.index("    CALLS")].rstrip() for line in lines]


def test_what_is_called_twice_is_drawn_once() -> None:
    assert tree(("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e")) == [
        "a",
        "├─ b",
        "│  └─ d",
        "│     └─ e",
        "└─ c",
        "   └─ d  (see above)",
    ]


def test_circles_have_an_end() -> None:
    assert tree(("a", "b"), ("b", "a"), ("c", "d")) == [
        "c",
        "└─ d",
        "a",
        "└─ b",
        "   └─ a  (see above)",
    ]


def test_many_services_are_a_table() -> None:
    calls = drawn(*(("gateway-of-the-whole-shop", f"service-number-{number:02}") for number in range(30)))
    calls = calls._replace(shares=[*calls.shares, Share(service("alone"), 1, 0, 1)])
    lines = lines_of(calls)
    assert len(lines) == 32
    assert lines[1] == (
        "gateway-of-the-whole-shop → service-number-00        7   7.0/min      0%  1.00 µs  2.00 µs"
    )
    assert lines[-1] == "alone"
    assert "gate…-whole-shop → serv…e-number-00        7 " in lines_of(calls, 80)[1]


def test_rates_and_shares() -> None:
    assert [rate(calls, 3600) for calls in (0, 1, 59, 60, 3600, 36_000_000)] == [
        "0.0/d",
        "1.0/h",
        "59/h",
        "1.0/min",
        "1.0/s",
        "10,000/s",
    ]
    assert [share(errors, 1000) for errors in (0, 1, 10, 999, 1000)] == ["0%", "<1%", "1%", "99%", "100%"]


def test_more_traces_than_a_server_is_asked_for(tmp_path: Path) -> None:
    path = Path(database_in(str(tmp_path), {}))
    path.parent.mkdir(exist_ok=True)
    write(path, [span(number, 1, 0, NOW + number, 1) for number in range(1, 502)])
    with query_server(path.parent) as server:
        for command, looked_at in (("slow", "500 traces"), ("graph", "500 spans")):
            code, out, err = run(command, "--from", server.url)
            assert (code, err) == (0, f"looked at the newest {looked_at} only; `--last` narrows the time\n")
            assert out
        assert json.loads(run("slow", "--from", server.url, "--json")[1])["complete"] is False
        assert "newest 500 spans" in json.loads(run("graph", "--from", server.url, "--json")[1])["note"]
    assert (
        printed("slow", "--home", str(tmp_path))[0] == "501 ms in 1 operation of shop, 501 traces, 501 spans"
    )


@pytest.mark.usefixtures("ours")
def test_as_wide_as_one_wants(home: Path) -> None:
    def widest(**environ: str) -> int:
        return max(map(len, run("show", "--home", str(home), "last", **environ)[1].splitlines()))

    usual = widest(COLUMNS="")
    assert (widest(COLUMNS="72"), widest(COLUMNS="160")) == (72, 160)
    assert {widest(COLUMNS=width) for width in ("0", "-1", "wide", "1" * 5000)} == {usual}
