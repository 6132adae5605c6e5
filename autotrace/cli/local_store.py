"""What the subcommands that read the local store share."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from autotrace import settings
from autotrace.store.errors import StoreError, StoreMissingError
from autotrace.store.files import database_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotrace.store.reader import Reader


@contextmanager
def opened(home: str) -> Iterator[Reader | None]:
    """A reader of the store under `home` (empty: where the settings say); None when there is none yet."""
    try:
        from autotrace.store.reader import Reader  # noqa: PLC0415 - sqlite3, which may not have been built
    except ImportError:
        raise StoreError("no sqlite3 in this interpreter") from None
    try:
        reader = Reader(_database(home))
    except StoreMissingError:
        yield None
        return
    with reader:
        yield reader


def say_empty(home: str) -> None:
    """Tell how to make traces."""
    sys.stderr.write(
        "no traces yet: make some with `autotrace-run python app.py`, then look again"
        f" (the store is {_database(home)})\n"
    )


def _database(home: str) -> str:
    return database_in(home or settings.parse(os.environ).home, os.environ)
