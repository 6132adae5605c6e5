"""Runs each row of the hook table when its module is there, and keeps what came of it."""

from __future__ import annotations

import sys
from _thread import allocate_lock

from autotrace import notices
from autotrace.patching.finder import ImportWatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    from autotrace.patching.hook import Hook
    from autotrace.patching.patcher import Patcher

WAITING = "not imported"
INSTALLED = "instrumented"
DISABLED = "disabled"
UNSUPPORTED = "unsupported version"
FAILED = "failed"
STOOD_DOWN = "left to the application"


class Registry:
    """The state of every row.

    Args:
        hooks: The table.
        wake: Called when the first library that is worth a tracer has been imported. It must call
            `start` with what rows are installed with; until then such a row only waits.
    """

    def __init__(self, hooks: Iterable[Hook], wake: Callable[[], None]) -> None:
        self.results: dict[Hook, tuple[str, str]] = dict.fromkeys(hooks, (WAITING, ""))
        """What became of each row, and why, for diagnosis."""
        self.tell: Callable[[Hook, str, str], None] | None = None
        """Given each row with its result and the reason, where the operator wants to know."""
        self._by_module: dict[str, list[Hook]] = {}
        for hook in self.results:
            self._by_module.setdefault(hook.module, []).append(hook)
        self._wake = wake
        self._waking = allocate_lock()
        """Taken for good by the thread that wakes."""
        self._missed: list[tuple[str, ModuleType]] = []
        self._new_patcher: Callable[[Hook], Patcher] | None = None
        self._disabled: Callable[[str], bool] = lambda _library: False
        self._patchers: dict[Hook, Patcher] = {}
        self._stood_down: set[str] = set()
        self._watch = ImportWatch(self._by_module, self._imported)

    def arm(self) -> None:
        """Watch imports from now on, and serve what has been imported already."""
        sys.meta_path.insert(0, self._watch)
        for name in list(self._by_module):
            module = sys.modules.get(name)
            if module is not None:
                self._serve(name, module)

    def ask_before_imports(self, ask: Callable[[str], None] | None) -> None:
        """Have `ask` called before the import of any module that no row waits for; None ends it."""
        self._watch.ask = ask

    def add(self, hooks: Iterable[Hook]) -> None:
        """Further rows, which are known only now; as a rule before their modules are imported."""
        for hook in hooks:
            self.results[hook] = (WAITING, "")
            self._by_module.setdefault(hook.module, []).append(hook)
            module = sys.modules.get(hook.module)
            if module is not None and not _is_loading(module):
                self._serve(hook.module, module)

    def start(self, new_patcher: Callable[[Hook], Patcher], disabled: Callable[[str], bool]) -> None:
        """A tracer exists: install every row whose module is there, watch for the others.

        Args:
            new_patcher: Makes the patcher of one row.
            disabled: Whether the operator switched a library off.
        """
        self._new_patcher = new_patcher
        self._disabled = disabled
        for name in list(self._by_module):
            module = sys.modules.get(name)
            if module is not None and not _is_loading(module):
                self._serve(name, module)
        self._serve_missed()

    def disarm(self) -> None:
        """Stop watching imports, take every patch back."""
        if self._watch in sys.meta_path:
            sys.meta_path.remove(self._watch)
        for patcher in self._patchers.values():
            patcher.undo()

    def stand_down(self, library: str, reason: str) -> bool:
        """Leave a library to somebody else; False when it is none of ours, or was left before."""
        hooks = [hook for hook in list(self.results) if hook.library == library]
        if not hooks or library in self._stood_down:
            return False
        self._stood_down.add(library)
        for hook in hooks:
            patcher = self._patchers.pop(hook, None)
            if patcher is not None:
                patcher.undo()
            self._settle(hook, STOOD_DOWN, reason)
        return True

    def _settle(self, hook: Hook, result: str, reason: str) -> None:
        self.results[hook] = (result, reason)
        if self.tell is not None:
            self.tell(hook, result, reason)

    def _imported(self, name: str, module: ModuleType) -> None:
        """The end of an import. Never raises: the application's import would fail."""
        for hook in self._by_module[name]:
            if self.results[hook][0] == INSTALLED:  # reloaded: its code has run over the patches
                self.results[hook] = (WAITING, "")
        self._serve(name, module)

    def _serve(self, name: str, module: ModuleType) -> None:
        """Install the rows of a module, once a tracer exists; make it exist where it is worth it."""
        hooks = self._by_module[name]
        if not self._started():
            worth_it = not all(hook.waits for hook in hooks)
            if not worth_it or not self._waking.acquire(False):
                self._missed.append((name, module))
                if self._started():
                    self._serve_missed()  # another thread has got there in between
                return
            self._wake()
            if not self._started():
                return  # we are broken, or without a tracer on purpose
        for hook in hooks:
            if self.results[hook][0] == WAITING:
                self._settle(hook, *self._install(hook, module))

    def _started(self) -> bool:
        return self._new_patcher is not None

    def _serve_missed(self) -> None:
        while self._missed:
            try:
                missed = self._missed.pop()
            except IndexError:
                return  # another thread took it
            self._serve(*missed)

    def _install(self, hook: Hook, module: ModuleType) -> tuple[str, str]:
        if self._disabled(hook.library):
            return DISABLED, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
        try:
            from autotrace.patching.versions import unsupported  # noqa: PLC0415 - not before a row is installed

            reason = unsupported(hook)
            if reason:
                notices.warn(f"{hook.library} is not traced: {reason}")
                return UNSUPPORTED, reason
            assert self._new_patcher is not None
            patcher = self._patchers.get(hook)  # of the code before a reload, parts of which live on
            if patcher is None:
                patcher = self._patchers[hook] = self._new_patcher(hook)
            _installer(hook.installer)(module, patcher)
        except Exception as error:
            notices.error(f"{hook.library} is not traced: its instrumentation failed with {error!r:.300}")
            half_done = self._patchers.pop(hook, None)
            if half_done is not None:
                half_done.undo()
            return FAILED, repr(error)
        return INSTALLED, f"by {hook.by}" if hook.by else ""


def _installer(named: str | Callable[[ModuleType, Patcher], None]) -> Callable[[ModuleType, Patcher], None]:
    if not isinstance(named, str):
        return named
    location, _, function = named.partition(":")
    __import__(location)
    found: Callable[[ModuleType, Patcher], None] = getattr(sys.modules[location], function)
    return found


def _is_loading(module: ModuleType) -> bool:
    """Whether its code is still running; its own import will report it."""
    try:
        return bool(getattr(module.__spec__, "_initializing", False))
    except Exception:
        return False  # not a module: some put other objects in their place
