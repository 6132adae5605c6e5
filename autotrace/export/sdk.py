"""Any span exporter written for the OpenTelemetry SDK, as one of ours.

Our spans offer what `ReadableSpan` does, so nothing is converted.

Spec: https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-exporter
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace import notices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from autotrace.tracing.span import Span

FAILED: Final = "exporter failed"


class SdkExporter:
    """Hands spans to an exporter of the SDK's protocol, which knows no deadline: it has its own timeout.

    Args:
        name: As written in `OTEL_TRACES_EXPORTER`.
        destination: For the operator.
        exporter: Offers `export(spans)`, and perhaps `force_flush()` and `shutdown()`.
    """

    def __init__(self, name: str, destination: str, exporter: Any) -> None:
        self.name = name
        self.destination = destination
        self._exporter = exporter

    def export(self, spans: Sequence[Span], deadline: float) -> Mapping[str, int]:  # noqa: ARG002 - see the class
        """Send `spans`; see `Exporter.export`."""
        try:
            result = self._exporter.export(tuple(spans))
        except Exception as error:
            notices.warn(f"the {self.name} exporter failed: {error!r:.300}", f"sdk exporter {self.name}")
            return {FAILED: len(spans)}
        # By name: the SDK's enum is not imported for this.
        return {} if getattr(result, "name", "") == "SUCCESS" else {FAILED: len(spans)}

    def shutdown(self) -> None:
        """Flush and shut down the exporter."""
        for step in ("force_flush", "shutdown"):
            try:
                getattr(self._exporter, step, lambda: None)()
            except Exception as error:
                notices.warn(f"{step} of the {self.name} exporter failed: {error!r:.300}")
