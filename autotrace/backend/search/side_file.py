"""Where the index is kept: a database beside the store, which can be thrown away at any time.

The store itself stays as its writers know it. Two processes may build the same index: whoever has a
chunk first keeps it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from autotrace.backend.search import bits
from autotrace.backend.search.chunk import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

_VERSION: Final = 1
"""`PRAGMA user_version`; a file of another one is made anew."""
_WAIT: Final = 5.0
"""Seconds for which we wait for another process that writes."""
_CACHE_KIB: Final = 8 * 1024
_WAL_LIMIT: Final = 4 * 1024 * 1024

_DDL: Final = f"""
CREATE TABLE about (store TEXT NOT NULL);  -- the identity of the file that this is the index of
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY,
    earliest INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    durations BLOB NOT NULL
);
CREATE TABLE sets (                        -- appended in this order: no page is torn
    chunk INTEGER NOT NULL,
    word INTEGER NOT NULL,
    spans BLOB NOT NULL,
    PRIMARY KEY (chunk, word)
) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""


class SideFile:
    """A connection to the index of the store whose file has this identity; for one thread."""

    def __init__(self, path: str, store: tuple[int, int]) -> None:
        """Open it, after making it when there is none, and anew when it is of another store.

        Raises:
            sqlite3.Error, OSError: It cannot be used.
        """
        self._path = path
        self._store = f"{store[0]}:{store[1]}"
        try:
            self._connection = self._opened()
        except sqlite3.OperationalError:  # busy, or no room
            raise
        except sqlite3.DatabaseError:  # cut off, or something else altogether
            remove(path)
            self._connection = self._opened()

    def close(self) -> None:
        """Release the files."""
        self._connection.close()

    def last(self) -> int:
        """The number of the newest chunk; -1 when there is none."""
        (number,) = self._connection.execute("SELECT ifnull(max(number), -1) FROM chunks").fetchone()
        return int(number)

    def chunks(self, earliest: int, latest: int) -> Iterator[Chunk]:
        """Those with a span that may have started in this range, newest first."""
        rows = self._connection.execute(
            "SELECT number, earliest, latest, durations FROM chunks"
            " WHERE latest >= ? AND earliest <= ? ORDER BY number DESC",
            (earliest, latest),
        )
        return (Chunk(*row) for row in rows)

    def spans(self, chunk: int, word: int) -> int:
        """The set of spans of a chunk that have a word, as bits."""
        row = self._connection.execute(
            "SELECT spans FROM sets WHERE chunk = ? AND word = ?", (chunk, word)
        ).fetchone()
        return 0 if row is None else bits.unpacked(row[0])

    def add(self, chunk: Chunk, sets: Iterable[tuple[int, bytes]]) -> None:
        """Keep a chunk, unless another process was faster."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            if chunk.number > self.last():
                connection.execute("INSERT INTO chunks VALUES (?, ?, ?, ?)", chunk)
                connection.executemany(
                    "INSERT INTO sets VALUES (?, ?, ?)", ((chunk.number, word, spans) for word, spans in sets)
                )

    def drop_before(self, chunk: int) -> None:
        """Forget the chunks before this one; their pages are used again."""
        connection = self._connection
        (first,) = connection.execute("SELECT ifnull(min(number), ?) FROM chunks", (chunk,)).fetchone()
        for number in range(first, chunk):  # one at a time: short transactions
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                connection.execute("DELETE FROM sets WHERE chunk = ?", (number,))
                connection.execute("DELETE FROM chunks WHERE number = ?", (number,))

    def _opened(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # Called directly: `connect` may be instrumented.
        connection = sqlite3.Connection(
            self._path, timeout=_WAIT, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables; afterwards it is the index of our store."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in _DDL.split(";"):
                connection.execute(statement)
        elif version != _VERSION:
            raise sqlite3.DatabaseError("index of another version")
        row = connection.execute("SELECT store FROM about").fetchone()
        if row is None:
            connection.execute("INSERT INTO about VALUES (?)", (self._store,))
        elif row[0] != self._store:
            raise sqlite3.DatabaseError("index of another store")


def remove(path: str) -> None:
    """Throw the index away; whoever has it open goes on with what is left of it."""
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(path + suffix).unlink()
