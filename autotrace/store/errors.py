"""Why the store could not do what it was asked, in a phrase the operator can act on."""

from __future__ import annotations

from typing import Final

BUSY: Final = "store is busy"
CORRUPT: Final = "store is corrupt"


class StoreError(Exception):
    """The store refused; `reason` is one short lowercase phrase without paths or numbers."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreMissingError(StoreError):
    """There is no store yet."""

    def __init__(self) -> None:
        super().__init__("there is no store")


# SQLite's result codes reach Python as text only before 3.11; the texts are those of
# sqlite3_errstr(), unchanged for many years.
_REASONS: Final = (
    ("is locked", BUSY),
    ("locking protocol", BUSY),
    ("readonly database", "store is read-only"),
    ("disk is full", "disk full"),
    ("disk I/O error", "disk error"),
    ("not a database", CORRUPT),
    ("malformed", CORRUPT),
    ("unable to open", "store cannot be opened"),
)


def reason_of(error: Exception) -> str:
    """The reason behind an error of sqlite3 or of the operating system."""
    if isinstance(error, StoreError):
        return error.reason
    text = str(error)
    for part, reason in _REASONS:
        if part in text:
            return reason
    if isinstance(error, OSError):
        return f"store cannot be opened: {(error.strerror or 'unknown error').lower()}"
    return f"store failed: {type(error).__name__}"
