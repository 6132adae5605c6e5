"""Started by the line that `autotrace.write_pth` has put into the environment.

The interpreter reads such lines before the path is complete: what it is made of is only asked when
the first library is traced.
"""

from __future__ import annotations

import sys

from autotrace import bootstrap


def arm(home: str) -> None:
    """Take `home` off the path again, where the line has put it last to import this, and watch imports."""
    if sys.path[-1:] == [home]:
        del sys.path[-1]
    bootstrap.arm()
