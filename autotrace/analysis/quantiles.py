"""Percentiles and histograms of durations."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final

_STEPS: Final = (1, 2, 5)
"""Bounds of a histogram within each power of ten."""


class Bucket(NamedTuple):
    """Durations from `start` up to and without `end`; nanoseconds."""

    start: int
    end: int
    spans: int
    errors: int


def percentile(ordered: Sequence[int], share: float) -> int:
    """The smallest member that at least `share` of them do not exceed; 0 when there is none."""
    if not ordered:
        return 0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def histogram(measured: Iterable[tuple[int, bool]]) -> list[Bucket]:
    """Buckets whose bounds rise in the steps 1, 2, 5, from the fastest to the slowest without a gap.

    Args:
        measured: Durations in nanoseconds, and whether the span failed.
    """
    counts: dict[int, list[int]] = {}
    for duration, failed in measured:
        counter = counts.setdefault(_bucket(duration), [0, 0])
        counter[0] += 1
        counter[1] += failed
    if not counts:
        return []
    buckets = range(min(counts), max(counts) + 1)
    return [Bucket(_bound(number), _bound(number + 1), *counts.get(number, (0, 0))) for number in buckets]


def _bound(number: int) -> int:
    """The lower bound of a bucket: 0, 1 us, 2 us, 5 us, 10 us..."""
    if number == 0:
        return 0
    decade, step = divmod(number - 1, len(_STEPS))
    return int(_STEPS[step] * 1000 * 10**decade)


_BOUNDS: Final = [_bound(number) for number in range(50)]


def _bucket(duration: int) -> int:
    return max(0, bisect_left(_BOUNDS, max(0, duration) + 1) - 1)
