"""What each thread has one of for as long as a file stays the same, and what must be closed in the end."""

from __future__ import annotations

import threading
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """Whatever holds a file open."""

    def close(self) -> None:
        """Let go of it; from any thread."""


T = TypeVar("T", bound=Closable)


class PerThread(Generic[T]):
    """One `T` for each thread, opened for a state of the world, as `identity` names it."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._all: set[T] = set()  # adding and removing one are atomic

    def get(self, identity: object) -> T | None:
        """This thread's, if it was opened for `identity`; another one is closed."""
        opened: tuple[object, T] | None = getattr(self._own, "opened", None)
        if opened is None:
            return None
        if opened[0] == identity:
            return opened[1]
        self.drop()
        return None

    def put(self, identity: object, opened: T) -> T:
        """Keep one for this thread."""
        self._own.opened = (identity, opened)
        self._all.add(opened)
        return opened

    def drop(self) -> None:
        """Close this thread's, if there is one."""
        opened: tuple[object, T] | None = getattr(self._own, "opened", None)
        if opened is not None:
            del self._own.opened
            self._all.discard(opened[1])
            opened[1].close()

    def close(self) -> None:
        """Close every thread's; none of them may be in use."""
        while self._all:
            self._all.pop().close()
