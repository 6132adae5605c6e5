"""Tells when a module has been imported, and changes nothing else about its import.

A finder in front of `sys.meta_path`. For a module it waits for, it lets the finders behind it do
their work and only watches the loader's `exec_module`. The module, its spec and its loader look to
the application as they would without us.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class ImportWatch:
    """Calls `imported(name, module)` for each of `names`, each time its code has run.

    `imported` must not raise. It runs inside the import, under that module's import lock.
    """

    def __init__(self, names: Container[str], imported: Callable[[str, ModuleType], None]) -> None:
        self._names = names
        self._imported = imported
        self.ask: Callable[[str], None] | None = None
        """Called with names that are not waited for, before their import: there may be more to wait for."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Called by the import system for every import that `sys.modules` does not answer."""
        if name not in self._names:
            ask = self.ask
            if ask is None:
                return None
            ask(name)
            if name not in self._names:
                return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                # A loader without exec_module (Python 3.9's zipimport) cannot be watched this way.
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = _WatchedLoader(name, spec.loader, self._imported)  # type: ignore[assignment]
                return spec
        return None

    def invalidate_caches(self) -> None:
        """Part of a finder's interface; nothing is cached."""


class _WatchedLoader:
    """Stands in for the real loader until the module's code runs, then steps aside.

    A spec that is only looked at (`importlib.util.find_spec`) keeps it, hence the borrowed class.
    """

    def __init__(self, name: str, loader: Any, imported: Callable[[str, ModuleType], None]) -> None:
        self._watched = (name, loader, imported)

    @property  # type: ignore[misc]  # answers `isinstance` for the real loader
    def __class__(self) -> type:
        return type(self._watched[1])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watched[1], name)

    def __repr__(self) -> str:
        return repr(self._watched[1])

    def exec_module(self, module: ModuleType) -> None:
        name, loader, imported = self._watched
        if module.__spec__ is not None:
            module.__spec__.loader = loader
        module.__loader__ = loader
        loader.exec_module(module)
        # A module may replace itself: what is in its place is what the program gets.
        imported(name, sys.modules.get(name, module))
