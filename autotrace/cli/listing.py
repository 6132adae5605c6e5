"""How the listings answer: in JSON, as a table, or by a line that says why there is none."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from autotrace.cli.source import say_empty
from autotrace.store.style import Style, width_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable
    from typing import Any


def tell(
    arguments: argparse.Namespace,
    document: Callable[[], Any],
    table: Callable[[int, Style], Iterable[str]],
    *,
    empty: bool,
    found: bool,
    newest: str = "",
) -> None:
    """Write what was found.

    Args:
        arguments: `json` asks for the document.
        document: Makes what JSON says.
        table: Makes the lines, of so many columns in this style.
        empty: There are no traces at all.
        found: There is something to list.
        newest: What was looked at, where that is not all: `12 traces`.
    """
    if arguments.json:
        json.dump(document(), sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif empty:
        say_empty(arguments)
    elif not found:
        sys.stderr.write("no trace matches\n")
    else:
        for line in table(width_of(sys.stdout, os.environ), Style.of(sys.stdout, os.environ)):
            sys.stdout.write(line + "\n")
        if newest:
            sys.stderr.write(f"looked at the newest {newest} only; `--last` narrows the time\n")
