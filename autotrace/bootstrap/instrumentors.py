"""OpenTelemetry's instrumentors that are installed beside us, and the libraries they are for.

Those for libraries that we have no module for become rows of the hook table; only where OpenTelemetry's
package for instrumentors is there at all. Names of directories and a few small files tell enough:
`importlib.metadata` would cost 20 ms and bring in sockets, the instrumentors themselves their libraries.
"""

from __future__ import annotations

import os
import sys

from autotrace.patching.hook import Hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import ModuleType
    from typing import Final

    from autotrace.patching.patcher import Patcher

_GROUP: Final = "opentelemetry_instrumentor"
_NO_LIBRARY: Final = frozenset({"test", "tests", "docs", "examples", "benchmarks", "scripts"})
"""What some distributions leave behind at the top of `site-packages`."""


class Instrumentor:
    """One entry point.

    Args:
        name: Its name, by which it can be switched off.
        reference: `package.module:Class`.
        distribution: What brings it.
        library: The distribution that it is for; empty when that is not installed, or not known.
        modules: What the program imports when it uses the library; empty when that is not known here.
        standard: Whether the library is a module of Python's own.
    """

    __slots__ = ("distribution", "library", "modules", "name", "reference", "standard")

    def __init__(
        self,
        name: str,
        reference: str,
        distribution: str,
        library: str,
        modules: tuple[str, ...],
        standard: bool = False,
    ) -> None:
        self.name = name
        self.reference = reference
        self.distribution = distribution
        self.library = library
        self.modules = modules
        self.standard = standard

    def known(self, hooks: Iterable[Hook]) -> str:
        """The library of ours that is the same, empty where there is none."""
        packages = {_package(module) for module in self.modules}
        same = [hook.library for hook in hooks if _package(hook.module) in packages]
        return self.name if self.name in same else next(iter(same), "")

    def rows(self) -> list[Hook]:
        """Have it run when one of its modules has been imported."""
        by = self.reference.partition(":")[0]

        def install(_module: ModuleType, patcher: Patcher) -> None:
            from autotrace.instrumentation.instrumentors import run  # noqa: PLC0415 - not at start

            run(self.reference, patcher)

        return [
            Hook(self.name, module, install, distribution=self.library, waits=self.standard, by=by)
            for module in self.modules
        ]


def find(path: Sequence[str]) -> list[Instrumentor]:
    """Every instrumentor that is installed on `path`."""
    if not any(os.path.isdir(f"{entry or os.curdir}/opentelemetry/instrumentation") for entry in path):  # noqa: PTH112
        return []
    installed: dict[str, str] = {}
    for entry in path:
        for distribution, directory in _distributions(entry or os.curdir):
            installed.setdefault(distribution, directory)
    found = []
    for distribution, directory in installed.items():
        text = _read(directory, "entry_points.txt")
        if _GROUP in text:
            about = _read(directory, "METADATA") or _read(directory, "PKG-INFO")
            needed = [name for name in _instrumented(about) if name in installed]
            for name, reference in _entry_points(text):
                # That for Tortoise ORM needs pydantic too, which many programs have without it.
                libraries = [each for each in needed if _plain(each) == _plain(name)] or needed
                modules = tuple(module for each in libraries for module in _modules(installed[each]))
                if not modules and name in getattr(sys, "stdlib_module_names", ()):
                    found.append(Instrumentor(name, reference, distribution, "", (name,), standard=True))
                else:
                    library = next(iter(libraries), "")
                    found.append(Instrumentor(name, reference, distribution, library, modules))
    return found


def _distributions(entry: str) -> Iterator[tuple[str, str]]:
    try:
        names = os.listdir(entry)  # noqa: PTH208 - pathlib costs 4 ms
    except (OSError, TypeError):
        return  # an archive, or nothing
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            yield _normal(name.rpartition(".")[0].partition("-")[0]), f"{entry}/{name}"


def _normal(distribution: str) -> str:
    return distribution.replace("_", "-").replace(".", "-").lower()


def _plain(name: str) -> str:
    return _normal(name).replace("-", "")


def _package(module: str) -> str:
    return module.partition(".")[0]


def _read(directory: str, name: str) -> str:
    try:
        with open(f"{directory}/{name}", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""


def _entry_points(text: str) -> Iterator[tuple[str, str]]:
    """Name and reference of each of the group's lines."""
    group = ""
    for line in text.splitlines():
        line = line.strip()  # noqa: PLW2901
        if line.startswith("["):
            group = line.strip("[]").strip()
        elif group == _GROUP and "=" in line:
            name, _, reference = line.partition("=")
            yield name.strip(), reference.partition("[")[0].strip().replace(" ", "")


def _instrumented(about: str) -> Iterator[str]:
    """The distributions that the extras `instruments` and `instruments-any` ask for."""
    for line in about.partition("\n\n")[0].splitlines():
        key, _, requirement = line.partition(":")
        wanted, _, marker = requirement.partition(";")
        if key == "Requires-Dist" and "extra" in marker and "instruments" in marker:
            wanted = wanted.strip()
            end = next((at for at, sign in enumerate(wanted) if not (sign.isalnum() or sign in "-_.")), None)
            yield _normal(wanted[:end])


def _modules(directory: str) -> list[str]:
    """The outermost modules of an installed distribution, below packages that several share."""
    found = {
        module
        for line in _read(directory, "RECORD").splitlines()
        for module in [_module_at(line.partition(",")[0])]
        if module
    } or set(_read(directory, "top_level.txt").split())
    outermost = [
        module
        for module in found
        if not any(module.startswith(f"{other}.") for other in found)
        and _package(module) not in _NO_LIBRARY
        and not module.startswith("_")
    ]
    name = os.path.basename(directory).partition("-")[0]  # noqa: PTH119
    return sorted(outermost) or [_normal(name).replace("-", "_")]


def _module_at(path: str) -> str:
    """The module in a file that is the first of its package, or in none."""
    *packages, file = path.split("/")
    stem, _, suffix = file.partition(".")
    if not suffix.endswith(("py", "so", "pyd")) or "." in "".join(packages):
        return ""
    if stem == "__init__":
        return ".".join(packages)
    return "" if packages else stem
