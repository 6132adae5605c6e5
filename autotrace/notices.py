"""What autotrace has to say to the operator: single lines on stderr, never on stdout.

Not the `logging` module: it belongs to the application, may not be imported at start, and a record
written while the application configures it would land in its files. Every line starts with
`autotrace: `. A line that could repeat carries a `topic`, and is then said once a minute at most.

Safe from any thread and after a fork; never raises.
"""

from __future__ import annotations

import sys
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

NONE: Final = 0
ERROR: Final = 1
WARN: Final = 2
INFO: Final = 3
DEBUG: Final = 4

OF_A_CHILD: Final = "_AUTOTRACE_ARMED"
"""A variable for whatever the program starts: an interpreter there that cannot be traced says nothing."""

REPEAT_AFTER: Final = 60.0
"""Seconds for which a topic stays silent after it has spoken."""

_MAX_TOPICS: Final = 256

_level = INFO
_spoken: dict[str, float] = {}


def set_level(level: int) -> None:
    """Say nothing above `level` from now on (`OTEL_LOG_LEVEL`)."""
    global _level  # noqa: PLW0603 - one voice for the whole process
    _level = level


def error(message: str, topic: str | None = None) -> None:
    """Say that something of ours is broken."""
    _say(ERROR, message, topic)


def warn(message: str, topic: str | None = None) -> None:
    """Say that something is not as the operator meant it, and what is done instead."""
    _say(WARN, message, topic)


def info(message: str, topic: str | None = None) -> None:
    """Say a fact worth one line at start or exit."""
    _say(INFO, message, topic)


def debug(message: str, topic: str | None = None) -> None:
    """Say what only somebody who searches wants to read."""
    _say(DEBUG, message, topic)


def _say(level: int, message: str, topic: str | None) -> None:
    if level > _level:
        return
    try:
        if topic is not None and not _may_speak(topic):
            return
        # One write: lines of several threads and processes do not mix.
        sys.stderr.write("autotrace: " + message.replace("\n", " ") + "\n")
        sys.stderr.flush()
    except Exception:
        pass  # stderr may be closed, full, or None under pythonw: there is nobody left to tell


def _may_speak(topic: str) -> bool:
    now = monotonic()
    if len(_spoken) >= _MAX_TOPICS:
        _spoken.clear()
    last = _spoken.setdefault(topic, now)  # of several threads one is the first
    if last is now:
        return True
    if now - last < REPEAT_AFTER:
        return False
    _spoken[topic] = now
    return True
