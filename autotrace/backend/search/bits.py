"""Sets of the spans of a chunk as integers: one bit for each, intersected in a microsecond.

The first span is the highest bit, so that the latest arrival is the lowest one. What is stored is a
list of positions where that is shorter than the bits.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

CHUNK: Final = 8192
"""Spans."""
_BYTES: Final = CHUNK // 8
_POSITION: Final = "H"
_MAX_LISTED: Final = _BYTES // 2
"""So many positions take as much room as the bits; fewer are listed, and the length tells which it is."""

EVERY: Final = (1 << CHUNK) - 1


def of(positions: Iterable[int]) -> int:
    """The set of the spans at these positions."""
    flags = bytearray(b"0" * CHUNK)
    for position in positions:
        flags[position] = ord("1")
    return int(flags, 2)


def of_flags(flags: bytes) -> int:
    """The set of the spans at which there is a `1`; the rest is `0`."""
    return int(flags, 2)


def positions(bits: int) -> Iterator[int]:
    """Of the spans in the set, latest arrival first."""
    while bits:
        lowest = bits & -bits
        yield CHUNK - lowest.bit_length()
        bits ^= lowest


def packed(members: list[int]) -> bytes:
    """A set, given by rising positions without doubles, as it is stored."""
    return array(_POSITION, members).tobytes() if len(members) < _MAX_LISTED else packed_bits(of(members))


def packed_bits(bits: int) -> bytes:
    """A set as it is stored."""
    if bin(bits).count("1") < _MAX_LISTED:
        return array(_POSITION, sorted(positions(bits))).tobytes()
    return bits.to_bytes(_BYTES, "big")


def unpacked(content: bytes) -> int:
    """The set that was stored."""
    if len(content) == _BYTES:
        return int.from_bytes(content, "big")
    members = array(_POSITION)
    members.frombytes(content)
    return of(members)
