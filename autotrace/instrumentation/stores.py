"""What the spans of stores that speak no SQL share: one CLIENT span for one operation, its data masked.

The span covers the call with the retries of the client. It is not made current, but noted in `running`: what
the client sends of its own accord in between (a look at the cluster's topology) gets no span, and the
address is told as soon as a node has been chosen.

Spec: https://opentelemetry.io/docs/specs/semconv/db/database-spans/
"""

from __future__ import annotations

import functools
import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.instrumentation.semconv import ERROR_TYPE, SERVER_ADDRESS, SERVER_PORT, add_old_database
from autotrace.patching.guard import absorbed
from autotrace.tracing.context import current
from autotrace.tracing.exceptions import exception_attributes, exception_message
from autotrace.tracing.span import ERROR, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from re import Pattern
    from typing import Final

    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.attributes import Attributes

    Function = Callable[..., Any]
    Begin = Callable[[tuple[Any, ...], dict[str, Any]], "Span | None"]

_CLIENT: Final = SpanKind.CLIENT
_MAX_PREPARED: Final = 512

running: ContextVar[Any] = ContextVar("autotrace-store", default=None)
"""The span of the operation that is under way here; True where a client works for itself, without spans."""


class Store:
    """Makes the spans of one client library.

    Args:
        patcher: Of the library.
        system: `db.system.name`.
        port: The usual one, which is not told.
        status_code: What the library's exception says in the store's own code; empty where it says nothing.
        quoted: Where messages of exceptions quote what is to be masked, and what is left of it.
    """

    def __init__(
        self,
        patcher: Patcher,
        system: str,
        port: int = 0,
        status_code: Callable[[BaseException], str] = lambda _error: "",
        quoted: Sequence[tuple[Pattern[str], str]] = (),
    ) -> None:
        self.system = system
        self.patcher = patcher
        self._port = port
        self._status_code = status_code
        self._quoted = quoted
        self._emit_old = patcher.settings.emit_old_database

    def attributes(self, address: str = "", port: int | None = None, namespace: str = "") -> Attributes:
        """What the spans of one server have in common."""
        attributes: Attributes = {"db.system.name": self.system}
        if namespace:
            attributes["db.namespace"] = namespace
        self._add_server(attributes, address, port)
        return attributes

    def _add_server(self, attributes: Attributes, address: str, port: int | None) -> None:
        if address:
            attributes[SERVER_ADDRESS] = address
            if port and port != self._port:
                attributes[SERVER_PORT] = port

    def tell_server(self, address: str, port: int | None) -> None:
        """The operation under way goes to this server."""
        span = running.get()
        if type(span) is Span:
            attributes = span._attributes  # noqa: SLF001 - the span is ours, the values are plain
            attributes.pop(SERVER_PORT, None)  # of the node that was asked before
            self._add_server(attributes, address, port)

    def start(self, name: str, attributes: Attributes) -> Span | None:
        """Begin the span of one operation; None where nothing is recorded."""
        patcher = self.patcher
        if not patcher.enabled:
            return None
        return patcher.tracer.start_leaf(name, _CLIENT, attributes, current())

    def finish(self, span: Span, error: BaseException | None = None) -> None:
        """End the span, with the exception that left the operation. Never raises."""
        try:
            if error is not None:
                self._fail(span, error)
                code = self._status_code(error)
                if code:
                    span.set_attribute("db.response.status_code", code)
            if self._emit_old:
                add_old_database(span._attributes)  # noqa: SLF001 - as above
            span.end()
        except Exception as bug:
            absorbed(bug)

    def _fail(self, span: Span, error: BaseException) -> None:
        """As `Span.fail`, without what the message quotes."""
        message = exception_message(error)
        masked = message
        for pattern, replacement in self._quoted:
            masked = pattern.sub(replacement, masked)
        if masked == message:
            span.fail(error)
            return
        attributes = exception_attributes(error)
        trace = attributes["exception.stacktrace"]
        attributes["exception.message"] = masked
        # Of a trace too long to be kept in full the message may have lost its beginning.
        attributes["exception.stacktrace"] = trace.replace(message, masked) if message in trace else ""
        span.add_event("exception", attributes)
        span.set_attribute(ERROR_TYPE, attributes["exception.type"])
        span.set_status(ERROR, masked)

    def traced(self, begin: Begin) -> Callable[[Function], Function]:
        """What makes a method send its operation in a span that `begin` starts, given the arguments."""

        def make(original: Function) -> Function:
            twin = _coroutine if inspect.iscoroutinefunction(original) else _function
            return functools.wraps(original)(twin(original, begin, self.finish))

        return make


def quiet(original: Function) -> Function:
    """Make a function of the client's send what it sends without spans."""

    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        token = running.set(True)
        try:
            return original(*args, **kwargs)
        finally:
            running.reset(token)

    return method


def _begin(begin: Begin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:
    try:
        outer = running.get()
        # A task that an operation has left behind carries its ended span on.
        if outer is None or (outer is not True and outer.end_time is not None):
            return begin(args, kwargs)
    except Exception as bug:
        absorbed(bug)
    return None


def _function(original: Function, begin: Begin, finish: Callable[..., None]) -> Function:
    def method(*args: Any, **kwargs: Any) -> Any:
        span = _begin(begin, args, kwargs)
        if span is None:
            return original(*args, **kwargs)
        token = running.set(span)
        try:
            result = original(*args, **kwargs)  # the only line that may raise
        except BaseException as error:
            running.reset(token)
            finish(span, error)
            raise
        running.reset(token)
        finish(span)
        return result

    return method


def _coroutine(original: Function, begin: Begin, finish: Callable[..., None]) -> Function:
    """The coroutine twin: a task that is cancelled has not failed."""

    async def method(*args: Any, **kwargs: Any) -> Any:
        span = _begin(begin, args, kwargs)
        if span is None:
            return await original(*args, **kwargs)
        token = running.set(span)
        try:
            result = await original(*args, **kwargs)  # the only line that may raise
        except BaseException as error:
            _leave(token)
            finish(span, error if isinstance(error, Exception) else None)
            raise
        _leave(token)
        finish(span)
        return result

    return method


def _leave(token: Any) -> None:
    try:
        running.reset(token)
    except ValueError:  # closed late, in another context: nothing to restore there
        pass


class Prepared:
    """Name and attributes of the spans for one server, remembered by what distinguishes its operations.

    Args:
        attributes: Common to all.
        describe: Operation and masked text that a key stands for.
    """

    __slots__ = ("_describe", "_known", "attributes")

    def __init__(self, attributes: Attributes, describe: Callable[[Any], tuple[str, str]]) -> None:
        self.attributes = attributes
        self._describe = describe
        self._known: dict[Hashable, tuple[str, Attributes]] = {}

    def of(self, key: Hashable) -> tuple[str, Attributes]:
        """For one operation; the attributes are to be copied."""
        found = self._known.get(key)
        if found is None:
            operation, text = self._describe(key)
            found = operation, {**self.attributes, "db.operation.name": operation, "db.query.text": text}
            if len(self._known) >= _MAX_PREPARED:
                self._known.clear()
            self._known[key] = found
        return found
