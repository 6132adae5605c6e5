"""The map in the language of Mermaid, which Markdown pages of code forges draw.

Spec: https://mermaid.js.org/syntax/flowchart.html
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

    from autotrace.analysis.service_map import ServiceMap, Traffic

_SHAPES: Final = {
    SERVICE: ("(", ")"),
    DATABASE: ("[(", ")]"),
    MESSAGING: ("[[", "]]"),
    EXTERNAL: ("[", "]"),
}


def flowchart(drawn: ServiceMap, seconds: float) -> Iterator[str]:
    """Its lines."""
    yield "flowchart LR"
    names = {each.place: f"n{number}" for number, each in enumerate(drawn.shares)}
    for place, name in names.items():
        opening, closing = _SHAPES[place.kind]
        yield f"  {name}{opening}{_quoted(place.name)}{closing}"
    for number, traffic in enumerate(drawn.traffic):
        yield f"  {names[traffic.caller]} -->|{_label(traffic, seconds)}| {names[traffic.called]}"
        if traffic.errors:
            yield f"  linkStyle {number} stroke:red"


def _label(traffic: Traffic, seconds: float) -> str:
    failed = f", {share(traffic.errors, traffic.calls)} errors" if traffic.errors else ""
    return _quoted(
        f"{count(traffic.calls, 'call')}, {rate(traffic.calls, seconds)}{failed},"
        f" p50 {format_duration(traffic.p50)}, p95 {format_duration(traffic.p95)}"
    )


def _quoted(text: str) -> str:
    """As Mermaid takes any text: what could be markup is written by its number."""
    plain = "".join(
        character if character.isalnum() or character in " .,:/-_" else f"#{ord(character)};"
        for character in one_line(text) or "?"
    )
    return f'"{plain}"'
