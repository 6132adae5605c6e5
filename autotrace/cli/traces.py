"""`autotrace traces`: a listing of the newest traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.cli.arguments import positive
from autotrace.cli.filters import add_filters_to, query_of
from autotrace.cli.listing import tell
from autotrace.cli.source import add_source_to, opened
from autotrace.store.jaeger_json import envelope
from autotrace.store.quantities import format_duration, format_time, full_id, short_id
from autotrace.store.text import cut, one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import Any, Final

    from autotrace.store.reader import TraceSummary
    from autotrace.store.style import Style

_HEADINGS: Final = f"{'TRACE':<8}  {'STARTED':<19}  {'DURATION':>9}  {'SPANS':>6}  {'SERVICES':>8}  ROOT"
_ROOT_AT: Final = len(_HEADINGS) - len("ROOT")
_SECONDS: Final = len("2026-01-31 12:00:00")


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the subcommand."""
    parser = commands.add_parser(
        "traces",
        parents=[common],
        help="list the newest traces",
        description="List the newest traces in which one span meets all conditions.",
    )
    add_filters_to(parser)
    parser.add_argument(
        "--limit", type=positive, default=20, metavar="N", help="traces to list (default: 20)"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON: {data: [{traceID, startTime, duration, spans, errors, rootService, rootOperation, "
        "services}]}, times in microseconds",
    )
    add_source_to(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List."""
    query = query_of(arguments, arguments.limit)
    with opened(arguments) as reader:
        found = reader.search(query) if reader is not None else []
        empty = reader is None or reader.last() is None
    tell(
        arguments,
        lambda: envelope([as_json(summary) for summary in found]),
        lambda width, style: table(found, width, style),
        empty=empty,
        found=bool(found),
    )
    return 0


def table(found: Iterable[TraceSummary], width: int, style: Style) -> Iterator[str]:
    """The lines of the listing, at most `width` columns each."""
    yield style.dim(_HEADINGS)
    for trace in found:
        numbers = style.text(
            f"{format_time(trace.start)[:_SECONDS]:<{_SECONDS}}  {format_duration(trace.duration):>9}"
            f"  {trace.spans:>6,}  {len(trace.services):>8}  "
        )
        mark = f"{style.cross} " if trace.errors else ""
        root = cut(
            f"{mark}{one_line(trace.root_service)}  {one_line(trace.root_name)}",
            max(20, width - _ROOT_AT),
            style.ellipsis,
        )
        yield f"{style.bold(short_id(trace.trace_id))}  {numbers}{style.red(root) if trace.errors else root}"


def as_json(trace: TraceSummary) -> dict[str, Any]:
    """The summary of a trace, times in microseconds."""
    return {
        "traceID": full_id(trace.trace_id),
        "startTime": trace.start // 1000,
        "duration": trace.duration // 1000,
        "spans": trace.spans,
        "errors": trace.errors,
        "rootService": trace.root_service,
        "rootOperation": trace.root_name,
        "services": list(trace.services),
    }
