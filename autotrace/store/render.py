"""A trace as text for a terminal: the tree on the left, offset, duration and a bar on the right.

    shop  GET /checkout  200 /checkout/7              0   52.4 ms  ━━━━━━━━━━━━━━━━━━━━
    ├─ SELECT orders  SELECT id FROM orders…    1.20 ms   12.0 ms  ╺━━━╸
    └─ POST  payments:8001/charge              14.0 ms   30.0 ms       ━━━━━━━━━━━━

The service is named where it changes. An error is told at the span where it arose, and only marked
on those above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.store.highlights import errors, highlights
from autotrace.store.quantities import count, format_duration, format_time, full_id
from autotrace.store.text import Line, columns, one_line
from autotrace.store.tree import build, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from autotrace.store.records import EventRecord, SpanRecord
    from autotrace.store.style import Style
    from autotrace.store.text import Paint
    from autotrace.store.tree import Step

MIN_WIDTH: Final = 40

_TIME: Final = 9
"""Columns of an offset or a duration: `12h 04m` and `-52.4 ms` fit."""
_BAR_FROM: Final = 80
"""Terminals narrower than this get no bars."""
_MAX_EVENTS: Final = 10
_MAX_LINKS: Final = 5


def render(spans: Sequence[SpanRecord], width: int, style: Style) -> Iterator[str]:
    """The lines of one trace, at most `width` columns each; `spans` must not be empty."""
    roots = build(spans)
    start = min((span.start for span in spans if span.start), default=0)
    end = max(span.end for span in spans)
    width = max(width, MIN_WIDTH)
    yield from _header(spans, start, end, width, style)
    yield ""
    canvas = _Canvas(width, start, end, style)
    services = {service: number for number, service in enumerate(_services(spans))}
    for number, step in enumerate(walk(roots)):
        if number and not step.last:
            yield ""  # a further root
        yield canvas.span(step, services)
        for text, paint in _details(step, start, style):
            yield canvas.detail(step, text, paint)


def _header(spans: Sequence[SpanRecord], start: int, end: int, width: int, style: Style) -> Iterator[str]:
    yield f"trace {style.bold(full_id(spans[0].trace_id))}"
    when = style.text(f"{format_time(start)}   {format_duration(max(0, end - start))}")
    what = f"{count(len(spans), 'span')}   {count(len(_services(spans)), 'service')}"
    failed = sum(span.failed for span in spans)
    bad = f"   {count(failed, 'error')}" if failed else ""
    gap = "   " if columns(when + what + bad) + 3 <= width else "\n"
    yield from f"{when}{gap}{what}{style.red(bad)}".split("\n")


def _services(spans: Sequence[SpanRecord]) -> dict[str, None]:
    return dict.fromkeys(span.resource.service for span in sorted(spans, key=lambda span: span.start))


def _details(step: Step, start: int, style: Style) -> Iterator[tuple[str, Paint]]:
    """The lines under a span, each with its colour."""
    node, span = step.node, step.node.span
    if node.note:
        yield f"({node.note})", style.dim
    told_below = {text for child in node.children for text in errors(child.span)}
    for text in dict.fromkeys(errors(span)):
        if text not in told_below:
            yield f"{style.cross} {text}", style.red
    events = [event for event in span.events if event.name != "exception"]
    for event in events[:_MAX_EVENTS]:
        yield f"{style.dot} {_event(event, start, style)}", style.dim
    for link in span.links[:_MAX_LINKS]:
        yield f"{style.arrow} linked to span {link.span_id:016x} of trace {full_id(link.trace_id)}", style.dim
    more = max(0, len(events) - _MAX_EVENTS) + max(0, len(span.links) - _MAX_LINKS)
    if more:
        yield f"{style.dot} and {more:,} more", style.dim


def _event(event: EventRecord, start: int, style: Style) -> str:
    offset = style.text(format_duration(event.timestamp - start))
    attributes = (f"{one_line(key)}={one_line(value)}" for key, value in event.attributes.items())
    return "  ".join((offset, one_line(event.name), *attributes))


class _Canvas:
    """Puts lines together in columns."""

    def __init__(self, width: int, start: int, end: int, style: Style) -> None:
        self._style = style
        self._start = start
        self._total = max(1, end - start)
        self._bar = min(40, width // 5) if width >= _BAR_FROM else 0
        self._left = width - 2 * (_TIME + 1) - (self._bar + 2 if self._bar else 0)
        self._width = width

    def span(self, step: Step, services: dict[str, int]) -> str:
        """The line of a span."""
        span, style = step.node.span, self._style
        guide = self._guide(step.last)
        line = Line(self._left, style.ellipsis)
        line.add(guide, style.dim)
        if span.failed:
            line.add(f"{style.cross} ", style.red)
        service = span.resource.service
        if step.node.parent is None or step.node.parent.span.resource.service != service:
            line.add(f"{one_line(service)}  ", lambda text: style.service(text, services[service]))
        line.add(one_line(span.name), style.bold if span.failed else style.plain)
        line.add(f"  {highlights(span)}", style.dim)
        offset = format_duration(span.start - self._start) if span.start else "?"
        times = style.text(f" {offset:>{_TIME}} {format_duration(span.duration):>{_TIME}}")
        painted = style.red if span.failed else style.plain
        return (line.padded() + times + "  " + painted(self._draw(span))).rstrip()

    def detail(self, step: Step, text: str, paint: Paint) -> str:
        """A line under a span, across the whole width."""
        guide = "".join(self._style.blank if last else self._style.pipe for last in step.last)
        guide += self._style.pipe if step.node.children else self._style.blank
        line = Line(self._width, self._style.ellipsis)
        line.add(self._short(guide), self._style.dim)
        line.add(text, paint)
        return line.text

    def _guide(self, last: tuple[bool, ...]) -> str:
        if not last:
            return ""
        style = self._style
        above = "".join(style.blank if each else style.pipe for each in last[:-1])
        return self._short(above + (style.corner if last[-1] else style.tee))

    def _short(self, guide: str) -> str:
        """Leave half of the tree's columns to names, however deep the tree is."""
        room = self._left // 2
        return guide if len(guide) <= room else self._style.ellipsis + guide[len(guide) - room + 1 :]

    def _draw(self, span: SpanRecord) -> str:
        """The bar, in half columns."""
        if not self._bar or not span.start:
            return ""
        halves = 2 * self._bar
        first = min(halves - 1, round(halves * (span.start - self._start) / self._total))
        after = max(first + 1, round(halves * (span.end - self._start) / self._total))
        cells = self._style.bar
        return "".join(
            cells[(first <= at < after) + 2 * (first <= at + 1 < after)] for at in range(0, halves, 2)
        )
