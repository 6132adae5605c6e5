"""The index of a chunk: `CHUNK` neighbouring span ids, which no later span will have.

Spans that were evicted leave holes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from autotrace.backend.search import bits, words
from autotrace.store.codec import decode_attributes
from autotrace.store.records import STATUS_ERROR
from autotrace.store.tags import owners_of, text_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping


class Chunk(NamedTuple):
    """What is kept of a chunk, besides its sets."""

    number: int
    """Its spans have the ids from `number * CHUNK` on."""
    earliest: int
    """Start of a span, nanoseconds since the epoch; likewise below."""
    latest: int
    durations: bytes
    """A code for each span."""

    @property
    def first(self) -> int:
        """The lowest id."""
        return self.number * bits.CHUNK


class ChunkBuilder:
    """Takes the spans of a chunk, some at a time."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._starts: list[int] = []
        self._durations = bytearray(bits.CHUNK)
        self._members: dict[str, list[int]] = {}
        self._shared: dict[str, int] = {}

    def add(self, connection: sqlite3.Connection, low: int, high: int) -> None:
        """Take the spans at the positions from `low` up to, and without, `high`."""
        first = self._number * bits.CHUNK
        owners: dict[tuple[str, int], list[int]] = {}
        members = self._members
        rows = connection.execute(
            "SELECT id, service, operation, resource, scope, start, duration, status,"
            " attributes, events, links FROM spans WHERE id BETWEEN ? AND ? ORDER BY id",
            (first + low, first + high - 1),
        )
        for number, service, operation, resource, scope, start, duration, status, *own in rows:
            position = number - first
            self._starts.append(start)
            self._durations[position] = words.duration_code(duration)
            if status == STATUS_ERROR:
                members.setdefault(words.FAILED, []).append(position)
            for owner in (
                ("services", service),
                ("operations", operation),
                ("resources", resource),
                ("scopes", scope),
            ):
                owners.setdefault(owner, []).append(position)
            for attributes in owners_of(*own):
                for word in _words(attributes):
                    found = members.get(word)
                    if found is None:
                        members[word] = [position]
                    elif found[-1] != position:
                        found.append(position)
        for (table, row), shared in owners.items():
            spans = bits.of(shared)
            for word in _words_of(connection, table, row):
                self._shared[word] = self._shared.get(word, 0) | spans

    def chunk(self) -> Chunk:
        """What is kept, when all have been taken."""
        return Chunk(
            self._number, min(self._starts, default=0), max(self._starts, default=0), bytes(self._durations)
        )

    def sets(self) -> list[tuple[int, bytes]]:
        """The set of spans for each word, by rising numbers of words."""
        sets: dict[int, bytes] = {}
        shared: dict[int, int] = {}
        for word, spans in self._shared.items():
            number = words.number(word)
            shared[number] = shared.get(number, 0) | spans
        for word, positions in self._members.items():
            number = words.number(word)
            if number in shared:
                shared[number] |= bits.of(positions)
            elif number in sets:
                shared[number] = bits.unpacked(sets.pop(number)) | bits.of(positions)
            else:
                sets[number] = bits.packed(positions)
        sets.update({number: bits.packed_bits(spans) for number, spans in shared.items()})
        return sorted(sets.items())


def _words(attributes: Mapping[str, Any]) -> Iterator[str]:
    for key, value in attributes.items():
        yield words.tag(key, value if type(value) is str else text_of(value))


def _words_of(connection: sqlite3.Connection, table: str, row: int) -> list[str]:
    """What a service, operation, resource or scope gives to its spans."""
    if table in {"services", "operations"}:
        (name,) = connection.execute(f"SELECT name FROM {table} WHERE id = ?", (row,)).fetchone()  # noqa: S608
        return [words.service(name) if table == "services" else words.operation(name)]
    (text,) = connection.execute(f"SELECT attributes FROM {table} WHERE id = ?", (row,)).fetchone()  # noqa: S608
    return list(_words(decode_attributes(text)))
