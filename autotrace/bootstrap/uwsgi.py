"""Under uWSGI, which forks workers and ends them in C, past Python's hooks but with hooks of its own.

`uwsgi.post_fork_hook`: without it all workers would draw the same ids, and speak for the master's process. It
is one function, and `uwsgidecorators` puts its own there when it is imported, so ours calls what was
there before, and is put back after that import.

`uwsgi.atexit`: with `--skip-atexit-teardown` the only one that is called at the end.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from autotrace import forks
from autotrace.patching.finder import ImportWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType


def hook_in(shutdown: Callable[[], None], modules: Mapping[str, ModuleType]) -> None:
    """Start afresh in workers, and `shutdown` at their end, where `modules` shows that uWSGI runs us."""
    uwsgi: Any = modules.get("uwsgi")
    if uwsgi is None or not hasattr(uwsgi, "worker_id"):
        return
    _chain(uwsgi, "post_fork_hook", forks.start_afresh)
    if "uwsgidecorators" not in modules:
        watch = ImportWatch(
            frozenset({"uwsgidecorators"}),
            lambda _name, _module: _chain(uwsgi, "post_fork_hook", forks.start_afresh),
        )
        sys.meta_path.insert(0, watch)
    if "skip-atexit-teardown" in uwsgi.opt:
        _chain(uwsgi, "atexit", shutdown)


def _chain(uwsgi: Any, hook: str, ours: Callable[[], None]) -> None:
    before = getattr(uwsgi, hook, None)

    def both() -> None:
        ours()
        if before is not None:
            before()

    setattr(uwsgi, hook, both)
