"""`autotrace`: the command that looks at traces. One module per subcommand.

Exit codes: 0 done, 1 not found or not readable, 2 misused, 130 interrupted, 141 the reader of our
output went away (as a shell reports it).
"""

from __future__ import annotations

import argparse
import os
import sys
from io import TextIOWrapper

from autotrace import __version__, notices
from autotrace.cli import diff, payload, show, slow, stats, tail, traces, ui
from autotrace.cli.doctor import command as doctor
from autotrace.cli.graph import command as graph
from autotrace.store.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_FAILED: Final = 1
_INTERRUPTED: Final = 130
_BROKEN_PIPE: Final = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script."""
    notices.set_level(notices.ERROR)  # a setting that is wrong concerns traced programs, not this command
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # names may hold what the terminal's encoding does not
    parsed = _parser().parse_args(arguments, argparse.Namespace(home=""))
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at exit, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except StoreError as error:
        sys.stderr.write(f"autotrace: {error.reason}\n")
        return _FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--home",
        metavar="DIR",
        default=argparse.SUPPRESS,  # it may stand before the subcommand or after it
        help="where the store is (default: $AUTOTRACE_HOME, else autotrace in the user's state directory)",
    )
    parser = argparse.ArgumentParser(
        prog="autotrace",
        description="Look at the traces that programs started with autotrace-run left on this machine.",
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"autotrace {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (traces, show, tail, slow, stats, graph, diff, ui, payload, doctor):
        command.add_to(commands, common)
    return parser


if __name__ == "__main__":
    sys.exit(main())
