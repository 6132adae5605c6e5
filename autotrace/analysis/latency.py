"""How long an operation takes: percentiles, their course over time, and how durations spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autotrace.analysis.quantiles import Bucket, histogram, percentile
from autotrace.store.records import STATUS_ERROR

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from typing import Final

MAX_SPANS: Final = 100_000
"""The newest of the range count; a third of a second."""
_STEPS: Final = 60

Measured = tuple[int, int, bool]
"""Start and duration of a span in nanoseconds, and whether it failed."""


class Figures(NamedTuple):
    """Of some spans; nanoseconds."""

    spans: int
    errors: int
    p50: int
    p95: int
    p99: int
    max: int


class Step(NamedTuple):
    """Of the spans that started from `time` on, until the next step."""

    time: int
    figures: Figures


class Latency(NamedTuple):
    """Of all spans that were looked at."""

    figures: Figures
    histogram: list[Bucket]
    series: list[Step]


def measured_spans(
    connection: sqlite3.Connection, service: str, operation: str, start: int, end: int
) -> list[Measured]:
    """The newest spans of the service that started in the range, newest first, `MAX_SPANS` at most."""
    condition = " AND operation IN (SELECT id FROM operations WHERE name = ?)" if operation else ""
    return [
        (when, duration, status == STATUS_ERROR)
        for when, duration, status in connection.execute(
            # INDEXED BY: without statistics the planner would rather sort.
            "SELECT start, duration, status FROM spans INDEXED BY spans_by_service"  # noqa: S608 - our own text
            " WHERE service = (SELECT id FROM services WHERE name = ?) AND start BETWEEN ? AND ?"
            f"{condition} AND duration IS NOT NULL ORDER BY start DESC LIMIT ?",
            (service, start, end, *([operation] if operation else []), MAX_SPANS),
        )
    ]


def latency(spans: Sequence[Measured], start: int, end: int) -> Latency:
    """The figures of `spans`, which lie between `start` and `end`, in about sixty steps."""
    width = max(1, -(-(end - start) // _STEPS))
    steps: dict[int, list[Measured]] = {}
    for span in spans:
        steps.setdefault((span[0] - start) // width, []).append(span)
    return Latency(
        figures(spans),
        histogram((duration, failed) for _, duration, failed in spans),
        [Step(start + number * width, figures(steps[number])) for number in sorted(steps)],
    )


def figures(spans: Sequence[Measured]) -> Figures:
    """Count, errors and percentiles."""
    durations = sorted(duration for _, duration, _ in spans)
    return Figures(
        len(spans),
        sum(failed for *_, failed in spans),
        percentile(durations, 0.5),
        percentile(durations, 0.95),
        percentile(durations, 0.99),
        durations[-1] if durations else 0,
    )
