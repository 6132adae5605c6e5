"""How a trace looks."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind, StatusCode
from spans import START, finished_spans
from stores import record

from autotrace.export.records import Records
from autotrace.store.highlights import highlights
from autotrace.store.render import MIN_WIDTH, render
from autotrace.store.style import Style
from autotrace.store.text import columns, cut
from autotrace.tracing.resource import Resource
from autotrace.tracing.span import Event

if TYPE_CHECKING:
    from autotrace.store.records import SpanRecord

MS = 1_000_000
SHOP, BANK = Resource({"service.name": "shop"}), Resource({"service.name": "bank"})
FAILED = {"status_code": StatusCode.ERROR}


def span(number: int, parent: int, name: str, at: float, milliseconds: float, **fields: Any) -> SpanRecord:
    start = START + int(at * MS)
    fields.setdefault("resource", SHOP)
    return record(
        span_id=number,
        parent_id=parent,
        name=name,
        start_time=start,
        end_time=start + int(milliseconds * MS),
        **fields,
    )


def exception(at: float) -> Event:
    facts = {
        "exception.type": "bank.Declined",
        "exception.message": "no\nmoney",
        "exception.stacktrace": "...",
    }
    return Event("exception", START + int(at * MS), facts)


STATEMENT = {"db.query.text": "SELECT id\n  FROM carts"}
CHARGE = {"url.full": "http://bank:1/charge"}
MISS = [Event("cache.miss", START + 6 * MS, {"key": "k1"})]
CHECKOUT = [
    span(1, 0, "POST /checkout", 0, 50, attributes={"http.response.status_code": 502}, **FAILED),
    span(2, 1, "SELECT carts", 5, 10, kind=SpanKind.CLIENT, attributes=STATEMENT, events=MISS),
    span(3, 1, "POST", 20, 25, kind=SpanKind.CLIENT, attributes=CHARGE, **FAILED),
    span(4, 3, "POST /charge", 22.5, 20, resource=BANK, events=[exception(40)], **FAILED),
    span(5, 4, "authorize", 25, 0.01, resource=BANK, events=[exception(40)], **FAILED),
    span(6, 0xBAD, "lost", 45, 5),
]
PICTURE = """
✗ shop  POST /checkout  502                                        0   50.0 ms  ━━━━━━━━━━━━━━━━━━━━
├─ SELECT carts  SELECT id FROM carts                        5.00 ms   10.0 ms    ━━━━
│     · 6.00 ms  cache.miss  key=k1
└─ ✗ POST  bank:1/charge                                     20.0 ms   25.0 ms          ━━━━━━━━━━
   └─ ✗ bank  POST /charge                                   22.5 ms   20.0 ms           ━━━━━━━━
      └─ ✗ authorize                                         25.0 ms   10.0 µs            ╸
            ✗ bank.Declined: no money

shop  lost                                                   45.0 ms   5.00 ms                    ━━
   (its parent 0000000000000bad is not here)
