"""For images in which `PYTHONPATH` cannot be set: a line in the environment's `site-packages`.

    PYTHONPATH=/autotrace python -m autotrace.write_pth

The interpreter reads it at every start. `--remove` takes it back. It is for the interpreter that runs
this, and for the directory that this lies in. Part of the payload, and hence not of the command line.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Final

NAME: Final = "zzz-autotrace.pth"
"""Such files are read in alphabetical order: what others import from theirs is not traced."""

# The payload may be gone when the interpreter starts, and the interpreter may be another one.
_LINE: Final = (
    "import os, sys; home = {home!r}; sys.version_info >= (3, 9) and os.path.isdir(home) and "
    "(sys.path.append(home), __import__('autotrace.bootstrap.pth', fromlist=['arm']).arm(home))\n"
)


def main(arguments: list[str]) -> int:
    """Write the line, or remove it."""
    if arguments not in ([], ["--remove"]):
        sys.stderr.write("usage: python -m autotrace.write_pth [--remove]\n")
        return 2
    file = Path(sysconfig.get_path("purelib")) / NAME
    try:
        if arguments:
            file.unlink()
        else:
            file.write_text(_LINE.format(home=str(Path(__file__).resolve().parents[1])), encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"autotrace: {file}: {error.strerror}\n")
        return 1
    sys.stdout.write(f"{file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
