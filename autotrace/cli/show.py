"""`autotrace show`: one trace as a tree with its timings."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from autotrace.cli.source import add_source_to, opened, say_empty
from autotrace.store import jaeger_json
from autotrace.store.quantities import count, format_time, full_id
from autotrace.store.render import MIN_WIDTH, render
from autotrace.store.style import Style, width_of

if TYPE_CHECKING:
    import argparse
    from typing import Any, Final

    from autotrace.analysis.source import Source
    from autotrace.store.records import SpanRecord

_LAST: Final = "last"
NOT_FOUND: Final = 1
_AMBIGUOUS: Final = 2
_MAX_CANDIDATES: Final = 10


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the subcommand."""
    parser = commands.add_parser(
        "show",
        parents=[common],
        help="show one trace",
        description="Show one trace as a tree with its timings.",
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace id, the first digits of one, or `last`")
    parser.add_argument(
        "--json", action="store_true", help="print the JSON that Jaeger's /api/traces/TRACE answers with"
    )
    parser.add_argument(
        "--width",
        type=int,
        default=0,
        metavar="N",
        help=f"columns to use, at least {MIN_WIDTH} (default: the terminal's)",
    )
    add_source_to(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show."""
    with opened(arguments) as source:
        spans = identified(source, arguments.trace, arguments)
    if isinstance(spans, int):
        return spans
    if arguments.json:
        json.dump(jaeger_json.envelope([jaeger_json.trace(spans)]), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    style = Style.of(sys.stdout, os.environ)
    for line in render(spans, arguments.width or width_of(sys.stdout, os.environ), style):
        sys.stdout.write(line + "\n")
    return 0


def identified(source: Source | None, wanted: str, arguments: argparse.Namespace) -> list[SpanRecord] | int:
    """The spans of the trace that `wanted` means; where it means none, or several, says so: the exit code."""
    last = None if source is None else source.last()
    if source is None or last is None:
        say_empty(arguments)
        return NOT_FOUND
    found = [last] if wanted == _LAST else source.find(wanted, _MAX_CANDIDATES + 1)
    if len(found) > 1:
        _list_candidates(source, wanted, found)
        return _AMBIGUOUS
    spans = source.trace(found[0]) if found else []
    if not spans:
        sys.stderr.write(f"autotrace: no trace begins with {wanted!r}; `autotrace traces` lists them\n")
        return NOT_FOUND
    return spans


def _list_candidates(source: Source, wanted: str, found: list[int]) -> None:
    many = f"more than {_MAX_CANDIDATES}" if len(found) > _MAX_CANDIDATES else str(len(found))
    sys.stderr.write(f"autotrace: {many} traces begin with {wanted!r}:\n")
    for trace_id in found[:_MAX_CANDIDATES]:
        summary = source.summary(trace_id)
        if summary is not None:
            sys.stderr.write(
                f"  {full_id(trace_id)}  {format_time(summary.start)}  {count(summary.spans, 'span')}"
                f"  {summary.root_service}  {summary.root_name}\n"
            )