"""


def drawn(spans: list[SpanRecord], width: int = 100, **style: bool) -> list[str]:
    return list(render(spans, width, Style(**style)))


def test_the_whole_picture() -> None:
    lines = drawn(CHECKOUT)
    assert lines[0] == "trace ff00aa11bb22cc330123456789abcdef"
    assert lines[1].endswith("   50.0 ms   6 spans   2 services   4 errors")
    assert lines[2:] == PICTURE.splitlines()


def test_plain_terminals_get_ascii() -> None:
    soon = span(7, 1, "quick", 1, 1, events=[Event("e", START + 50_000, {})])
    lines = drawn([*CHECKOUT, soon], unicode=False)
    assert all(line.isascii() for line in lines)
    assert lines[3].startswith("! shop  POST /checkout  502")
    assert lines[4].startswith("|- quick")
    assert lines[5].split() == ["|", "-", "50.0", "us", "e"]
    assert lines[10].split() == ["`-", "!", "authorize", "25.0", "ms", "10.0", "us", "="]


def test_colours_change_nothing_but_colours() -> None:
    coloured = drawn(CHECKOUT, colour=True)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in coloured] == drawn(CHECKOUT)
    assert "\x1b[31m✗ bank.Declined: no money\x1b[0m" in "\n".join(coloured)


@pytest.mark.parametrize("width", [40, 79, 80, 100, 250])
def test_no_line_is_wider_than_it_may_be(width: int) -> None:
    wide = span(9, 1, "SELECT " + "x" * 300, 1, 2, attributes={"db.query.text": "y" * 300}, events=[
        Event("z" * 300, START, {"key": "w" * 300})
    ])  # fmt: skip
    assert max(columns(line) for line in drawn([*CHECKOUT, wide], width)) <= width


@settings(deadline=None)
@given(st.lists(finished_spans(), min_size=1, max_size=6), st.integers(1, 200), st.booleans())
def test_any_spans_can_be_drawn(spans: list[Any], width: int, unicode: bool) -> None:
    records = Records()
    lines = drawn([records.of(each)._replace(trace_id=1) for each in spans], width, unicode=unicode)
    assert all("\n" not in line and "\x1b" not in line for line in lines)
    assert all(columns(line) <= max(width, MIN_WIDTH) for line in lines)


def test_a_deep_tree_leaves_room_for_names() -> None:
    lines = drawn([span(number, number - 1, f"n{number}", 0, 1) for number in range(1, 300)])
    assert "n299" in lines[-1]
    assert columns(lines[-1]) <= 100


def test_times_that_nobody_knows() -> None:
    spans = [span(1, 0, "a", 0, 1)._replace(start=0, duration=None), span(2, 1, "b", 0, 1)]
    lines = drawn(spans)
    assert lines[3].split() == ["shop", "a", "?", "?"]
    assert drawn(spans[:1])[1] == "?   0   1 span   1 service"


def test_escape_sequences_do_not_reach_the_terminal() -> None:
    evil = span(1, 0, "\x1b[2J\x07name\r\nnext", 0, 1, attributes={"k": "\x1b]0;title\x07"})
    text = "\n".join(drawn([evil]))
    assert "\x1b" not in text
    assert "\\x1b[2J\\x07name next" in text


SERVER, CLIENT, PRODUCER = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER


@pytest.mark.parametrize(
    ("kind", "name", "attributes", "text"),
    [
        (SERVER, "GET /a", {"http.response.status_code": 200, "url.path": "/a"}, "200"),
        (SERVER, "GET /{id}", {"http.status_code": 404, "http.target": "/7"}, "404  /7"),
        (CLIENT, "GET", {"url.full": "https://h/p?q=1"}, "h/p?q=1"),
        (CLIENT, "SELECT", {"db.statement": "SELECT  1"}, "SELECT 1"),
        (PRODUCER, "send", {"messaging.destination.name": "orders"}, "orders"),
        (
            SpanKind.INTERNAL,
            "own",
            {"code.function.name": "f", "a": 1, "b": "x\ny", "c": (1, 2)},
            "a=1  b=x y  c=(1, 2)",
        ),
        (SpanKind.INTERNAL, "own", {}, ""),
    ],
)
def test_highlights(kind: SpanKind, name: str, attributes: dict[str, Any], text: str) -> None:
    assert highlights(record(kind=kind, name=name, attributes=attributes)) == text


class Terminal(io.StringIO):
    encoding = "UTF-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "coloured"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colours_only_where_they_are_wanted(stream: Any, environ: dict[str, str], coloured: bool) -> None:
    style = Style.of(stream, environ)
    assert style.red("x") == ("\x1b[31mx\x1b[0m" if coloured else "x")


def test_text_is_cut_in_columns() -> None:
    assert columns("日本") == 4
    assert columns("e\u0301") == 1
    assert cut("日本語", 5, "…") == "日本…"
    assert cut("日本語", 4, "…") == "日…"
    assert cut("abc", 3, "…") == "abc"
    assert cut("abcdef", 5, "...") == "ab..."
    assert cut("abcdef", 2, "...") == ""
