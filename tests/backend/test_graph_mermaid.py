"""The map in Mermaid: by its structure, whatever the names are."""

from __future__ import annotations

import re

import pytest
from test_slow_and_graph import run

from autotrace.analysis.service_map import Place, ServiceMap, Share, Traffic
from autotrace.cli.graph import mermaid

HOSTILE = (
    'a"] --> b',
    "x\ny\r\nend",
    "`md`",
    "<script>alert(1)</script>",
    "|x| & ; %% note",
    "#quot;#35;",
    "\\\x1b[31m",
    "end",
    "a\u2028b\u202ec",
)
ENTITY = re.compile(r"#\d+;")
NODE = re.compile(r'  n\d+(\("[^"]*"\)|\[\("[^"]*"\)\]|\[\["[^"]*"\]\]|\["[^"]*"\])')
EDGE = re.compile(r'  n\d+ -->\|"[^"]*"\| n\d+')


def drawn(name: str, kind: str = "service", errors: int = 0) -> ServiceMap:
    caller, called = Place("web", "service"), Place(name, kind)
    shares = [Share(caller, 1, 0, 1), Share(called, 1, 0, 1)]
    return ServiceMap(shares, [Traffic(caller, called, 1200, errors, 1_000_000, 2_000_000)])


@pytest.mark.parametrize("kind", ["service", "database", "messaging", "external"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_a_name(name: str, kind: str) -> None:
    first, *nodes, edge = mermaid.flowchart(drawn(name, kind), 60.0)
    assert first == "flowchart LR"
    assert len(nodes) == 2
    assert all(NODE.fullmatch(node) for node in nodes)
    assert EDGE.fullmatch(edge)
    label = nodes[1].split('"')[1]
    assert not set(ENTITY.sub("", label)) & set("\"'`<>[](){}|#;&%\\\n\r\u2028")


def test_figures_of_a_call() -> None:
    lines = list(mermaid.flowchart(drawn("db", "database", errors=12), 60.0))
    assert lines == [
        "flowchart LR",
        '  n0("web")',
        '  n1[("db")]',
        '  n0 -->|"1,200 calls, 20/s, 1#37; errors, p50 1.00 ms, p95 2.00 ms"| n1',
        "  linkStyle 0 stroke:red",
    ]


def test_one_form_at_a_time() -> None:
    assert run("graph", "--mermaid", "--dot")[0] == 2
    assert run("graph", "--mermaid", "--json")[0] == 2
