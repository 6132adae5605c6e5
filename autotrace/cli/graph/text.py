"""The map for a terminal: a tree with the figures of the call that leads to each place.

                                     CALLS      RATE  ERRORS      P50      P95
    web
    ├─ orders                            120     2.0/s      5%  12.1 ms  40.2 ms
    │  └─ postgresql shop  database      240     4.0/s      0%  1.20 ms  3.04 ms
    └─ mail                               12    12/min      0%  2.10 ms  8.00 ms

What a place calls is drawn where the place stands first, so every call stands in one line. A map of
many places is a table of the calls instead, the most frequent first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autotrace.analysis.service_map import SERVICE
from autotrace.cli.graph.figures import rate, share
from autotrace.store.quantities import format_duration
from autotrace.store.text import Line, columns, cut, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from autotrace.analysis.service_map import Place, ServiceMap, Traffic
    from autotrace.store.style import Style
    from autotrace.store.text import Paint

    Piece = tuple[str, Paint]

_MAX_DRAWN: Final = 24
"""Places in a tree; a map of more is a table."""
_HEADINGS: Final = f"  {'CALLS':>7}  {'RATE':>8}  {'ERRORS':>6}  {'P50':>7}  {'P95':>7}"
_MIN_LEFT: Final = 20
_MIN_NAME: Final = 12


class _Row(NamedTuple):
    left: list[Piece]
    traffic: Traffic | None


class _Step(NamedTuple):
    place: Place
    traffic: Traffic | None
    """That leads here; None at the top."""
    last: tuple[bool, ...]
    """For each level down to here: whether it is the last below its caller."""


def drawing(drawn: ServiceMap, seconds: float, width: int, style: Style) -> Iterator[str]:
    """The lines, at most `width` columns each where that is possible at all."""
    canvas = _Canvas(drawn, width, style)
    rows = canvas.table() if len(drawn.shares) > _MAX_DRAWN else canvas.tree()
    widest = max(sum(columns(text) for text, _ in row.left) for row in rows)
    room = min(widest, canvas.room)
    if drawn.traffic:
        yield style.dim(" " * room + _HEADINGS)
    for row in rows:
        line = Line(room, style.ellipsis)
        for text, paint in row.left:
            line.add(text, paint)
        yield line.padded() + _figures(row.traffic, seconds, style) if row.traffic else line.text


def _figures(traffic: Traffic, seconds: float, style: Style) -> str:
    failed = f"{share(traffic.errors, traffic.calls):>6}"
    times = style.text(f"{format_duration(traffic.p50):>7}  {format_duration(traffic.p95):>7}")
    return (
        f"  {traffic.calls:>7,}  {rate(traffic.calls, seconds):>8}"
        f"  {style.red(failed) if traffic.errors else failed}  {times}"
    )


class _Canvas:
    """Makes the left side of the lines."""

    def __init__(self, drawn: ServiceMap, width: int, style: Style) -> None:
        self._drawn = drawn
        self._style = style
        self.room = max(_MIN_LEFT, width - len(_HEADINGS))
        services = [each.place for each in drawn.shares if each.place.kind == SERVICE]
        self._colours = {place: number for number, place in enumerate(services)}

    def tree(self) -> list[_Row]:
        """Callers above what they call."""
        return [_Row(list(self._drawn_step(step, again)), step.traffic) for step, again in _walk(self._drawn)]

    def table(self) -> list[_Row]:
        """A line per call, and one for each place that has none."""
        traffic = sorted(self._drawn.traffic, key=lambda each: (-each.calls, each))
        connected = {place for each in traffic for place in (each.caller, each.called)}
        alone = [each.place for each in self._drawn.shares if each.place not in connected]
        return [
            *(_Row(self._call(each), each) for each in traffic),
            *(_Row(self._place(place, self.room), None) for place in alone),
        ]

    def _call(self, traffic: Traffic) -> list[Piece]:
        arrow = f" {self._style.arrow} "
        room = self.room - len(arrow)
        caller, called = (
            self._place(place, max(room // 2, room - self._width(other)))
            for place, other in ((traffic.caller, traffic.called), (traffic.called, traffic.caller))
        )
        return [*caller, (arrow, self._style.dim), *called]

    def _drawn_step(self, step: _Step, again: bool) -> Iterator[Piece]:
        style = self._style
        guide = "".join(style.blank if last else style.pipe for last in step.last[:-1])
        if step.last:
            guide += style.corner if step.last[-1] else style.tee
        yield guide, style.dim
        yield from self._place(step.place, self.room - len(guide))
        if again:
            yield "  (see above)", style.dim

    def _place(self, place: Place, room: int) -> list[Piece]:
        kind = "" if place.kind == SERVICE else f"  {place.kind}"
        name = _shortened(one_line(place.name) or "?", room - len(kind), self._style.ellipsis)
        if place.kind == SERVICE:
            return [(name, lambda text: self._style.service(text, self._colours[place]))]
        return [(name, self._style.plain), (kind, self._style.dim)]

    def _width(self, place: Place) -> int:
        return sum(columns(text) for text, _ in self._place(place, self.room))


def _shortened(name: str, room: int, ellipsis: str) -> str:
    """Its beginning and its end: files and numbered services differ at the end."""
    room = max(room, _MIN_NAME)
    if columns(name) <= room:
        return name
    beginning = room // 3
    return cut(name, beginning, ellipsis) + name[beginning - room :]


def _walk(drawn: ServiceMap) -> Iterator[tuple[_Step, bool]]:
    """Every call once, below where its caller stands first; and whether the place's calls stand above."""
    calls: dict[Place, list[Traffic]] = {}
    for each in sorted(drawn.traffic, key=lambda each: (-each.calls, each)):
        calls.setdefault(each.caller, []).append(each)
    seen: set[Place] = set()
    for top in _tops(drawn):
        waiting = [_Step(top, None, ())] if top not in seen else []
        while waiting:
            step = waiting.pop()
            below = calls.get(step.place, [])
            again = step.place in seen
            yield step, again and bool(below)
            if not again:
                seen.add(step.place)
                waiting += reversed(_below(step, below))


def _below(step: _Step, calls: Sequence[Traffic]) -> list[_Step]:
    return [
        _Step(each.called, each, (*step.last, number == len(calls)))
        for number, each in enumerate(calls, start=1)
    ]


def _tops(drawn: ServiceMap) -> list[Place]:
    """Places in the order in which to begin with them: those that nobody calls, then any (circles)."""
    called = {each.called for each in drawn.traffic}
    return sorted((each.place for each in drawn.shares), key=lambda place: (place in called, place))
