"""No SQLite connection of ours lives through a fork.

A forked child cannot use its parent's connection, cannot close it, and, what is less known, cannot
safely open one of its own while the parent's was open at the moment of the fork: SQLite keeps a
table of open files per process and believes what it says about the locks held, the child inherits
the table but not the locks, and from then on reads and writes without them. The result is a corrupt
database for everybody. So the connection is closed before the fork (parent and child open a new one
with their next span), by Python's fork hooks.

A fork that found the connection in the middle of a write, or that Python did not see (a C program
with an embedded interpreter), leaves no safe way: the child never touches SQLite on this store
again, and says so as the reason for its losses.

See "carrying an open database across a fork" in https://www.sqlite.org/howtocorrupt.html
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

from autotrace.store.errors import StoreError

if TYPE_CHECKING:
    import sqlite3
    from typing import Final

_PATIENCE: Final = 0.5
"""Seconds that a fork waits for a write to end; a write takes milliseconds."""

_holders: weakref.WeakSet[Holder] = weakref.WeakSet()
_inherited: list[sqlite3.Connection] = []
"""Kept for ever: collecting one would close it."""

_hooked = False


class Holder:
    """Holds at most one connection, and the lock under which it is used."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        """To be held from taking the connection to the end of the transaction, and no longer."""
        self.connection: sqlite3.Connection | None = None
        self._held = False
        _watch(self)

    def close(self) -> None:
        """Close the connection, if there is one; the caller holds the lock."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def before_fork(self) -> None:
        """Let a running write end, then close; `lock` stays held until the fork is over."""
        self._held = self.lock.acquire(timeout=_PATIENCE)
        if self._held:
            self.close()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._held:
            self._held = False
            self.lock.release()

    def after_fork_in_child(self) -> None:
        """Start afresh, or give up: the parent's lock and connection are not ours."""
        self._held = False
        self.lock = threading.Lock()
        if self.connection is not None:
            _inherited.append(self.connection)
            self.connection = None


def check() -> None:
    """Raise StoreError when this process must not open a connection."""
    if _inherited:
        raise StoreError("store was in use when this process was forked")


def _watch(holder: Holder) -> None:
    global _hooked  # noqa: PLW0603 - fork hooks cannot be taken back: one set for the process
    _holders.add(holder)
    if not _hooked:
        _hooked = True
        os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


def _before() -> None:
    for holder in list(_holders):
        holder.before_fork()


def _after_in_parent() -> None:
    for holder in list(_holders):
        holder.after_fork_in_parent()


def _after_in_child() -> None:
    for holder in list(_holders):
        holder.after_fork_in_child()
