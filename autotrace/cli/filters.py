"""Options that say which traces are meant: the viewer's filters."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from autotrace.cli.arguments import add_last_to, duration, start_of

if TYPE_CHECKING:
    from autotrace.store.search import Query


def add_filters_to(parser: argparse.ArgumentParser) -> None:
    """All of them; `query_of` reads them. A trace is meant when one of its spans meets all conditions."""
    parser.add_argument("--service", metavar="NAME", default="", help="of the span")
    parser.add_argument("--operation", metavar="NAME", default="", help="the span's exact name")
    parser.add_argument(
        "--tag",
        dest="tags",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        type=_tag,
        help="an attribute of the span, its resource or its scope; may repeat",
    )
    parser.add_argument("--errors", action="store_true", help="only failed spans")
    parser.add_argument("--min-duration", type=duration, default=0, metavar="TIME", help="such as 100ms")
    parser.add_argument("--max-duration", type=duration, default=None, metavar="TIME", help="such as 1.5s")
    add_last_to(parser)


def query_of(arguments: argparse.Namespace, limit: int) -> Query:
    """What the options ask for, at most `limit` traces of it."""
    from autotrace.store.search import Query  # noqa: PLC0415 - beside the reader

    return Query(
        service=arguments.service,
        operation=arguments.operation,
        errors_only=arguments.errors,
        min_duration=arguments.min_duration,
        max_duration=arguments.max_duration,
        start=start_of(arguments),
        limit=limit,
        tags=tuple(arguments.tags),
    )


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key.strip() or not equals:
        raise argparse.ArgumentTypeError(f"must be KEY=VALUE: {text!r}")
    return key.strip(), value.strip()
