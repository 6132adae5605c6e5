"""`autotrace tail`: traces as they arrive."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from autotrace.cli.arguments import positive
from autotrace.cli.filters import add_filters_to, query_of
from autotrace.cli.source import add_source_to, opened, say_empty
from autotrace.cli.traces import as_json, table
from autotrace.store.arrivals import Mark
from autotrace.store.errors import StoreError
from autotrace.store.quantities import SECOND, count
from autotrace.store.style import Style, width_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from typing import Any, Final

    from autotrace.analysis.source import Source
    from autotrace.store.reader import TraceSummary
    from autotrace.store.search import Query

_LOCAL_INTERVAL: Final = 0.5
_REMOTE_INTERVAL: Final = 2.0
_QUIET: Final = 1.0
"""Seconds without another span, after which a trace is taken for complete."""
_PATIENCE: Final = 5.0
"""Seconds after which it is shown in any case."""
_WINDOW: Final = 300 * SECOND
"""How far back a server is asked."""
_MAX_NEW: Final = 1000
"""Traces of one look."""
_MAX_SHOWN: Final = 10_000
"""Traces that are remembered as shown; the latest."""


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the subcommand."""
    parser = commands.add_parser(
        "tail",
        parents=[common],
        help="print traces as they arrive",
        description="Print traces with a span that meets all conditions as they arrive, each once, when no "
        "span has come for a second, or after five. With --last those of that time come first.",
    )
    add_filters_to(parser)
    parser.add_argument(
        "--limit", type=positive, default=None, metavar="N", help="end after so many (default: never)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print a line of JSON for each, as `traces --json` has them"
    )
    add_source_to(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print until interrupted."""
    arrivals = Arrivals(query_of(arguments, _MAX_NEW), past=arguments.last is not None)
    lines = _Lines(as_lines_of_json=arguments.json)
    failing = False
    while True:
        try:
            with opened(arguments) as source:
                if source is None and not arrivals.looked:
                    say_empty(arguments)
                settled = arrivals.settled(source, time.monotonic())
            failing = False
        except StoreError as error:
            if not arrivals.looked:
                raise
            if not failing:
                sys.stderr.write(f"autotrace: {error.reason}; trying again\n")
            failing = True
            settled = []
        if arguments.limit is not None:
            settled = settled[: arguments.limit - lines.written]
        lines.write(settled)
        if lines.written == arguments.limit:
            return 0
        time.sleep(_REMOTE_INTERVAL if arguments.source else _LOCAL_INTERVAL)


class _Waiting(NamedTuple):
    """A trace that may not be complete."""

    spans: int
    since: float
    """When it was seen first; likewise, on the clock of `time.monotonic()`."""
    changed: float


class Arrivals:
    """Which traces are new, and complete as far as one can tell.

    Args:
        query: What they must meet; its limit is that of one look.
        past: Whether those that are there already are new.
    """

    def __init__(self, query: Query, *, past: bool) -> None:
        self._query = query
        self._past = past
        self._mark = Mark()
        """In the local store."""
        self._waiting: dict[int, _Waiting] = {}
        self._shown: dict[int, None] = {}
        self.looked = False
        """Whether there was a first look."""

    def settled(self, source: Source | None, now: float) -> list[TraceSummary]:
        """Traces that have settled since the last look, oldest first."""
        first, self.looked = not self.looked, True
        if source is None:
            self._mark = Mark()
            return []
        found = self._found(source, first)
        if first and not self._past:
            for each in found:
                self._shown[each.trace_id] = None
            return []
        ready = [each for each in found if each.trace_id not in self._shown and self._is_ready(each, now)]
        for each in ready:
            self._waiting.pop(each.trace_id, None)
            self._shown[each.trace_id] = None
        while len(self._shown) > _MAX_SHOWN:
            del self._shown[next(iter(self._shown))]
        self._waiting = {  # without those that are gone
            number: each for number, each in self._waiting.items() if now - each.since < 2 * _PATIENCE
        }
        return sorted(ready, key=lambda each: each.start)

    def _found(self, source: Source, first_look: bool) -> list[TraceSummary]:
        from autotrace.store.reader import Reader, trace_ids  # noqa: PLC0415 - sqlite3, perhaps not built
        from autotrace.store.search import Scan, first  # noqa: PLC0415

        if not isinstance(source, Reader):
            start = self._query.start or time.time_ns() - _WINDOW
            found = source.search(self._query._replace(start=start))
            _say_if_many(found)
            return found
        with source.snapshot() as connection:
            seen, newest = self._mark.advance(connection)
            if first_look and not self._past:
                seen = newest
            numbers = first(Scan(connection, self._query).above(seen), _MAX_NEW)
            _say_if_many(numbers)
            candidates = {**self._waiting, **dict.fromkeys(trace_ids(connection, numbers))}
            summaries = [source.summary(trace_id) for trace_id in candidates]
        return [each for each in summaries if each is not None]

    def _is_ready(self, trace: TraceSummary, now: float) -> bool:
        waiting = self._waiting.get(trace.trace_id, _Waiting(-1, now, now))
        if trace.spans != waiting.spans:
            waiting = waiting._replace(spans=trace.spans, changed=now)
        self._waiting[trace.trace_id] = waiting
        return now - waiting.changed >= _QUIET or now - waiting.since >= _PATIENCE


class _Lines:
    """What has been written, line by line."""

    def __init__(self, *, as_lines_of_json: bool) -> None:
        self._json = as_lines_of_json
        self.written = 0

    def write(self, found: list[TraceSummary]) -> None:
        """One line each, at once; headings before the first."""
        if not found:
            return
        if self._json:
            lines = [json.dumps(as_json(each)) for each in found]
        else:
            headings, *lines = table(
                found, width_of(sys.stdout, os.environ), Style.of(sys.stdout, os.environ)
            )
            if not self.written:
                lines.insert(0, headings)
        self.written += len(found)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()


def _say_if_many(found: Iterable[object]) -> None:
    number = sum(1 for _ in found)
    if number >= _MAX_NEW:
        sys.stderr.write(f"autotrace: more than {count(number, 'trace')} at once; some are left out\n")
