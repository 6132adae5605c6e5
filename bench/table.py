"""Results as a Markdown table."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.measure import Samples
    from bench.rows import Result, Row

HEAD = (
    "| what | plain | plain again | opentelemetry-instrument | autotrace | floor | budget "
    "| of OpenTelemetry's | times the floor |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def added(samples: Samples, agent: str) -> tuple[float, float] | None:
    """What an agent adds to the plain program: by the minima, and as the median of all cycles."""
    if agent not in samples:
        return None
    values = samples[agent]
    plain = samples.get("plain") or [0.0] * len(values)
    return min(values) - min(plain), median(value - bare for value, bare in zip(values, plain))


def line(row: Row, result: Result) -> str:
    samples = result.samples
    plain = samples.get("plain")
    ours, otel, floor = (added(samples, agent) for agent in ("ours", "otel", "floor"))
    sign = "+" if plain else ""
    cells = [
        f"{row.title}, {row.unit}",
        f"{min(plain):.1f} / {median(plain):.1f}" if plain else "",
        _pair(added(samples, "plain again"), "+"),
        *(_pair(figures, sign) for figures in (otel, ours, floor)),
        _verdict(row.budget, ours, sign),
        f"1/{otel[1] / ours[1]:.0f}" if otel and ours and ours[1] > 0 else "",
        f"{ours[1] / floor[1]:.1f}" if floor and ours and floor[1] > 0 else "",
    ]
    return "| " + " | ".join(cells) + " |"


def losses(row: Row, result: Result) -> list[str]:
    return [
        f"SPANS DIFFER in {row.key}: the backend received {received} of {made} of {agent}"
        for agent, (received, made) in result.lost.items()
    ]


def _pair(figures: tuple[float, float] | None, sign: str) -> str:
    return f"{figures[0]:{sign}.1f} / {figures[1]:{sign}.1f}" if figures else ""


def _verdict(budget: float | None, ours: tuple[float, float] | None, sign: str) -> str:
    if budget is None or ours is None:
        return ""
    return f"{budget:{sign}g}" if ours[1] <= budget else f"{budget:{sign}g} **over**"
