"""Where traces are read from: the local store, or the query API of a server."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from autotrace import settings
from autotrace.store.errors import StoreError, StoreMissingError
from autotrace.store.files import database_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final, Union

    from autotrace.analysis.remote import Remote
    from autotrace.store.reader import Reader
    from autotrace.store.records import SpanRecord
    from autotrace.store.search import Query

    Source = Union[Reader, Remote]

MAX_REMOTE_TRACES: Final = 500
"""That figures about many traces are made of: a server sends them whole, all at once."""


@contextmanager
def opened(url: str, headers: Mapping[str, str], home: str) -> Iterator[Source | None]:
    """The server at `url`, or without one the store in `home`; None when there is no store yet.

    Raises:
        StoreError: It cannot be read, or the server is none of Jaeger's or Zipkin's.
    """
    if url:
        from autotrace.analysis.remote import Remote  # noqa: PLC0415 - brings an HTTP client

        yield Remote(url, headers)
        return
    try:
        from autotrace.store.reader import Reader  # noqa: PLC0415 - sqlite3, which may not have been built
    except ImportError:
        raise StoreError("no sqlite3 in this interpreter") from None
    try:
        reader = Reader(database(home))
    except StoreMissingError:
        yield None
        return
    with reader:
        yield reader


def database(home: str) -> str:
    """The path of the store in `home`; empty for where programs leave theirs."""
    return database_in(home or settings.parse(os.environ).home, os.environ)


def traces_of(source: Source, query: Query) -> list[list[SpanRecord]]:
    """The spans of each trace that matches, newest trace first."""
    from autotrace.store.reader import Reader  # noqa: PLC0415

    if not isinstance(source, Reader):
        return source.traces(query)
    with source.snapshot():
        return [source.trace(trace_id) for trace_id in source.matching(query)]
