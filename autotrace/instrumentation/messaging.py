"""What the spans of message libraries share: names, attributes, how an operation is begun and ended.

Spec: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace import Span as AnyonesSpan

from autotrace.instrumentation.semconv import (
    MESSAGING_DESTINATION_NAME,
    MESSAGING_OPERATION_NAME,
    MESSAGING_OPERATION_TYPE,
    MESSAGING_SYSTEM,
)
from autotrace.tracing.context import (
    SPAN_KEY,
    attach,
    current,
    detach,
    suppressed,
    suppressing,
    with_span,
)
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.context import Context
    from autotrace.tracing.unsampled import UnsampledSpan

    AnySpan = Span | UnsampledSpan

HOUSEKEEPING: Final = suppressing()
"""Current where a library talks to its broker for itself. A job that begins there is traced all the same."""


def observe_housekeeping(_call: Call) -> Generator[None, Outcome, None]:
    """Around what a library does for itself: the client of the broker makes no spans there."""
    token = attach(HOUSEKEEPING)
    yield
    detach(token)


class Messaging:
    """Makes the spans of one library that talks to one kind of broker."""

    def __init__(self, patcher: Patcher, system: str) -> None:
        self._start = patcher.tracer.start
        self._propagator = patcher.propagator
        self._system = system

    def send(
        self,
        name: str,
        destination: str,
        headers: Mapping[str, Any] | None,
        attributes: dict[str, Any],
        called: str = "",
    ) -> tuple[AnySpan, dict[str, Any]] | None:
        """Begin the span of a message that is sent; None where nothing is to be traced.

        Args:
            called: What the span is named after, where that is not the destination.

        Returns:
            The span, and a copy of the message's headers with the context.
        """
        above = current()
        if suppressed(above):
            return None
        described = self._describe(name, "send", destination, attributes)
        span = self._start(_named(name, called or destination), SpanKind.PRODUCER, described, above)
        carried = dict(headers or {})
        self._propagator.inject(carried, with_span(span, above))
        return span, carried

    def process(
        self,
        name: str,
        destination: str,
        headers: Mapping[str, Any] | None,
        attributes: dict[str, Any],
        called: str = "",
    ) -> tuple[AnySpan, Context] | None:
        """Begin the span of one message that is given to the application, the child of its sender's.

        Args:
            called: What the span is named after, where that is not the destination: a job, whose library
                keeps house around it.

        Returns:
            The span, and the context to make current.
        """
        above = current()
        if suppressed(above) and not (called and above is HOUSEKEEPING):
            return None
        context = self._propagator.extract(_text(headers or {}))
        described = self._describe(name, "process", destination, attributes)
        span = self._start(_named(name, called or destination), SpanKind.CONSUMER, described, context)
        return span, with_span(span, context)

    def gather(
        self,
        name: str,
        operation: str,
        kind: SpanKind,
        destination: str,
        headers: Iterable[Mapping[str, Any]],
        attributes: dict[str, Any],
        start_time: int | None = None,
    ) -> AnySpan | None:
        """Begin the span of messages that were fetched, with links to where they were sent; or None.

        Args:
            headers: Of each message.
            start_time: Of the fetch, where the span is about that; nanoseconds since the epoch.
        """
        above = current()
        if suppressed(above):
            return None
        extract = self._propagator.extract
        senders = [extract(_text(one)).get(SPAN_KEY) for one in headers]
        links = [Link(sender.get_span_context()) for sender in senders if isinstance(sender, AnyonesSpan)]
        described = self._describe(name, operation, destination, attributes)
        named = _named(name, destination)
        return self._start(named, kind, described, above, None, None, links, start_time)

    def _describe(
        self, name: str, operation: str, destination: str, attributes: dict[str, Any]
    ) -> dict[str, Any]:
        attributes[MESSAGING_SYSTEM] = self._system
        attributes[MESSAGING_OPERATION_NAME] = name
        attributes[MESSAGING_OPERATION_TYPE] = operation
        if destination:
            attributes[MESSAGING_DESTINATION_NAME] = destination
        return attributes


def finish(span: AnySpan, error: BaseException | None) -> None:
    """End a span, with the exception that left the operation."""
    if type(span) is Span:
        if isinstance(error, Exception):
            span.fail(error)
        span.end()


def _named(name: str, target: str) -> str:
    return f"{name} {target}" if target else name


def _text(headers: Mapping[str, Any]) -> dict[str, str]:
    """Headers as propagators read them; some brokers keep bytes."""
    return {
        key: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for key, value in headers.items()
        if isinstance(value, (str, bytes))
    }
