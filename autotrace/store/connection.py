"""Connections to the store, made past our own sqlite3 instrumentation.

`sqlite3.Connection` is called directly: the instrumentation patches `connect`, and a store that
traces itself would never come to rest. Statements are autocommit; transactions are explicit.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from autotrace.store import files
from autotrace.store.errors import StoreError, StoreMissingError
from autotrace.store.schema import APPLICATION_ID, DDL, VERSION

if TYPE_CHECKING:
    from typing import Final

WAIT_STEP: Final = 0.05
"""Seconds for which SQLite itself waits for a lock; whoever wants to wait longer tries again."""

_READ_WAIT: Final = 5.0
_MAX_WAL: Final = 16 * 1024 * 1024
"""Bytes; the larger, the more changes a page is written back for: 9 % more spans a second than with 4 MiB."""
_MIN_WAL: Final = 256 * 1024
_WRITER_CACHE_KIB: Final = 1024  # of the application's memory; appending touches few pages
_READER_CACHE_KIB: Final = 16 * 1024


def open_writer(path: str, deadline: float, wal_bytes: int = _MAX_WAL) -> sqlite3.Connection:
    """A connection that may write, to a store that is made when there is none.

    It may move between threads, one at a time, and must not cross a fork (see `forks`).

    Args:
        path: Of the database.
        deadline: Until when to wait for others who are making it, on the clock of `time.monotonic()`.
        wal_bytes: How large the WAL may become, about, before it is written back.

    Raises:
        StoreError: Of a kind or version that we must not touch, or busy.
        sqlite3.Error, OSError: It cannot be opened or made.
    """
    if files.identity(path) is None:
        files.create(path, _build, deadline)
    connection = _connect(path, WAIT_STEP)
    try:
        _check(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        wal_bytes = max(_MIN_WAL, min(wal_bytes, _MAX_WAL))
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA wal_autocheckpoint = {wal_bytes // page_bytes}")
        connection.execute(f"PRAGMA journal_size_limit = {wal_bytes}")
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: str) -> sqlite3.Connection:
    """A connection that only reads.

    Raises:
        StoreMissingError: Nothing was stored yet.
        StoreError: Of a kind or version that we cannot read.
        sqlite3.Error, OSError: It cannot be opened.
    """
    if files.identity(path) is None:
        raise StoreMissingError
    connection = _connect(path, _READ_WAIT)
    try:
        _check(connection)
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_empty() -> sqlite3.Connection:
    """A connection to an empty store in memory."""
    connection = sqlite3.Connection(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(DDL)
    return connection


def _connect(path: str, wait: float) -> sqlite3.Connection:
    # mode=rw: a database that vanished must not come back empty, outside of files.create.
    name = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return sqlite3.Connection(
        f"file:{name}?mode=rw", timeout=wait, isolation_level=None, check_same_thread=False, uri=True
    )


def _check(connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise StoreError("file is not an autotrace store")
    if version > VERSION:
        raise StoreError("store was made by a newer autotrace")


def _build(path: str) -> None:
    """Make an empty store in the empty file `path`; when closed it is one file, without a WAL."""
    connection = _connect(path, WAIT_STEP)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only before the first table
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(DDL)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    finally:
        connection.close()
