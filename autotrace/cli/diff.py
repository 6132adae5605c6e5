"""`autotrace diff`: two traces side by side."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from autotrace.analysis import Trace
from autotrace.analysis.comparison import compare
from autotrace.cli.show import identified
from autotrace.cli.source import add_source_to, opened
from autotrace.store.quantities import MILLISECOND, count, format_duration, format_time, full_id, short_id
from autotrace.store.style import Style, width_of
from autotrace.store.text import cut, one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from typing import Any, Final

    from autotrace.analysis.comparison import Difference, Side

_TIME: Final = 8
_HEADINGS: Final = f"{'FIRST':>{_TIME}} {'SECOND':>{_TIME}} {'CHANGE':>{_TIME + 1}}  {'CALLS':<8}"
_MIN_NAME: Final = 20
_NOTABLE: Final = 0.1
"""Of what it took in the first trace: a smaller change is none to look at."""


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the subcommand."""
    parser = commands.add_parser(
        "diff",
        parents=[common],
        help="compare two traces",
        description="Compare two traces, operation by operation: `+` marks what only the second has, `-` "
        "what only the first has, `!` what took a tenth and a millisecond longer, or failed more often.",
    )
    for name in ("first", "second"):
        parser.add_argument(name, metavar="TRACE", help="a trace id, the first digits of one, or `last`")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON: {data: [{service, operation, depth, first, second}], first, second}, of each the "
        "calls, errors, duration and selfTime, or traceID, startTime, duration, spans and errors; times in "
        "microseconds",
    )
    add_source_to(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare."""
    traces = []
    with opened(arguments) as source:
        for wanted in (arguments.first, arguments.second):
            spans = identified(source, wanted, arguments)
            if isinstance(spans, int):
                return spans
            traces.append(Trace(spans))
    first, second = traces
    found = compare(first.tree, second.tree)
    if arguments.json:
        json.dump(_as_json(first, second, found), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        for line in report(
            first, second, found, width_of(sys.stdout, os.environ), Style.of(sys.stdout, os.environ)
        ):
            sys.stdout.write(line + "\n")
    return 0


def report(
    first: Trace, second: Trace, found: Sequence[Difference], width: int, style: Style
) -> Iterator[str]:
    """The lines, at most `width` columns each where that is possible at all."""
    for name, trace in (("first", first), ("second", second)):
        errors = f", {count(trace.errors, 'error')}" if trace.errors else ""
        yield style.text(
            f"{name:<6}  {short_id(int(trace.trace_id, 16))}  {format_time(trace.start)}"
            f"  {format_duration(trace.duration)}, {count(len(trace.spans), 'span')}{errors}"
        )
    yield ""
    yield style.dim(f"{_HEADINGS}   OPERATION")
    service = ""
    for each in found:
        name = one_line(each.name)
        if each.service != service or not each.depth:
            service = each.service
            name = f"{one_line(service)}  {name}"
        mark = _mark(each)
        change = f"{_change(each.duration):>{_TIME + 1}}"
        figures = style.text(f"{_short(each.first)} {_short(each.second)} {change}  {_calls(each):<8}")
        room = max(_MIN_NAME, width - len(_HEADINGS) - 3)
        text = cut(f"{'  ' * each.depth}{name}", room, style.ellipsis)
        line = f"{figures} {mark} {text}"
        yield style.red(line) if mark == "!" else line


def _mark(each: Difference) -> str:
    if not each.first.calls:
        return "+"
    if not each.second.calls:
        return "-"
    notable = max(MILLISECOND, each.first.duration * _NOTABLE)
    return "!" if each.duration > notable or each.second.errors > each.first.errors else " "


def _short(side: Side) -> str:
    return f"{format_duration(side.duration) if side.calls else '':>{_TIME}}"


def _change(nanoseconds: int) -> str:
    if not nanoseconds:
        return "0"
    return f"{'+' if nanoseconds > 0 else '-'}{format_duration(abs(nanoseconds))}"


def _calls(each: Difference) -> str:
    calls = [f"{side.calls:,}" for side in (each.first, each.second) if side.calls]
    if calls[0] == calls[-1]:
        return "" if calls[0] == "1" else calls[0]
    return " > ".join(calls)


def _as_json(first: Trace, second: Trace, found: Sequence[Difference]) -> dict[str, Any]:
    return {
        "data": [
            {
                "service": each.service,
                "operation": each.name,
                "depth": each.depth,
                "first": _side(each.first),
                "second": _side(each.second),
            }
            for each in found
        ],
        "first": _summary(first),
        "second": _summary(second),
    }


def _side(side: Side) -> dict[str, int]:
    return {
        "calls": side.calls,
        "errors": side.errors,
        "duration": side.duration // 1000,
        "selfTime": side.self_time // 1000,
    }


def _summary(trace: Trace) -> dict[str, Any]:
    return {
        "traceID": full_id(int(trace.trace_id, 16)),
        "startTime": trace.start // 1000,
        "duration": trace.duration // 1000,
        "spans": len(trace.spans),
        "errors": trace.errors,
    }
