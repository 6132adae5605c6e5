"""The one door through which the backend reads the store, and takes from it.

Reading happens in a few threads, each with a connection of its own, so that a slow question holds up
neither the receivers nor the other questions. While there is no store, the answers are those of an
empty one.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from autotrace.backend.per_thread import PerThread
from autotrace.backend.search import side_file
from autotrace.backend.search.finder import Finder
from autotrace.backend.search.indexer import Indexer
from autotrace.store import files, removal
from autotrace.store.reader import Reader, extent

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from autotrace.store.search import Query

_T = TypeVar("_T")

_THREADS: Final = 4
_NOWHERE: Final = ""
_INDEX: Final = ".index"
"""Appended to the path of the store."""


class Archive:
    """The store at `path`, for coroutines."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._index = path + _INDEX
        self._threads = ThreadPoolExecutor(_THREADS, "autotrace-archive")
        self._readers: PerThread[Reader] = PerThread()
        self._finder = Finder(path, self._index)
        self._indexer = Indexer(path, self._index)

    async def read(self, function: Callable[[Reader], _T]) -> _T:
        """What `function` makes of a reader, which is its own until it returns.

        Raises:
            StoreError: The store cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.call, function)

    async def find(self, query: Query) -> list[int]:
        """Ids of the newest traces with a span that meets all of `query`, newest first."""
        return await self.read(lambda reader: self.found(reader, query))

    def found(self, reader: Reader, query: Query) -> list[int]:
        """The same, for a function that is reading."""
        return self._finder.find(reader, query)

    async def remove(self, trace_id: int | None) -> int:
        """Delete a trace, or all that are here; how many those were.

        Raises:
            StoreError: The store cannot be written.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._remove, trace_id)

    def _remove(self, trace_id: int | None) -> int:
        if files.identity(self.path) is None:
            return 0
        newest = self.call(_newest)
        removed = removal.remove(self.path, trace_id)
        if self.call(_newest) < newest:  # later spans get the ids that the index knows others by
            side_file.remove(self._index)
        return removed

    def call(self, function: Callable[[Reader], _T]) -> _T:
        """The same, from and in any other thread."""
        identity = files.identity(self.path)
        reader = self._readers.get(identity)
        if reader is None:  # the first one, or the store was removed, moved aside, or is there at last
            reader = self._readers.put(identity, Reader(_NOWHERE if identity is None else self.path))
        return function(reader)

    def close(self) -> None:
        """Wait for what is under way; nothing can be read any more."""
        self._indexer.close()
        self._threads.shutdown()
        self._readers.close()
        self._finder.close()


def _newest(reader: Reader) -> int:
    with reader.snapshot() as connection:
        return extent(connection)[1]
