"""Options that several subcommands take."""

from __future__ import annotations

import argparse
import time

from autotrace.store.quantities import parse_duration


def duration(text: str) -> int:
    """Nanoseconds."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive(text: str) -> int:
    """A number of things."""
    if not text.isascii() or not text.isdigit() or not 0 < len(text) <= 9 or not int(text):  # noqa: PLR2004 - an int32
        raise argparse.ArgumentTypeError(f"not a positive number: {text!r}")
    return int(text)


def add_last_to(parser: argparse.ArgumentParser) -> None:
    """The option that narrows the time; `start_of` reads it."""
    parser.add_argument(
        "--last",
        "--since",
        type=duration,
        default=None,
        metavar="TIME",
        help="only traces of this time, such as 1h (default: the newest, whenever that was)",
    )


def start_of(arguments: argparse.Namespace) -> int:
    """Nanoseconds since the epoch; 0 when the time was not narrowed."""
    return 0 if arguments.last is None else max(0, time.time_ns() - arguments.last)
