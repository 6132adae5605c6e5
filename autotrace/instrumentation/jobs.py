"""What the spans of job queues share: messages that are calls of functions, for a worker to make.

The spans are named after the function, not after the queue, which would give all of them one name.

Spec: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.instrumentation.messaging import HOUSEKEEPING, Messaging, finish
from autotrace.instrumentation.semconv import MESSAGING_MESSAGE_ID
from autotrace.tracing.context import attach, current, detach, with_span
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.context import Context
    from autotrace.tracing.unsampled import UnsampledSpan


class Begun:
    """A span, and the context that is current until it is finished."""

    __slots__ = ("_span", "_token", "context", "headers")

    def __init__(
        self,
        span: Span | UnsampledSpan,
        context: Context,
        meanwhile: Context,
        headers: dict[str, Any] | None = None,
    ) -> None:
        self._span = span
        self._token = attach(meanwhile)
        self.context = context
        """What the job runs in."""
        self.headers = headers or {}
        """What goes along with a job that is sent."""

    def fail(self, error: BaseException) -> None:
        """Note the exception that a job has ended with, for libraries that keep it."""
        if type(self._span) is Span and isinstance(error, Exception):
            self._span.fail(error)

    def tell(self, name: str, value: Any) -> None:
        """Add an attribute that was not known at the beginning."""
        if type(self._span) is Span:
            self._span.set_attribute(name, value)

    def finish(self, error: BaseException | None = None) -> None:
        """End the span, with the exception that has left the operation."""
        detach(self._token)
        finish(self._span, error)


class Jobs:
    """Makes the spans of one library."""

    def __init__(self, patcher: Patcher, library: str) -> None:
        self._patcher = patcher
        self._messaging: dict[str, Messaging] = {}
        self._task = f"{library}.task_name"
        self._retries = f"{library}.retries"

    def send(self, system: str, task: str, queue: str, job: Any) -> Begun | None:
        """Begin the span of a job that is sent; what the library does for that makes no spans."""
        begun = self._at(system).send("send", queue, None, self._describe(task, job), called=task)
        if begun is None:
            return None
        span, headers = begun
        return Begun(span, HOUSEKEEPING, HOUSEKEEPING, headers)

    def process(
        self,
        system: str,
        task: str,
        queue: str,
        job: Any,
        headers: Mapping[str, Any] | None,
        retries: int | None = None,
        *,
        quiet: bool = False,
    ) -> Begun | None:
        """Begin the span of a job's run, the child of the span that sent it.

        Args:
            quiet: Whether the library's own work goes on: the function is to be called in `context`.
        """
        attributes = self._describe(task, job)
        if retries:
            attributes[self._retries] = retries
        begun = self._at(system).process("process", queue, headers, attributes, called=task)
        if begun is None:
            return None
        span, context = begun
        return Begun(span, context, HOUSEKEEPING if quiet else context)

    def run_here(self, task: str) -> Begun:
        """Begin the INTERNAL span of a run on the spot: there is no message."""
        above = current()
        span = self._patcher.tracer.start(f"process {task}", SpanKind.INTERNAL, {self._task: task}, above)
        context = with_span(span, above)
        return Begun(span, context, context)

    def _at(self, system: str) -> Messaging:
        messaging = self._messaging.get(system)
        if messaging is None:
            messaging = self._messaging[system] = Messaging(self._patcher, system)
        return messaging

    def _describe(self, task: str, job: Any) -> dict[str, Any]:
        attributes: dict[str, Any] = {self._task: task}
        if job is not None:
            attributes[MESSAGING_MESSAGE_ID] = str(job)
        return attributes
