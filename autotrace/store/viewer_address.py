"""Where a viewer shows this store: `autotrace ui` leaves its address in a file beside it, as long as it runs.

The file is locked by the process that wrote it, so that one left by a killed process says nothing.
"""
# Paths here are plain strings, as in `files`.
# ruff: noqa: PTH108

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

_SUFFIX: Final = ".viewer"
_MAX_LENGTH: Final = 200


@contextmanager
def announced(database: str, url: str) -> Iterator[None]:
    """Tell that `url` shows the store at `database`; who says so first is believed. Never raises."""
    path = database + _SUFFIX
    descriptor = -1
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, url.encode())
    try:
        yield
    finally:
        if descriptor >= 0:
            with suppress(OSError):
                if _locks(descriptor, fcntl.LOCK_EX):  # ours: no other viewer is the first
                    os.unlink(path)
            os.close(descriptor)


def address(database: str) -> str:
    """The address of the viewer that shows the store at `database` now; else empty. Never raises."""
    try:
        descriptor = os.open(database + _SUFFIX, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if _locks(descriptor, fcntl.LOCK_SH):
            return ""  # its viewer was killed
        url = os.read(descriptor, _MAX_LENGTH).decode("ascii")
    except (OSError, ValueError):
        return ""
    finally:
        os.close(descriptor)
    return url if url.startswith("http://") and url.isprintable() else ""


def _locks(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
