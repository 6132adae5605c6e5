"""Spans for Celery's tasks: one where a task is sent, one where a worker runs it.

Patched: `Celery.send_task`, which `delay`, `apply_async`, canvases and retries go through. What else is
needed Celery offers itself: its signal `before_task_publish` hands out the headers of the very message,
`task_prerun` and `task_postrun` surround each run in every kind of pool. A run that an eager application
makes on the spot is an INTERNAL span: there is no message.

The spans are named after the task, not after the queue, which would give all of them one name.

Spec: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.instrumentation.semconv import (
    MESSAGING_DESTINATION_NAME,
    MESSAGING_MESSAGE_ID,
    MESSAGING_OPERATION_NAME,
    MESSAGING_OPERATION_TYPE,
    MESSAGING_SYSTEM,
    SERVER_ADDRESS,
    SERVER_PORT,
)
from autotrace.patching.guard import guard
from autotrace.tracing.context import SPAN_KEY, attach, current, detach, suppressed, with_span
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_RUN: Final = "_autotrace_run"
"""Where a run is kept on the task's request, from its begin to its end."""

_SYSTEMS: Final = {
    "amqp": "rabbitmq",
    "amqps": "rabbitmq",
    "pyamqp": "rabbitmq",
    "librabbitmq": "rabbitmq",
    "rediss": "redis",
    "sentinel": "redis",
    "sqs": "aws_sqs",
    "confluentkafka": "kafka",
    "azureservicebus": "servicebus",
    "gcpubsub": "gcp_pubsub",
}
"""Transports whose broker goes by another name in the conventions."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `celery.app.base`."""
    tasks = _Tasks(patcher)
    patcher.wrap(module, "Celery.send_task", tasks.observe_send)
    signals: Any = module.signals
    for signal, receiver in (
        (signals.before_task_publish, tasks.on_publish),
        (signals.task_prerun, tasks.on_begin),
        (signals.task_postrun, tasks.on_end),
    ):
        signal.connect(receiver, weak=False)  # `undo` leaves it there; it does nothing then


class _Tasks:
    """What is done where tasks are sent and run. Signals name their arguments, and may get more of them."""

    def __init__(self, patcher: Patcher) -> None:
        self._patcher = patcher
        self._start = patcher.tracer.start
        self._propagator = patcher.propagator

    def observe_send(self, call: Call) -> Generator[None, Outcome, None]:
        """Around `Celery.send_task`."""
        above = current()
        if suppressed(above):
            return
        name = str(call.get(1, "name"))
        attributes = {**_broker_of(call.get(0, "self")), **_operation("send", name)}
        span = self._start(f"send {name}", SpanKind.PRODUCER, attributes, above)
        token = attach(with_span(span, above))
        outcome = yield
        detach(token)
        if type(span) is Span:
            if outcome.error is not None:
                span.fail(outcome.error)
            span.end()

    def on_publish(
        self, exchange: Any = None, routing_key: Any = None, headers: Any = None, **_more: Any
    ) -> None:
        """The message is complete: `headers` are its own, and nobody else's."""
        if not self._patcher.enabled or headers is None:
            return
        with guard:
            context = current()
            span = context.get(SPAN_KEY)
            if type(span) is Span and span.kind is SpanKind.PRODUCER:
                span.set_attributes(_message(headers.get("id"), exchange, routing_key))
            self._propagator.inject(headers, context)

    def on_begin(self, task: Any = None, **_more: Any) -> None:
        """A task is about to run."""
        if not self._patcher.enabled:
            return
        with guard:
            request, name = task.request, str(task.name)
            if request.is_eager:
                context, kind, attributes = current(), SpanKind.INTERNAL, {"celery.task_name": name}
            else:
                context, kind = self._propagator.extract(_headers(request)), SpanKind.CONSUMER
                info = request.delivery_info or {}
                attributes = {
                    **_broker_of(task.app),
                    **_operation("process", name),
                    **_message(request.id, info.get("exchange"), info.get("routing_key")),
                }
            if request.retries:
                attributes["celery.retries"] = request.retries
            span = self._start(f"process {name}", kind, attributes, context)
            request.__dict__[_RUN] = span, attach(with_span(span, context))

    def on_end(self, task: Any = None, retval: Any = None, state: Any = None, **_more: Any) -> None:
        """A task has run, and what follows from its result has been sent."""
        with guard:
            span, token = task.request.__dict__.pop(_RUN, (None, None))
            if token is not None:
                detach(token)
            if type(span) is not Span:
                return
            error = _error(state, retval)
            if error is not None:
                span.fail(error)
            if state:
                span.set_attribute("celery.state", str(state))
            span.end()


def _operation(operation: str, task: str) -> dict[str, Any]:
    return {
        MESSAGING_OPERATION_NAME: operation,
        MESSAGING_OPERATION_TYPE: operation,
        "celery.task_name": task,
    }


def _message(task_id: Any, exchange: Any, routing_key: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {MESSAGING_MESSAGE_ID: str(task_id)}
    destination = ":".join(str(name) for name in (getattr(exchange, "name", exchange), routing_key) if name)
    if destination:
        attributes[MESSAGING_DESTINATION_NAME] = destination
    return attributes


def _headers(request: Any) -> Mapping[str, Any]:
    """The message's headers, which Celery turns into attributes of the request."""
    return {**(request.headers or {}), **vars(request)}


def _error(state: Any, retval: Any) -> BaseException | None:
    """What made a run fail; a retry that was asked for without an error is none."""
    if state is None:
        return sys.exc_info()[1]  # on its way through, as SystemExit
    if state == "FAILURE" and isinstance(retval, BaseException):
        return retval
    cause = getattr(retval, "exc", None) if state == "RETRY" else None
    return cause if isinstance(cause, BaseException) else None


def _broker_of(app: Any) -> dict[str, Any]:
    """The attributes of the broker that an application sends to."""
    conf = app.conf
    url = conf.broker_write_url or conf.broker_url or "amqp://"
    if not isinstance(url, str):
        url = url[0]
    return _broker(url.partition(";")[0])


@functools.lru_cache(maxsize=16)
def _broker(url: str) -> dict[str, Any]:
    from urllib.parse import urlsplit  # noqa: PLC0415 - Celery has imported it

    parts = urlsplit(url if "://" in url else url + "://")
    scheme = parts.scheme.partition("+")[0]
    attributes: dict[str, Any] = {MESSAGING_SYSTEM: _SYSTEMS.get(scheme, scheme)}
    if parts.hostname and scheme not in ("sqs", "filesystem", "memory"):
        attributes[SERVER_ADDRESS] = parts.hostname
        try:
            if parts.port:
                attributes[SERVER_PORT] = parts.port
        except ValueError:
            pass  # no number
    return attributes
