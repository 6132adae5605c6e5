"""Whether an installed library is of a version that a row of the hook table supports."""

from __future__ import annotations

import operator
import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from autotrace.patching.hook import Hook

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
    try:
        found = version(hook.distribution)
    except PackageNotFoundError:
        return ""
    if satisfies(found, hook.versions):
        return ""
    return f"version {found} is installed, {hook.versions} is supported"


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
