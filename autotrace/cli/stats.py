"""`autotrace stats`: how often operations ran, how long they took, and how many failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.analysis.operations import stored_traces, trace_of
from autotrace.analysis.statistics import Statistics, statistics
from autotrace.cli.arguments import positive
from autotrace.cli.filters import add_filters_to, query_of
from autotrace.cli.graph.figures import rate, share
from autotrace.cli.listing import tell
from autotrace.cli.progress import Progress
from autotrace.cli.source import REMOTE_TRACES, add_source_to, opened
from autotrace.store.quantities import SECOND, count, format_duration
from autotrace.store.text import cut, one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any, Final

    from autotrace.analysis.source import Source
    from autotrace.analysis.statistics import Figures
    from autotrace.store.search import Query
    from autotrace.store.style import Style

_TIME: Final = 6
"""Columns of a duration without its space: `52.4ms`, `12h04m`."""
_PERCENTILES: Final = ("P50", "P90", "P95", "P99", "MAX")
_HEADINGS: Final = f"{'CALLS':>7} {'RATE':>8} {'ERRORS':>6}  " + " ".join(
    f"{name:>{_TIME}}" for name in _PERCENTILES
)
_MIN_NAME: Final = 20


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the subcommand."""
    parser = commands.add_parser(
        "stats",
        parents=[common],
        help="tell how often operations ran, how long they took, and how many failed",
        description="Calls, rate, errors and percentiles of durations of each operation, in traces with a "
        "span that meets all conditions.",
    )
    add_filters_to(parser)
    parser.add_argument(
        "--by",
        choices=("operation", "service"),
        default="operation",
        help="what a line is about (default: operation)",
    )
    parser.add_argument("--limit", type=positive, default=50, metavar="N", help="lines (default: 50)")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON: {data: [{service, operation, calls, errors, traces, p50, p90, p95, p99, max}], "
        "traces, spans, seconds, complete}, times in microseconds",
    )
    add_source_to(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List."""
    query = query_of(arguments, REMOTE_TRACES)
    with opened(arguments) as source:
        found = (
            statistics((), "", "")
            if source is None
            else _counted(source, query, by_service=arguments.by == "service")
        )
        empty = source is None or (not found.traces and source.last() is None)
    # As for `graph`: rates are those of the time asked for, or else of all that there is.
    seconds = max(
        1.0, (arguments.last if found.complete and arguments.last else found.end - found.start) / SECOND
    )
    tell(
        arguments,
        lambda: _as_json(found, arguments.limit, seconds),
        lambda width, style: table(found, arguments.limit, seconds, width, style),
        empty=empty,
        found=bool(found.figures),
        newest="" if found.complete else count(found.traces, "trace"),
    )
    return 0


def table(found: Statistics, limit: int, seconds: float, width: int, style: Style) -> Iterator[str]:
    """The lines of the listing, at most `width` columns each where that is possible at all."""
    failed = sum(each.errors for each in found.figures)
    calls, traces = count(found.spans, "call"), count(found.traces, "trace")
    yield style.text(f"{calls}, {share(failed, found.spans)} failed, in {traces}")
    yield ""
    yield style.dim(f"{_HEADINGS}  {'OPERATION' if found.figures[0].operation else 'SERVICE'}")
    several = len({each.service for each in found.figures}) > 1
    for each in found.figures[:limit]:
        name = one_line(each.operation) or one_line(each.service)
        if several and each.operation:
            name = f"{one_line(each.service)}  {name}"
        room = max(_MIN_NAME, width - len(_HEADINGS) - 2)
        yield f"{_figures(each, seconds, style)}  {cut(name, room, style.ellipsis)}"
    if len(found.figures) > limit:
        yield style.dim(f"and {len(found.figures) - limit:,} more")


def _figures(each: Figures, seconds: float, style: Style) -> str:
    errors = f"{share(each.errors, each.calls):>6}"
    times = " ".join(map(_short, (each.p50, each.p90, each.p95, each.p99, each.max)))
    return (
        f"{each.calls:>7,} {rate(each.calls, seconds):>8} {style.red(errors) if each.errors else errors}"
        f"  {style.text(times)}"
    )


def _short(nanoseconds: int) -> str:
    return f"{format_duration(nanoseconds).replace(' ', ''):>{_TIME}}"


def _counted(source: Source, query: Query, *, by_service: bool) -> Statistics:
    from autotrace.store.reader import Reader  # noqa: PLC0415 - sqlite3, which may not have been built

    names = query.service, query.operation
    with Progress("traces") as progress:
        if isinstance(source, Reader):
            with source.snapshot() as connection:
                traces = progress.over(stored_traces(connection, query))
                return statistics(traces, *names, by_service=by_service)
        answer = source.traces(query)
        found = statistics(progress.over(map(trace_of, answer)), *names, by_service=by_service)
    return found._replace(complete=found.complete and len(answer) < query.limit)


def _as_json(found: Statistics, limit: int, seconds: float) -> dict[str, Any]:
    durations = ("p50", "p90", "p95", "p99", "max")
    return {
        "data": [
            {**each._asdict(), **{name: getattr(each, name) // 1000 for name in durations}}
            for each in found.figures[:limit]
        ],
        "traces": found.traces,
        "spans": found.spans,
        "seconds": seconds,
        "complete": found.complete,
    }
