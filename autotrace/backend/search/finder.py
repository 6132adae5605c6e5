"""Searches by the index as far as it goes, and by looking at the spans that came since."""

from __future__ import annotations

import sqlite3
from itertools import islice
from typing import TYPE_CHECKING

from autotrace.backend.per_thread import PerThread
from autotrace.backend.search import bits, words
from autotrace.backend.search.side_file import SideFile
from autotrace.store import files
from autotrace.store.reader import extent, trace_ids
from autotrace.store.search import Scan, first, matching

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from autotrace.backend.search.chunk import Chunk
    from autotrace.store.reader import Reader
    from autotrace.store.search import Query

_LOOK: Final = 500
"""Candidates looked at in one statement."""
_MAX_BEHIND: Final = 8 * bits.CHUNK
"""Spans to be looked at one by one; with more, the store's own indexes are faster where they can be used."""


class Finder:
    """Finds the traces of the store at `path`; from several threads."""

    def __init__(self, path: str, index: str) -> None:
        self._path = path
        self._index = index
        self._sides: PerThread[SideFile] = PerThread()

    def close(self) -> None:
        """Let go of the index; nobody is searching any more."""
        self._sides.close()

    def find(self, reader: Reader, query: Query) -> list[int]:
        """Ids of the newest traces with a span that meets all of `query`, newest first."""
        with reader.snapshot() as connection:
            return trace_ids(connection, self._matching(connection, query))

    def _matching(self, connection: sqlite3.Connection, query: Query) -> Iterable[int]:
        if not query.tags and (query.service or not (query.operation or query.max_duration is not None)):
            return matching(connection, query)  # the store's own indexes are made for these
        side = self._side()
        try:
            if side is not None and (query.tags or _behind(connection, side) < _MAX_BEHIND):
                return first(_found(connection, side, query), query.limit)
        except sqlite3.Error:  # the index was damaged, or thrown away under us: the store has it all
            self._sides.drop()
        return matching(connection, query)

    def _side(self) -> SideFile | None:
        """The index as it is now; None when there is none."""
        identity = (files.identity(self._path), files.identity(self._index))
        side = self._sides.get(identity)
        store, index = identity
        if side is not None or store is None or index is None:  # to make one is up to the indexer
            return side
        try:
            return self._sides.put(identity, SideFile(self._index, store))
        except (sqlite3.Error, OSError):
            return None


def _behind(connection: sqlite3.Connection, side: SideFile) -> int:
    """How many spans are not indexed yet."""
    return extent(connection)[1] - (side.last() + 1) * bits.CHUNK


def _found(connection: sqlite3.Connection, side: SideFile, query: Query) -> Iterator[int]:
    """Rows of the traces that match, latest arrival of a matching span first; some repeatedly."""
    scan = Scan(connection, query)
    oldest, newest = extent(connection)
    indexed = (side.last() + 1) * bits.CHUNK
    if indexed > newest + 1:  # the store was emptied, and its ids begin anew
        indexed = 0
    yield from scan.above(indexed - 1)
    if not indexed:
        return
    asked, durations = words.asked(query), words.durations_asked(query)
    for chunk in side.chunks(query.start, query.end):
        if chunk.first + bits.CHUNK <= oldest:
            return
        candidates = (chunk.first + position for position in _positions(side, chunk, asked, durations))
        while some := list(islice(candidates, _LOOK)):
            yield from scan.among(some)


def _positions(side: SideFile, chunk: Chunk, asked: list[int], durations: bytes | None) -> Iterator[int]:
    spans = bits.EVERY
    for word in asked:
        spans &= side.spans(chunk.number, word)
        if not spans:
            return iter(())
    if durations is not None:
        spans &= bits.of_flags(chunk.durations.translate(durations))
    return bits.positions(spans)
