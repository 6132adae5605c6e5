"""How much one span may hold.

Spec: https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-limits
"""

from __future__ import annotations

from typing import NamedTuple, Optional


class Limits(NamedTuple):
    """Counts are elements kept, lengths are characters (bytes for byte strings); 0 keeps nothing."""

    attributes: int = 128
    attribute_length: Optional[int] = None
    events: int = 128
    event_attributes: int = 128
    links: int = 128
    link_attributes: int = 128
    member_length: Optional[int] = None
    """Length limit inside events and links, which have no variable of their own."""
