"""The end of the process, where what waits is sent: after all that the application does at its own.

Python calls exit functions from the last registered to the first. Ours is registered at interpreter
start, before any of the application's: spans that those make are sent too.
"""

from __future__ import annotations

import atexit
import sys
from _weakref import ref

from autotrace import notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_steps: list[Callable[[], object]] = []
_registered: ref[Any] | None = None
"""Dead when the list of exit functions has been emptied: nobody else holds the function."""

_OUTERMOST = frozenset({("__main__", "<module>"), ("runpy", "_run_module_as_main")})
"""Module and name of the first function of a program, as a script and by `-m`."""


def watch() -> None:
    """Be there at the end; a second time does nothing unless the application has sent us away."""
    global _registered  # noqa: PLW0603 - there is one end
    if _registered is not None and _registered() is not None:
        return

    def end() -> None:
        _end()

    atexit.register(end)
    _registered = ref(end)


def persist() -> None:
    """Survive an application that empties the list of exit functions; called once `threading` is there."""
    register: Any = getattr(sys.modules["threading"], "_register_atexit", None)
    if register is not None:
        register(watch)  # at the end of the main thread, before any exit function


def at_end(step: Callable[[], object]) -> None:
    """Call `step` at the end of the process; the last one given is the first called."""
    _steps.append(step)


def _end() -> None:
    interrupted = _interrupted()
    while _steps:
        try:
            _steps.pop()()
        except KeyboardInterrupt:
            notices.warn("interrupted while what was left was being sent: it is lost")
            _steps.clear()
            interrupted = True
        except Exception as error:
            notices.error(f"could not end in order: {error!r:.300}")
    if interrupted:
        _remain_interrupted()


def _interrupted() -> bool:
    """Whether a KeyboardInterrupt has ended the program, which then dies of SIGINT when all is done."""
    traceback = getattr(sys, "last_traceback", None)
    if traceback is None or getattr(sys, "last_type", None) is not KeyboardInterrupt:
        return False
    frame = traceback.tb_frame
    return (frame.f_globals.get("__name__"), frame.f_code.co_name) in _OUTERMOST


def _remain_interrupted() -> None:
    """Up to 3.13 Python forgets it when code is evaluated from a string, as importing any `NamedTuple` does.

    From 3.14 on it knows without us how the program has ended, and cannot be told.
    """
    try:
        exec("raise KeyboardInterrupt")  # noqa: S102 - a constant; it is how Python learns of it
    except KeyboardInterrupt:
        pass
