"""What the instrumentations of WSGI servers share: the application that a server is given is traced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.wsgi import Wsgi, traced

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher


def trace_given_application(
    module: ModuleType, patcher: Patcher, library: str, constructor: str, position: int, name: str
) -> None:
    """Patch a server's constructor, at `constructor`, for example `WSGIServer.__init__`.

    Args:
        module: That defines it.
        patcher: Of the row.
        library: Its name in the hook table.
        constructor: The method that is given the application.
        position: Of the application among its arguments, `self` counted.
        name: Of the application as a keyword.
    """
    wsgi = Wsgi(patcher, library)

    def observe_construction(call: Call) -> Generator[None, Outcome, None]:
        application = call.get(position, name)
        if not callable(application):
            return  # missing or wrong: for the server to complain about
        call.set(position, name, traced(application, wsgi))
        yield

    patcher.wrap(module, constructor, observe_construction)
