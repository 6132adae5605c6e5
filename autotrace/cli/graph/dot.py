"""The map in the language of Graphviz.

Spec: https://graphviz.org/doc/info/lang.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.analysis.service_map import DATABASE, EXTERNAL, MESSAGING, SERVICE
from autotrace.cli.graph.figures import rate, share
from autotrace.store.quantities import count, format_duration
from autotrace.store.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from autotrace.analysis.service_map import Place, ServiceMap, Traffic

_SHAPES: Final = {
    SERVICE: "shape=box, style=rounded",
    DATABASE: "shape=cylinder",
    MESSAGING: "shape=cds",
    EXTERNAL: "shape=box, style=dashed",
}


def digraph(drawn: ServiceMap, seconds: float) -> Iterator[str]:
    """Its lines."""
    yield "digraph autotrace {"
    yield "  rankdir=LR;"
    for each in drawn.shares:
        place = each.place
        yield f"  {_id(place)} [label={_quoted(one_line(place.name))}, {_SHAPES[place.kind]}];"
    for traffic in drawn.traffic:
        colour = ", color=red" if traffic.errors else ""
        yield f"  {_id(traffic.caller)} -> {_id(traffic.called)} [label={_label(traffic, seconds)}{colour}];"
    yield "}"


def _label(traffic: Traffic, seconds: float) -> str:
    failed = f", {share(traffic.errors, traffic.calls)} errors" if traffic.errors else ""
    return (
        f'"{count(traffic.calls, "call")}, {rate(traffic.calls, seconds)}{failed}'
        f'\\np50 {format_duration(traffic.p50)}, p95 {format_duration(traffic.p95)}"'
    )


def _id(place: Place) -> str:
    """A service and a database may share a name."""
    return _quoted(f"{place.kind} {one_line(place.name)}")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
