"""Whether an installed library is of a version that a row of the hook table supports."""

from __future__ import annotations

import operator
import os
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from autotrace.patching.hook import Hook

_is_metadata = re.compile(r"([^-]+)-([^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info").fullmatch

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<": operator.lt,
    "!=": operator.ne,
}


def unsupported(hook: Hook) -> str:
    """Why a library cannot be served, empty when it can.

    A library without metadata (vendored, frozen into an executable) is tried: its installer fails
    harmlessly if it must.
    """
    if not hook.versions:
        return ""
    found = installed(hook.distribution)
    if found is None or satisfies(found, hook.versions):
        return ""
    return f"version {found} is installed, {hook.versions} is supported"


def installed(distribution: str) -> str | None:
    """The version of an installed distribution, None when there is no trace of it.

    From the name of its metadata directory, as in `flask-3.1.2.dist-info`, the first on the path: to import
    `importlib.metadata`, which finds the odd ones, takes 19 ms and brings in sockets.
    """
    wanted = _normal(distribution)
    for entry in sys.path:
        try:
            names = os.listdir(entry or os.curdir)  # noqa: PTH208 - pathlib costs 4 ms
        except (OSError, TypeError):
            continue  # an archive, or nothing
        for name in names:
            match = _is_metadata(name)
            if match and _normal(match[1]) == wanted:
                return match[2]
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - see above

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def satisfies(found: str, wanted: str) -> bool:
    """Compare release numbers: `satisfies("3.1.2rc1", ">=2.0,<4")` is true."""
    release = _release(found)
    for clause in wanted.split(","):
        match = re.match(r"\s*(>=|<|!=)\s*([\d.]+)", clause)
        if match and not _COMPARISONS[match[1]](release, _release(match[2])):
            return False
    return True


def _release(text: str) -> tuple[int, ...]:
    numbers = re.match(r"v?(?:\d+!)?(\d+(?:\.\d+)*)", text)
    release = [int(number) for number in numbers[1].split(".")] if numbers else [0]
    while release and release[-1] == 0:
        release.pop()  # 2.0 and 2 are the same release
    return tuple(release)
