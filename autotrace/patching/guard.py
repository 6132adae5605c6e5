"""One wall between our bugs and the application.

Only `Exception` is absorbed. KeyboardInterrupt, SystemExit, GeneratorExit and
asyncio.CancelledError belong to the application and always pass through.
"""

from __future__ import annotations

from autotrace import notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

strict = False
"""True in the test suite only: a bug of ours is raised instead of absorbed."""


class _Guard:
    """`with guard:` around every step of ours that runs inside the application."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if strict or not isinstance(error, Exception):
            return False
        absorbed(error)
        return True


guard = _Guard()


def absorbed(error: Exception) -> None:
    """Report a bug of ours, for hot paths that write their own `except Exception as error`.

    Says once a minute per place what failed, and where.

    Raises:
        Exception: `error` itself, in strict mode.
    """
    if strict:
        raise error
    place = _place(error)
    notices.error(f"a span is lost, the program is unaffected: {error!r:.300} at {place}", place)


def _place(error: Exception) -> str:
    traceback = error.__traceback__
    if traceback is None:
        return "an unknown place"
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
