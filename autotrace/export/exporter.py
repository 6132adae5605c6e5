"""What the pipeline asks of a wire format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from autotrace.tracing.span import Span

Losses = dict[str, int]
"""Spans that did not arrive, counted by reason: `{"connection refused": 12}`.

A reason is one short lowercase phrase for the operator, with no id or number in it; an empty dict
means that the backend took every span.
"""


class Exporter(Protocol):
    """Sends finished spans. Called by one thread at a time, never on a request's thread."""

    name: str
    """As written in `OTEL_TRACES_EXPORTER`."""

    destination: str
    """Where spans go, for the operator: a URL, `udp://host:port` or a path; no credentials."""

    def export(self, spans: Sequence[Span], deadline: float) -> Mapping[str, int]:
        """Send `spans`, retrying as the protocol allows, and give up at `deadline`.

        Args:
            spans: At least one finished span; they may differ in resource and scope.
            deadline: On the clock of `time.monotonic()`, in seconds.

        Returns:
            The spans that were lost, by reason (see `Losses`).

        Raises:
            Nothing that is expected: what the network does is a reason, not an exception.
        """
        ...

    def shutdown(self) -> None:
        """Release connections. Called once, after the last `export`."""
        ...
