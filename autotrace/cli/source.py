"""Options that say where the traces are: in the local store, or at a server."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from autotrace.analysis import source

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Final

    from autotrace.analysis.source import Source

REMOTE_TRACES: Final = source.MAX_REMOTE_TRACES
"""See there."""


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


def opened(arguments: argparse.Namespace) -> AbstractContextManager[Source | None]:
    """The server or the store that the options say; None when there is no store yet."""
    return source.opened(arguments.source, dict(arguments.headers), arguments.home)


def say_empty(arguments: argparse.Namespace) -> None:
    """Tell how to make traces."""
    if arguments.source:
        sys.stderr.write(f"no traces at {arguments.source}\n")
        return
    sys.stderr.write(
        "no traces yet: make some with `autotrace-run python app.py`, then look again"
        f" (the store is {source.database(arguments.home)})\n"
    )


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"not an http:// or https:// address: {text!r}")
    return text


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or "\n" in text or "\r" in text:
        raise argparse.ArgumentTypeError("must be NAME:VALUE")
    return name.strip(), value.strip()
