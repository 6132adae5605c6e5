"""`autotrace doctor`: the subcommand."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from autotrace.store.style import Style

if TYPE_CHECKING:
    from typing import Final

_LAUNCHER: Final = "autotrace-run"
_MISUSED: Final = 2


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the subcommand."""
    parser = commands.add_parser(
        "doctor",
        parents=[common],
        help="find out why there are no traces",
        description="Look at everything that stands between a program and its traces, and send a test span. "
        "Put it before the command that starts your program, with autotrace-run and its options or without.",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "command", metavar="COMMAND", nargs=argparse.REMAINDER, help="what starts the program"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Examine, and print what was found."""
    # The network, the settings' table: the other subcommands need not wait for them.
    from autotrace.cli.doctor.examination import examine  # noqa: PLC0415
    from autotrace.cli.doctor.report import as_json, as_text, problems  # noqa: PLC0415
    from autotrace.settings.options import UsageError, understood  # noqa: PLC0415

    environ = dict(os.environ)
    if arguments.home:
        environ["AUTOTRACE_HOME"] = arguments.home
    command = [word for number, word in enumerate(arguments.command) if number or word != "--"]
    options: dict[str, str] = {}
    if command and os.path.basename(command[0]) == _LAUNCHER:  # noqa: PTH119
        try:
            line = understood(command[1:])
        except UsageError as error:
            sys.stderr.write(f"{_LAUNCHER}: {error}\n")
            return _MISUSED
        options, command = line.variables, line.command
    sections = examine(command, {**environ, **options}, options)
    if arguments.json:
        json.dump(as_json(sections), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        for text in as_text(sections, Style.of(sys.stdout, os.environ)):
            sys.stdout.write(text + "\n")
    return 1 if problems(sections) else 0
