"""What OpenTelemetry's API asks of the package of this name, from the standard library.

The package itself would change how the whole process finds distributions.
"""

from __future__ import annotations

import sys
from importlib.metadata import (
    Distribution,
    EntryPoint,
    PackageNotFoundError,
    distributions,
    requires,
    version,
)

if sys.version_info >= (3, 10):
    from importlib.metadata import EntryPoints, entry_points
else:

    class EntryPoints(tuple):
        """Entry points of all distributions, to be selected from."""

        __slots__ = ()

        def select(self, **wanted: str) -> EntryPoints:
            """Those that have all the wanted attributes."""
            return EntryPoints(
                found
                for found in self
                if all(getattr(found, name) == value for name, value in wanted.items())
            )

    def entry_points(**wanted: str) -> EntryPoints:
        """The entry points of what is installed, in the order of the path."""
        return EntryPoints(found for each in distributions() for found in each.entry_points).select(**wanted)


__all__ = [
    "Distribution",
    "EntryPoint",
    "EntryPoints",
    "PackageNotFoundError",
    "distributions",
    "entry_points",
    "requires",
    "version",
]
