"""`autotrace stats`, `diff` and `graph --mermaid`, run as commands: on the local store, and on a server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_slow_and_graph import A, B, C, home, ours, printed, run
from viewer_server import span, write

from autotrace.store.files import database_in

if TYPE_CHECKING:
    from query_server import QueryServer

__all__ = ("home", "ours")


@pytest.mark.usefixtures("ours")
def test_figures_of_operations(home: Path) -> None:
    assert printed("stats", "--home", str(home), "--last", "1h") == [
        "10 calls, 10% failed, in 2 traces",
        "",
        "  CALLS     RATE ERRORS     P50    P90    P95    P99    MAX  OPERATION",
        "      2    2.0/h     0%  90.0ms  290ms  290ms  290ms  290ms  shop  POST",
        "      2    2.0/h     0%   100ms  300ms  300ms  300ms  300ms  shop  POST /orders",
        "      2    2.0/h     0%  1.00ms 1.00ms 1.00ms 1.00ms 1.00ms  shop  send mails",
        "      2    2.0/h    50%  88.0ms  288ms  288ms  288ms  288ms  stock  POST /take",
        "      2    2.0/h     0%  20.0ms 20.0ms 20.0ms 20.0ms 20.0ms  stock  SELECT items",
    ]
    by_service = printed("stats", "--home", str(home), "--last", "1h", "--by", "service")
    assert [line.split()[0] + " " + line.split()[-1] for line in by_service[2:]] == [
        "CALLS SERVICE",
        "6 shop",
        "4 stock",
    ]
    assert printed("stats", "--home", str(home), "--limit", "2")[-1] == "and 3 more"


@pytest.mark.usefixtures("ours")
def test_figures_of_what_matches(home: Path) -> None:
    def stats(*options: str) -> list[str]:
        out = json.loads(run("stats", "--home", str(home), "--json", *options)[1])
        return [f"{each['calls']} {each['operation']}" for each in out["data"]]

    assert stats("--service", "stock") == ["3 POST /take", "3 SELECT items"]
    assert stats("--operation", "POST /orders", "--min-duration", "200ms") == ["2 POST /orders"]
    assert stats("--errors", "--operation", "POST /take") == ["1 POST /take"]
    assert stats("--tag", "db.namespace=stock", "--service", "stock") == ["3 POST /take", "3 SELECT items"]
    assert stats("--tag", "db.namespace=nothing") == []
    assert run("stats", "--home", str(home), "--service", "nobody") == (0, "", "no trace matches\n")
    assert run("stats", "--tag", "nothing")[0] == 2


def test_figures_from_a_server(home: Path, ours: QueryServer) -> None:
    asked = ("stats", "--last", "1h", "--json")
    here, there = (
        json.loads(run(*asked, *where)[1]) for where in (("--home", str(home)), ("--from", ours.url))
    )
    assert there == here
    assert here["data"][0] == {
        "service": "shop",
        "operation": "POST",
        "calls": 2,
        "errors": 0,
        "traces": 2,
        "p50": 90_000,
        "p90": 290_000,
        "p95": 290_000,
        "p99": 290_000,
        "max": 290_000,
    }
    assert (here["traces"], here["spans"], here["complete"]) == (2, 10, True)


def test_without_a_store(tmp_path: Path) -> None:
    for command in (["stats"], ["diff", "last", "abc"]):
        _, out, err = run(*command, "--home", str(tmp_path))
        assert out == ""
        assert err.startswith("no traces yet:")


@pytest.mark.usefixtures("ours")
def test_two_traces(home: Path) -> None:
    lines = printed("diff", "--home", str(home), f"{A:032x}", f"{B:032x}"[:12])
    assert re.fullmatch(r"first   aaaa1111  \S+ \S+  100 ms, 5 spans", lines[0])
    assert re.fullmatch(r"second  bbbb2222  \S+ \S+  300 ms, 5 spans, 1 error", lines[1])
    assert lines[2:] == [
        "",
        "   FIRST   SECOND    CHANGE  CALLS      OPERATION",
        "  100 ms   300 ms   +200 ms           ! shop  POST /orders",
        " 90.0 ms   290 ms   +200 ms           !   POST",
        " 88.0 ms   288 ms   +200 ms           !     stock  POST /take",
        " 20.0 ms  20.0 ms         0                   SELECT items",
        " 1.00 ms  1.00 ms         0               shop  send mails",
    ]
    same = printed("diff", "--home", str(home), f"{A:032x}", f"{A:032x}")
    assert [line[18:30].split()[0] for line in same[4:]] == ["0"] * 5


def test_ways_that_only_one_trace_has(tmp_path: Path) -> None:
    path = Path(database_in(str(tmp_path), {}))
    path.parent.mkdir(exist_ok=True)
    hostile = "SELECT\n\x1b[31m red"
    write(path, [span(1 << 96, 1, 0, 0, 50), span(1 << 96, 2, 1, 10, 5, name="old")])
    write(
        path,
        [span(2 << 96, 1, 0, 0, 40), *(span(2 << 96, 2 + n, 1, 10 + n, 2, name=hostile) for n in range(3))],
    )
    lines = printed("diff", "--home", str(tmp_path), f"{1 << 96:032x}", "last")
    assert [line.split()[0] for line in lines[4:]] == ["50.0", "5.00", "6.00"]
    assert lines[5].endswith("-   old")
    assert " 3        +   SELECT" in lines[6]
    assert "\x1b" not in "".join(lines)
    out = json.loads(run("diff", "--home", str(tmp_path), f"{1 << 96:032x}", "last", "--json")[1])
    assert out["first"] == {
        "traceID": f"{1 << 96:032x}",
        "startTime": 1_700_000_000_000_000,
        "duration": 50_000,
        "spans": 2,
        "errors": 0,
    }
    assert out["data"][1] == {
        "service": "shop",
        "operation": "old",
        "depth": 1,
        "first": {"calls": 1, "errors": 0, "duration": 5_000, "selfTime": 5_000},
        "second": {"calls": 0, "errors": 0, "duration": 0, "selfTime": 0},
    }


def test_traces_that_are_not_there(home: Path, ours: QueryServer) -> None:
    code, out, err = run("diff", "--home", str(home), "last", "ffff")
    assert (code, out) == (1, "")
    assert err == "autotrace: no trace begins with 'ffff'; `autotrace traces` lists them\n"
    assert run("diff", "--from", ours.url, f"{A:032x}", f"{C:032x}")[0] == 0


@pytest.mark.usefixtures("ours")
def test_the_map_for_markdown(home: Path) -> None:
    lines = printed("graph", "--home", str(home), "--last", "1h", "--mermaid")
    assert lines[0] == "flowchart LR"
    nodes = dict(re.findall(r"  (n\d)([^ ].*)", "\n".join(lines)))
    assert sorted(nodes.values()) == ['("shop")', '("stock")', '[("postgresql stock")]', '[["kafka"]]']
    named = {number: re.sub(r"\W+", " ", node).strip() for number, node in nodes.items()}
    calls = re.findall(r'  (n\d) -->\|"(\d+ calls).*"\| (n\d)', "\n".join(lines))
    assert sorted((named[caller], count, named[called]) for caller, count, called in calls) == [
        ("shop", "2 calls", "kafka"),
        ("shop", "2 calls", "stock"),
        ("stock", "2 calls", "postgresql stock"),
    ]
    assert any(line.startswith("  linkStyle ") for line in lines)


def test_a_name_is_no_markup(tmp_path: Path) -> None:
    path = Path(database_in(str(tmp_path), {}))
    path.parent.mkdir(exist_ok=True)
    write(path, [span(1 << 96, 1, 0, 0, 50, service='a"] --> <b>`x`')])
    (line,) = printed("graph", "--home", str(tmp_path), "--mermaid")[1:]
    assert line == '  n0("a#34;#93; --#62; #60;b#62;#96;x#96;")'
