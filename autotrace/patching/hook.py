"""One row of the hook table: which module, and who patches it.

Read at every interpreter start, so it is a plain class: `typing` and `dataclasses` alone would cost
more than the whole start-up may.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.patching.patcher import Patcher


class Hook:
    """Run `installer` when `module` has been imported.

    Args:
        library: The name users know: in `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`, docs, diagnosis.
        module: The module whose import fires the hook.
        installer: `package.module:function`, imported only then, called with the module and a patcher;
            the function itself where a row is made while the program runs.
        versions: What the library's version must satisfy, as `>=2.0,<4`; empty for the standard library.
        distribution: The name under which it is installed, where that is not `library`.
        waits: Sleep until a tracer exists, because almost every program imports this module.
        attaches_to: What is patched, for the documentation.
        by: Who does it, where it is not an instrumentation of ours.
    """

    __slots__ = ("attaches_to", "by", "distribution", "installer", "library", "module", "versions", "waits")

    def __init__(
        self,
        library: str,
        module: str,
        installer: str | Callable[[ModuleType, Patcher], None],
        versions: str = "",
        distribution: str = "",
        waits: bool = False,
        attaches_to: str = "",
        by: str = "",
    ) -> None:
        self.library = library
        self.module = module
        self.installer = installer
        self.versions = versions
        self.distribution = distribution or library
        self.waits = waits
        self.attaches_to = attaches_to
        self.by = by

    def __repr__(self) -> str:
        return f"Hook({self.library!r}, {self.module!r})"
