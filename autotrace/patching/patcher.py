"""Puts patches on the application's libraries, and takes them off again.

A patch is a plain function that carries `__wrapped__` and a mark of ours. Half the price of a wrapt
FunctionWrapper: 0.34 us a call against 0.72 us on 3.11.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotrace.patching.around import around

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.patching.around import Observer
    from autotrace.propagation.composite import Composite
    from autotrace.settings import Settings
    from autotrace.tracing.tracer import Tracer

    Function = Callable[..., Any]

MARK = "__autotrace__"


class Patcher:
    """The patches of one row of the hook table, and what its instrumentation works with.

    `enabled` turns false with `undo`: a patch that somebody else has wrapped since cannot be taken
    off, and has to fall silent instead.
    """

    def __init__(
        self,
        tracer: Tracer,
        settings: Settings,
        propagator: Composite,
        stand_down: Callable[[str, str], bool],
    ) -> None:
        self.tracer = tracer
        self.settings = settings
        self.propagator = propagator
        self.stand_down = stand_down
        """Leaves a library to somebody else, given its name and the reason."""
        self.enabled = True
        self._applied: list[tuple[Any, str, Any, Any, bool]] = []

    def wrap(self, owner: ModuleType | type, path: str, observer: Observer) -> None:
        """Put `observer` around the function or method at `path`, for example `Session.send`."""

        def make(original: Function) -> Function:
            def observe(call: Any) -> Any:
                return observer(call) if self.enabled else iter(())

            return around(original, observe)

        self.replace(owner, path, make)

    def replace(self, owner: ModuleType | type, path: str, make: Callable[[Function], Function]) -> None:
        """Put `make(original)` in the place of a function or method; a second time does nothing.

        Static and class methods stay what they are. Name, docstring and signature are copied.

        Raises:
            AttributeError: There is nothing at `path`.
        """
        *parents, name = path.split(".")
        target: Any = owner
        for parent in parents:
            target = getattr(target, parent)
        found, inherited = _look_up(target, name)
        original = found.__func__ if isinstance(found, (staticmethod, classmethod)) else found
        if getattr(original, MARK, False):
            return
        made = make(original)
        if not hasattr(made, "__wrapped__"):
            functools.update_wrapper(made, original)
        setattr(made, MARK, True)
        patch = type(found)(made) if isinstance(found, (staticmethod, classmethod)) else made
        setattr(target, name, patch)
        self._applied.append((target, name, patch, found, inherited))

    def put(self, owner: ModuleType | type, name: str, value: Any) -> None:
        """Give an attribute another value, for what is no function of the library's.

        Raises:
            AttributeError: There is no such attribute.
        """
        found, inherited = _look_up(owner, name)
        setattr(owner, name, value)
        self._applied.append((owner, name, value, found, inherited))

    def flush(self) -> bool:
        """Send what has ended, within the exit budget: for servers whose process ends without `atexit`."""
        return self.tracer.provider.force_flush(int(self.settings.exit_timeout * 1000))

    def undo(self) -> None:
        """Restore what is still ours; whatever another tool wrapped since falls silent."""
        self.enabled = False
        for target, name, patch, original, inherited in reversed(self._applied):
            if vars(target).get(name) is not patch:
                continue
            if inherited:
                delattr(target, name)
            else:
                setattr(target, name, original)
        self._applied.clear()


def _look_up(target: Any, name: str) -> tuple[Any, bool]:
    """The raw attribute, descriptors unbound, and whether it comes from a base class."""
    if name in vars(target):
        return vars(target)[name], False
    for base in getattr(target, "__mro__", ())[1:]:
        if name in vars(base):
            return vars(base)[name], True
    raise AttributeError(f"{target!r} has no {name!r}")
