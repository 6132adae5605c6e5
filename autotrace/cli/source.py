"""What the subcommands that read traces share: from the local store, or from a server."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from autotrace import settings
from autotrace.store.errors import StoreError, StoreMissingError
from autotrace.store.files import database_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from autotrace.cli.remote import Remote
    from autotrace.store.reader import Reader

REMOTE_TRACES: Final = 500
"""That figures about many traces are made of: a server sends them whole, all at once."""


def add_source_to(parser: argparse.ArgumentParser) -> None:
    """Options that say where the traces are."""
    parser.add_argument(
        "--from",
        dest="source",
        metavar="URL",
        type=_url,
        help="ask a Jaeger or Zipkin server instead, such as http://127.0.0.1:16686 or http://127.0.0.1:9411",
    )
    parser.add_argument(
        "--header",
        dest="headers",
        metavar="NAME:VALUE",
        action="append",
        default=[],
        type=_header,
        help="sent to that server, such as 'Authorization: Bearer ...'; may repeat",
    )


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Reader | Remote | None]:
    """A reader of the server or the store that the options say; None when there is no store yet."""
    if arguments.source:
        from autotrace.cli.remote import Remote  # noqa: PLC0415 - brings an HTTP client

        yield Remote(arguments.source, dict(arguments.headers))
        return
    try:
        from autotrace.store.reader import Reader  # noqa: PLC0415 - sqlite3, which may not have been built
    except ImportError:
        raise StoreError("no sqlite3 in this interpreter") from None
    try:
        reader = Reader(_database(arguments.home))
    except StoreMissingError:
        yield None
        return
    with reader:
        yield reader


def say_empty(arguments: argparse.Namespace) -> None:
    """Tell how to make traces."""
    if arguments.source:
        sys.stderr.write(f"no traces at {arguments.source}\n")
        return
    sys.stderr.write(
        "no traces yet: make some with `autotrace-run python app.py`, then look again"
        f" (the store is {_database(arguments.home)})\n"
    )


def _database(home: str) -> str:
    return database_in(home or settings.parse(os.environ).home, os.environ)


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"not an http:// or https:// address: {text!r}")
    return text


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or "\n" in text or "\r" in text:
        raise argparse.ArgumentTypeError("must be NAME:VALUE")
    return name.strip(), value.strip()
