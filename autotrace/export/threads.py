"""Threads of ours in a process that is not ours.

Whether one can work is not for us to decide under uWSGI. There a worker is forked by C code, without
Python's hooks: a thread of the master's would not be there. And a worker without threads holds the
interpreter's lock between requests: a thread would hardly run.
"""

from __future__ import annotations

import os
import sys
import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from autotrace import notices

if TYPE_CHECKING:
    from typing import Final

FORK_WAITS: Final = 0.1
"""Seconds that a fork waits for a thread to end; when idle, it takes a tenth of a millisecond."""
IMPORT_WAITS: Final = 2.0
"""Seconds that a fork waits for a thread that is importing: an exporter, with the first batch."""

NOW: Final = 0
LATER: Final = 1
NEVER: Final = 2


def greenlets() -> bool:
    """Whether gevent or eventlet have put greenlets in the place of threads."""
    gevent: Any = sys.modules.get("gevent.monkey")
    eventlet: Any = sys.modules.get("eventlet.patcher")
    return bool(
        (gevent is not None and gevent.is_module_patched("threading"))
        or (eventlet is not None and eventlet.is_monkey_patched("thread"))
    )


def _beside_the_hub() -> bool:
    """Whether this is a thread of a pool, where a greenlet would hardly run; known on Linux alone."""
    return sys.platform == "linux" and threading.get_native_id() != os.getpid()


def allowed() -> int:
    """`NOW`, `LATER` when others are to start it, `NEVER` where threads are switched off."""
    if greenlets() and _beside_the_hub():
        return LATER
    uwsgi: Any = sys.modules.get("uwsgi")  # a module of the embedding program, nowhere else to be found
    if uwsgi is None or not hasattr(uwsgi, "worker_id"):
        return NOW
    if not (uwsgi.worker_id() or uwsgi.mule_id() or uwsgi.i_am_the_spooler()):
        return LATER
    if uwsgi.has_threads:
        return NOW
    if uwsgi.worker_id() == 1:
        notices.warn(
            "uWSGI runs without threads: spans are sent at the end of each request; "
            "--enable-threads is recommended",
            "uwsgi without threads",
        )
    return NEVER


def unwatched() -> None:
    """Keep the application's debugger, profiler and coverage out of the thread that calls.

    `threading.settrace` has brought them in, and its function may fail when the interpreter closes.
    """
    if greenlets():
        return  # it is the application's own thread
    thread: Any = threading.current_thread()
    thread.pydev_do_not_trace = True  # pydevd goes by that, and complains when others take it off
    if "pydevd" not in sys.modules:
        if sys.gettrace() is not None:
            sys.settrace(None)
        if sys.getprofile() is not None:
            sys.setprofile(None)


def ends_before_fork(thread: threading.Thread) -> bool:
    """Wait a moment for a thread that has been told to end; False when it goes on.

    Python 3.12 calls a thread ended a moment before the system does, and counts the system's at a fork.
    """
    thread.join(FORK_WAITS)
    if thread.is_alive():
        return False
    task = f"/proc/self/task/{thread.native_id}"
    end = monotonic() + FORK_WAITS
    while os.path.exists(task) and monotonic() < end:  # noqa: PTH110 - nothing more is needed
        sleep(0.0002)
    return True


def imports_before_fork(thread: threading.Thread) -> None:
    """Wait while `thread` imports: a child would keep half a module for ever, and the lock on it."""
    end = monotonic() + IMPORT_WAITS
    while _is_importing(thread) and monotonic() < end:
        sleep(0.001)


def _is_importing(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0) if thread.is_alive() else None
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
