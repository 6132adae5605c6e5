"""What a forked child has to make anew: locks that may be held for ever, threads that are gone, identities.

Python calls at `os.fork`. A C program that embeds Python and forks by itself may not tell it (uWSGI
does not); whoever hears of such a fork calls `start_afresh`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from autotrace import notices

if TYPE_CHECKING:
    from collections.abc import Callable

_methods: list[WeakMethod[Callable[[], Any]]] = []
_process = os.getpid()


def in_child(method: Callable[[], Any]) -> None:
    """Call a bound method in every forked child, as long as its object lives; in the order of these calls."""
    _methods[:] = [kept for kept in _methods if kept() is not None]
    _methods.append(WeakMethod(method))


def start_afresh() -> None:
    """Call them, once in a process."""
    global _process  # noqa: PLW0603 - there is one process
    if _process == os.getpid():
        return
    _process = os.getpid()
    for reference in _methods:
        method = reference()
        if method is None:
            continue
        try:
            method()
        except Exception as error:
            notices.error(f"a forked child could not start afresh: {error!r:.300}")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=start_afresh)
