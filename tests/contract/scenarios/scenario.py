"""What a row of the hook table is tried with."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Scenario:
    """What to do with a patched module.

    Args:
        work: Given the URL of a server; returns what the application sees, as JSON has it. It must come
            out the same with tracing, without it, and with a broken one.
        trace: The spans that appear, as an indented tree of `scope KIND name` with what else matters.
        without: The spans that remain when the row's library is switched off.
        before: What to break so that our part before the original call fails, as `module:Class.name`.
        after: Likewise for our part after the call; nothing where there is none. Observers are broken always.
        says: How lines begin that appear on stderr beside.
        server: The fixture that is the server's URL; an echo server's by default.
    """

    def __init__(
        self,
        work: Callable[[str], Any],
        trace: str,
        without: str = "",
        before: tuple[str, ...] = (),
        after: tuple[str, ...] = (),
        says: tuple[str, ...] = (),
        server: str = "echo_url",
    ) -> None:
        self.work = work
        self.trace = trace
        self.without = without
        self.before = before
        self.after = after
        self.says = says
        self.server = server


START = ("autotrace.tracing.tracer:Tracer.start",)
CLIENT_END = ("autotrace.instrumentation.http_client:HttpClient.finish",)
