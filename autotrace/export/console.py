"""Spans as readable trees on stderr: one tree per local root, printed when that has ended.

A tree is whole in most cases, because children end before their parents. What ends later, in the
background, is printed on its own after a while. Nothing waits without bound.
"""

from __future__ import annotations

import os
import sys
from time import monotonic
from typing import TYPE_CHECKING

from autotrace.export.records import Records
from autotrace.store.records import FLAG_PARENT_REMOTE
from autotrace.store.render import render
from autotrace.store.style import Style, width_of
from autotrace.store.tree import build, walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final, TextIO

    from autotrace.export.exporter import Exporter
    from autotrace.settings import Settings
    from autotrace.store.records import SpanRecord
    from autotrace.tracing.span import Span

MAX_TRACES: Final = 200
"""Traces that may wait for their root."""
MAX_SPANS: Final = 5000
"""Spans that may wait in all of them."""
MAX_WAIT: Final = 30.0
"""Seconds for which a trace may wait; looked at when further spans arrive."""

_UNPRINTABLE: Final = "span could not be printed"
_CLOSED: Final = "stderr is closed"


def from_settings(settings: Settings) -> Exporter:
    """The exporter for this process's stderr."""
    del settings
    return ConsoleExporter(sys.stderr, os.environ)


class _Waiting:
    """Spans of one trace whose local root has not arrived."""

    __slots__ = ("since", "spans")

    def __init__(self) -> None:
        self.since = monotonic()
        self.spans: list[SpanRecord] = []


class ConsoleExporter:
    """Prints to `stream`, which may be None (no spans arrive then); `environ` may forbid colours."""

    name = "console"
    destination = "stderr"

    def __init__(self, stream: TextIO | None, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._environ = environ
        self._records = Records()
        self._waiting: dict[int, _Waiting] = {}  # oldest first
        self._count = 0

    def export(self, spans: Sequence[Span], deadline: float) -> Mapping[str, int]:
        """Take `spans`, and print the trees that are complete now; see `Exporter`."""
        del deadline  # a terminal has none
        losses: dict[str, int] = {}
        roots: dict[int, None] = {}
        for span in spans:
            try:
                record = self._records.of(span)
            except Exception:
                losses[_UNPRINTABLE] = losses.get(_UNPRINTABLE, 0) + 1
                continue
            self._waiting.setdefault(record.trace_id, _Waiting()).spans.append(record)
            self._count += 1
            if _is_local_root(record):
                roots[record.trace_id] = None
        for trace_id in roots:
            self._add(losses, self._print_complete(trace_id))
        self._add(losses, self._print_overdue())
        return losses

    def shutdown(self) -> None:
        """Print what still waits."""
        while self._waiting:
            self._print(self._take(next(iter(self._waiting))))

    def _print_complete(self, trace_id: int) -> Mapping[str, int]:
        """Print the trees of a trace whose local roots are here; the rest goes on waiting."""
        spans = self._take(trace_id)
        complete: list[SpanRecord] = []
        rest: list[SpanRecord] = []
        for root in build(spans):
            members = [step.node.span for step in walk([root])]
            (complete if _is_local_root(root.span) else rest).extend(members)
        if rest:
            self._waiting[trace_id] = _Waiting()
            self._waiting[trace_id].spans = rest
            self._count += len(rest)
        return self._print(complete)

    def _print_overdue(self) -> dict[str, int]:
        losses: dict[str, int] = {}
        while self._waiting:
            trace_id, oldest = next(iter(self._waiting.items()))
            within = len(self._waiting) <= MAX_TRACES and self._count <= MAX_SPANS
            if within and monotonic() - oldest.since < MAX_WAIT:
                break
            self._add(losses, self._print(self._take(trace_id)))
        return losses

    def _take(self, trace_id: int) -> list[SpanRecord]:
        spans = self._waiting.pop(trace_id).spans
        self._count -= len(spans)
        return spans

    def _print(self, spans: Sequence[SpanRecord]) -> dict[str, int]:
        if not spans:
            return {}
        stream = self._stream
        if stream is None or stream.closed:
            return {_CLOSED: len(spans)}
        try:
            style = Style.of(stream, self._environ)
            text = "\n".join(render(spans, width_of(stream, self._environ), style))
        except Exception:
            return {_UNPRINTABLE: len(spans)}
        try:
            # One write: trees of several processes do not mix.
            stream.write(text + "\n\n")
            stream.flush()
        except (OSError, ValueError):
            return {_CLOSED: len(spans)}
        return {}

    @staticmethod
    def _add(losses: dict[str, int], more: Mapping[str, int]) -> None:
        for reason, number in more.items():
            losses[reason] = losses.get(reason, 0) + number


def _is_local_root(span: SpanRecord) -> bool:
    """Whether its parent, if any, is in another process."""
    return not span.parent_id or bool(span.flags & FLAG_PARENT_REMOTE)
