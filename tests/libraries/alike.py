"""The same work without and with tracing: what the application sees must not differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instrumented import Traced, instrumented

if TYPE_CHECKING:
    from collections.abc import Callable


def alike(library: str, work: Callable[..., Any], *arguments: Any) -> Traced:
    """Do it untraced and traced, and return what was traced."""
    plain = work(*arguments)
    with instrumented(library) as traced:
        assert work(*arguments) == plain
    assert traced.spans, "nothing was traced"
    return traced


def names(traced: Traced) -> list[str]:
    """The spans, in the order of their ends."""
    return [span.name for span in traced.spans]


def refused(work: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[str, str]:
    """The error of a call that must fail."""
    try:
        work(*arguments, **named)
    except Exception as error:
        return type(error).__qualname__, str(error)
    raise AssertionError("it did not fail")


class Rows:
    """Rows that can be read once, and say how often they were."""

    def __init__(self, *rows: Any) -> None:
        self._rows = rows
        self.passes = 0

    def __iter__(self) -> Any:
        self.passes += 1
        return iter(self._rows)
