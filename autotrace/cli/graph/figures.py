"""Figures of a call between two places, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

_UNITS: Final = ((1, "/s"), (60, "/min"), (3600, "/h"), (86400, "/d"))
_PRECISE: Final = 9.95
"""Below, a digit after the point says something."""


def rate(calls: int, seconds: float) -> str:
    """`3.2/s`, `12/min`: in the shortest time that holds one."""
    value, unit = 0.0, ""
    for length, unit in _UNITS:  # noqa: B007 - the last one if none holds one
        value = calls * length / seconds
        if value >= 1:
            break
    return f"{value:.1f}{unit}" if value < _PRECISE else f"{value:,.0f}{unit}"


def share(errors: int, calls: int) -> str:
    """Per cent; neither all nor none where that is not so."""
    if not errors:
        return "0%"
    per_cent = 100 * errors / calls
    if per_cent < 1:
        return "<1%"
    return f"{per_cent if errors == calls else min(99, per_cent):.0f}%"
