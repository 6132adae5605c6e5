"""The store's files: created whole by one of many processes, and moved aside when broken.

Nothing here opens the database file while SQLite may have it open: POSIX drops all locks of a
process on a file when any of its descriptors is closed, SQLite's with them. `stat`, `rename` and
`unlink` go by name and are harmless.
"""
# Paths here are plain strings: pathlib costs more to import than this module does.
# ruff: noqa: PTH103, PTH104, PTH108, PTH111, PTH116, PTH118, PTH120, PTH208

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from autotrace.store.errors import BUSY, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Final

DATABASE: Final = "traces.db"
"""Its name under the home directory."""

_WAL_FILES: Final = ("-wal", "-shm")
_POLL: Final = 0.005


def database_in(home: str, environ: Mapping[str, str]) -> str:
    """The path of the database under `home`; where that is empty, under the user's state directory.

    Spec: https://specifications.freedesktop.org/basedir-spec/latest/
    """
    if not home:
        state = environ.get("XDG_STATE_HOME", "")
        if not state.startswith("/"):  # a relative one is invalid, says the specification
            state = os.path.expanduser("~/.local/state")
        home = os.path.join(state, "autotrace")
    return os.path.join(os.path.expanduser(home), DATABASE)


def identity(path: str) -> tuple[int, int] | None:
    """Which file `path` names now; None when there is none, or an empty one, which is no database yet."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (status.st_dev, status.st_ino) if status.st_size else None


def create(path: str, build: Callable[[str], None], deadline: float) -> None:
    """Make the database at `path` unless it exists; `build` fills a file that nobody else sees yet.

    The directory is made with mode 0700, the file with 0600, whatever the umask.

    Args:
        path: Of the database.
        build: Called with the path of an empty file to make the database in.
        deadline: On the clock of `time.monotonic()`.

    Raises:
        OSError: The directory cannot be made or written.
        StoreError: Others held the lock until the deadline.
    """
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with _locked(directory, deadline):
        if identity(path) is not None:
            return
        unborn = path + ".new"
        for leftover in (unborn, *(unborn + suffix for suffix in _WAL_FILES)):
            _unlink(leftover)  # of a process that was killed here: the lock is ours
        os.close(os.open(unborn, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        build(unborn)
        for suffix in _WAL_FILES:
            _unlink(path + suffix)  # of a database that somebody removed: it would be replayed into ours
        os.rename(unborn, path)


def move_aside(path: str, broken: tuple[int, int], deadline: float) -> str | None:
    """Rename the corrupt database that `broken` identifies to `traces.db.corrupt-<time>`.

    An earlier one is removed: what is kept for a look stays bounded.

    Returns:
        Its new path; None when somebody else has moved it already.

    Raises:
        OSError: It cannot be renamed.
        StoreError: Others held the lock until the deadline.
    """
    directory, name = os.path.split(path)
    with _locked(directory, deadline):
        if identity(path) != broken:
            return None
        prefix = f"{name}.corrupt-"
        for old in os.listdir(directory):
            if old.startswith(prefix):
                _unlink(os.path.join(directory, old))
        aside = os.path.join(directory, prefix + time.strftime("%Y%m%dT%H%M%S"))
        # The database first: without it, nobody opens the other two by name any more.
        os.rename(path, aside)
        for suffix in _WAL_FILES:
            with suppress(FileNotFoundError):
                os.rename(path + suffix, aside + suffix)
        return aside


@contextmanager
def _locked(directory: str, deadline: float) -> Iterator[None]:
    """Hold the directory's own lock: it needs no lock file, and goes with the process."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StoreError(BUSY) from None
                time.sleep(_POLL)
        try:
            yield
        finally:
            # Not by closing alone: a child forked meanwhile holds a copy of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
