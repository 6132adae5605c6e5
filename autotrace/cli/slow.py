"""`autotrace slow`: the operations in which the time goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.analysis.operations import Ranking, ranking, stored_traces, trace_of
from autotrace.cli.arguments import positive
from autotrace.cli.filters import add_filters_to, query_of
from autotrace.cli.listing import tell
from autotrace.cli.progress import Progress
from autotrace.cli.source import REMOTE_TRACES, add_source_to, opened
from autotrace.store.quantities import count, format_duration, full_id, short_id
from autotrace.store.text import cut, one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any, Final

    from autotrace.analysis.operations import Work
    from autotrace.analysis.remote import Remote
    from autotrace.store.reader import Reader
    from autotrace.store.search import Query
    from autotrace.store.style import Style

_TIME: Final = 6
"""Columns of a duration without its space: `52.4ms`, `12h04m`."""
_HEADINGS: Final = (
    f"{'SELF':>{_TIME}}    %  {'CALLS':>6} {'ERRORS':>6}  {'P50':>{_TIME}} {'P95':>{_TIME}} {'MAX':>{_TIME}}"
    "  SLOWEST "
)
_WIDE: Final = 100
"""Columns from which on operations stand beside their figures; below, they have a line of their own."""
_MIN_NAME: Final = 20
_INDENT: Final = " " * 8


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the subcommand."""
    parser = commands.add_parser(
        "slow",
        parents=[common],
        help="list the operations in which the time goes",
        description="List operations by the time that their spans worked themselves, which is when no span "
        "under them was at work, in traces with a span that meets all conditions. The trace named is that "
        "of the longest call.",
    )
    add_filters_to(parser)
    parser.add_argument(
        "--limit", type=positive, default=20, metavar="N", help="operations to list (default: 20)"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON: {data: [{service, operation, selfTime, calls, errors, p50, p95, max, "
        "slowestTrace}], selfTime, traces, spans, complete}, times in microseconds",
    )
    add_source_to(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List."""
    query = query_of(arguments, REMOTE_TRACES)
    with opened(arguments) as reader:
        found = Ranking([], 0, 0, complete=True) if reader is None else _ranked(reader, query)
        empty = reader is None or (not found.traces and reader.last() is None)
    tell(
        arguments,
        lambda: _as_json(found, arguments.limit),
        lambda width, style: table(found, arguments.limit, width, style),
        empty=empty,
        found=bool(found.work),
        newest="" if found.complete else count(found.traces, "trace"),
    )
    return 0


def table(found: Ranking, limit: int, width: int, style: Style) -> Iterator[str]:
    """The lines of the listing, at most `width` columns each where that is possible at all."""
    total = sum(each.self_time for each in found.work)
    services = {each.service for each in found.work}
    where = f" of {one_line(next(iter(services)))}" if len(services) == 1 else ""
    yield style.text(
        f"{format_duration(total)} in {count(len(found.work), 'operation')}{where},"
        f" {count(found.traces, 'trace')}, {count(found.spans, 'span')}"
    )
    yield ""
    yield style.dim(f"{_HEADINGS}  OPERATION" if width >= _WIDE else _HEADINGS)
    for each in found.work[:limit]:
        figures = _figures(each, total, style)
        name = one_line(each.operation)
        if len(services) > 1:
            name = f"{one_line(each.service)}  {name}"
        if width >= _WIDE:
            yield f"{figures}  {cut(name, width - len(_HEADINGS) - 2, style.ellipsis)}"
        else:
            yield figures
            yield _INDENT + cut(name, max(_MIN_NAME, width - len(_INDENT)), style.ellipsis)
    if len(found.work) > limit:
        yield style.dim(f"and {len(found.work) - limit:,} more")


def _figures(work: Work, total: int, style: Style) -> str:
    share = f"{100 * work.self_time / total:3.0f}" if total else "  0"
    errors = f"{work.errors:>6}"
    return (
        f"{style.bold(style.text(_short(work.self_time)))}  {share}  {work.calls:>6}"
        f" {style.red(errors) if work.errors else errors}"
        f"  {style.text(f'{_short(work.p50)} {_short(work.p95)} {_short(work.max)}')}"
        f"  {style.bold(short_id(work.slowest))}"
    )


def _short(nanoseconds: int) -> str:
    return f"{format_duration(nanoseconds).replace(' ', ''):>{_TIME}}"


def _ranked(reader: Reader | Remote, query: Query) -> Ranking:
    from autotrace.store.reader import Reader  # noqa: PLC0415 - sqlite3, which may not have been built

    with Progress("traces") as progress:
        if isinstance(reader, Reader):
            with reader.snapshot() as connection:
                traces = progress.over(stored_traces(connection, query))
                return ranking(traces, query.service, query.operation)
        answer = reader.traces(query)
        found = ranking(progress.over(map(trace_of, answer)), query.service, query.operation)
    return found._replace(complete=found.complete and len(answer) < query.limit)


def _as_json(found: Ranking, limit: int) -> dict[str, Any]:
    return {
        "data": [
            {
                "service": each.service,
                "operation": each.operation,
                "selfTime": each.self_time // 1000,
                "calls": each.calls,
                "errors": each.errors,
                "p50": each.p50 // 1000,
                "p95": each.p95 // 1000,
                "max": each.max // 1000,
                "slowestTrace": full_id(each.slowest),
            }
            for each in found.work[:limit]
        ],
        "selfTime": sum(each.self_time for each in found.work) // 1000,
        "traces": found.traces,
        "spans": found.spans,
        "complete": found.complete,
    }
