"""The subcommand: which map is asked for, and in which form."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

from autotrace.analysis.map_document import document
from autotrace.analysis.queries import sampled
from autotrace.analysis.service_map import Sample, around, service_map
from autotrace.cli.filters import add_filters_to, query_of
from autotrace.cli.graph import dot, mermaid, text
from autotrace.cli.source import REMOTE_TRACES, add_source_to, opened, say_empty
from autotrace.store.quantities import SECOND, count
from autotrace.store.style import Style, width_of

if TYPE_CHECKING:
    import argparse
    from typing import Any


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the subcommand."""
    parser = commands.add_parser(
        "graph",
        parents=[common],
        help="draw which service calls which",
        description="Draw which service calls which, and the databases, queues and other peers that they "
        "talk to, with calls, rate, errors and percentiles of their durations, in traces with a span that "
        "meets all conditions. With --service it is that one, or a database or queue, and its neighbours.",
    )
    add_filters_to(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json",
        action="store_true",
        help="print JSON: {services: [{name, kind, spans, errors, traces}], "
        "edges: [{from, to, calls, errors, p50, p95}], seconds}, durations in microseconds",
    )
    form.add_argument("--dot", action="store_true", help="print Graphviz DOT, for `dot -Tsvg`")
    form.add_argument("--mermaid", action="store_true", help="print Mermaid, for Markdown pages")
    add_source_to(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw."""
    query, end = query_of(arguments, REMOTE_TRACES), time.time_ns()
    start = query.start
    with opened(arguments) as reader:
        sample = Sample([], 0, 0, complete=True) if reader is None else sampled(reader, query)
        empty = reader is None or (not sample.spans and reader.last() is None)
    if arguments.last is None:  # all that there is: the rates are those of its own time
        start, end = sample.start, max(sample.end, sample.start + SECOND)
    if arguments.json:
        json.dump(document(sample, start, end, arguments.service), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    drawn = service_map(sample.spans)
    if arguments.service:
        drawn = around(drawn, arguments.service)
    seconds = max(1.0, (end - (start if sample.complete else sample.start)) / SECOND)
    if arguments.dot:
        lines = dot.digraph(drawn, seconds)
    elif arguments.mermaid:
        lines = mermaid.flowchart(drawn, seconds)
    elif empty:
        say_empty(arguments)
        return 0
    elif not drawn.shares:
        sys.stderr.write("no trace matches\n")
        return 0
    else:
        lines = text.drawing(
            drawn, seconds, width_of(sys.stdout, os.environ), Style.of(sys.stdout, os.environ)
        )
    for line in lines:
        sys.stdout.write(line + "\n")
    if not sample.complete:
        sys.stderr.write(
            f"looked at the newest {count(len(sample.spans), 'span')} only; `--last` narrows the time\n"
        )
    return 0
