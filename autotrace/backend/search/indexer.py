"""Builds the index in a thread of its own, chunk by chunk in the order of arrival.

It works in small pieces and rests after each for several times as long: the receivers of this process
come first, and what is not indexed yet is found all the same.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from autotrace import notices
from autotrace.backend.search import bits
from autotrace.backend.search.chunk import ChunkBuilder
from autotrace.backend.search.side_file import SideFile, remove
from autotrace.store import files
from autotrace.store.errors import reason_of
from autotrace.store.reader import Reader, extent

if TYPE_CHECKING:
    from typing import Final

_PIECE: Final = 512
"""Spans: six milliseconds."""
_REST: Final = 3.0
"""Times the length of the work."""
_MARGIN: Final = 1024
"""Newer spans that a chunk must have: the newest ones, when their trace is evicted, free their ids."""
_IDLE: Final = 1.0
"""Seconds between two looks for a new chunk."""
_TROUBLE: Final = 30.0
"""Seconds to wait when the store or the index cannot be used."""


class Indexer:
    """Keeps the index of the store at `path` up to date, until it is closed."""

    def __init__(self, path: str, index: str) -> None:
        self._path = path
        self._index = index
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="autotrace-index", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop at the next piece."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.is_set():
            wait = _IDLE
            try:
                self._follow()
            except Exception as error:  # searches do without
                notices.warn(f"the search index is not up to date: {reason_of(error)}", "index")
                wait = _TROUBLE
            self._ending.wait(wait)

    def _follow(self) -> None:
        """Index the store that is there now, until it is another one."""
        store = files.identity(self._path)
        if store is None:
            return
        with Reader(self._path) as reader:
            side = SideFile(self._index, store)
            try:
                here = store, files.identity(self._index)
                while (files.identity(self._path), files.identity(self._index)) == here:
                    if self._step(reader, side):
                        continue
                    if self._ending.wait(_IDLE):
                        return
            finally:
                side.close()

    def _step(self, reader: Reader, side: SideFile) -> bool:
        """Index one chunk; False when none is complete."""
        with reader.snapshot() as connection:
            oldest, newest = extent(connection)
        last = side.last()
        if (last + 1) * bits.CHUNK > newest + 1:
            remove(self._index)  # emptied: its ids begin anew
            return False
        side.drop_before(oldest // bits.CHUNK)
        number = max(last + 1, oldest // bits.CHUNK)
        if (number + 1) * bits.CHUNK + _MARGIN > newest:
            return False
        builder = ChunkBuilder(number)
        for low in range(0, bits.CHUNK, _PIECE):
            begin = time.thread_time()
            with reader.snapshot() as connection:
                builder.add(connection, low, low + _PIECE)
            if self._ending.wait((time.thread_time() - begin) * _REST):
                return False
        side.add(builder.chunk(), builder.sets())
        return True
