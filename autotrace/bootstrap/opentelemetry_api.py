"""The OpenTelemetry API of this process: the program's own, or a payload's where it has none.

The two are never mixed: both are parts of the namespace `opentelemetry`, and with both on the path a
program whose version is old would find the new one's modules among its own.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

OLDEST: Final = "1.20"


def provide(home: str) -> None:
    """Make the API importable. Not at interpreter start: only now is the path what the program made of it.

    Args:
        home: The directory that holds autotrace, and in a payload the API too.

    Raises:
        ImportError: There is none, or the program's own is too old.
    """
    try:
        from opentelemetry.version import __version__ as found  # noqa: PLC0415
    except ModuleNotFoundError:
        directory = os.path.join(home, "opentelemetry-api")  # noqa: PTH118 - pathlib costs 4 ms
        if not os.path.isdir(directory):  # noqa: PTH112
            raise
        sys.path.append(directory)
        return

    from autotrace.patching.versions import satisfies  # noqa: PLC0415 - not at interpreter start

    if not satisfies(found, f">={OLDEST}"):
        raise ImportError(f"opentelemetry-api {found} is installed, {OLDEST} or newer is needed")
