"""What every decoder gives back, and how it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Final

    from autotrace.store.records import SpanRecord

MAX_SPANS: Final = 100_000
"""In one message: a body within its limits could still unfold into gigabytes of empty spans."""
MAX_MEMBERS: Final = 10_000
"""Attributes, events or links of one span; those beyond are counted as dropped."""
MAX_DEPTH: Final = 32
"""Nested values below this depth become None."""

TOO_MANY_SPANS: Final = f"more than {MAX_SPANS} spans in one request"

TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8


class MalformedError(Exception):
    """The message as a whole cannot be read; says why in words for its sender."""


class InvalidSpanError(Exception):
    """A span that cannot be kept, though its message can be read; says why."""


class Decoded(NamedTuple):
    """Spans of one message."""

    spans: list[SpanRecord]
    rejected: int = 0
    """Spans left out because they are invalid."""
    reason: str = ""
    """Why the first of these was."""


def valid_trace_id(content: bytes) -> int:
    """The number; InvalidSpanError for a wrong length and for zero."""
    number = int.from_bytes(content, "big")
    if len(content) != TRACE_ID_BYTES or not number:
        raise InvalidSpanError("a trace id must have 16 bytes, not all zero")
    return number


def valid_span_id(content: bytes) -> int:
    """The number; InvalidSpanError for a wrong length and for zero."""
    number = int.from_bytes(content, "big")
    if len(content) != SPAN_ID_BYTES or not number:
        raise InvalidSpanError("a span id must have 8 bytes, not all zero")
    return number


def valid_parent_id(content: bytes) -> int:
    """The number; 0 for a root, whose field is empty; InvalidSpanError for a wrong length."""
    if not content:
        return 0
    if len(content) != SPAN_ID_BYTES:
        raise InvalidSpanError("a parent span id must have 8 bytes, or none")
    return int.from_bytes(content, "big")
