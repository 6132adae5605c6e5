"""The span: recorded on the request's thread, then read by exporters on theirs.

One object plays both the API's `Span` and the SDK's `ReadableSpan`; nothing is copied at the end.
Slots without an underscore, and `_attributes`, `_events` and `_links`, are what exporters read.

Methods may be called from any thread without a lock: each does one atomic change of a dict, a list
or a slot. A change after `end` is ignored, as the specification asks.

Spec: https://opentelemetry.io/docs/specs/otel/trace/api/#span
"""

from __future__ import annotations

from time import time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from autotrace import notices
from autotrace.tracing.attributes import bounded, put, weigh_value
from autotrace.tracing.exceptions import exception_attributes, exception_message, exception_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from opentelemetry.trace import SpanKind, TraceState

    from autotrace.tracing.attributes import Attributes
    from autotrace.tracing.limits import Limits
    from autotrace.tracing.resource import Resource
    from autotrace.tracing.scope import Scope

UNSET = StatusCode.UNSET
OK = StatusCode.OK
ERROR = StatusCode.ERROR
SAMPLED = 1
RANDOM = 2


class Event:
    """Something that happened during a span, with a time in nanoseconds since the epoch."""

    __slots__ = ("attributes", "dropped_attributes", "name", "timestamp")

    def __init__(
        self, name: str, timestamp: int, attributes: Attributes, dropped_attributes: int = 0
    ) -> None:
        self.name = name
        self.timestamp = timestamp
        self.attributes = attributes
        self.dropped_attributes = dropped_attributes

    def __repr__(self) -> str:
        return f"Event({self.name!r}, {self.timestamp}, {self.attributes!r})"


class Link(trace.Link):
    """The API's link, with its attributes copied within the limits."""

    def __init__(self, context: SpanContext, attributes: Attributes, dropped: int = 0) -> None:
        super().__init__(context, attributes)
        self._dropped = dropped

    @property
    def dropped_attributes(self) -> int:
        """Attributes beyond the limit."""
        return self._dropped


class Span(trace.Span):
    """A recording span. Made by a `Tracer`, never by hand."""

    __slots__ = (
        "_attributes",
        "_context",
        "_events",
        "_limits",
        "_links",
        "_on_end",
        "_record_exception",
        "_set_status_on_exception",
        "dropped_attributes",
        "dropped_events",
        "dropped_links",
        "end_time",
        "instrumentation_scope",
        "kind",
        "name",
        "parent_flags",
        "parent_id",
        "parent_is_remote",
        "resource",
        "span_id",
        "start_time",
        "status_code",
        "status_description",
        "trace_flags",
        "trace_id",
        "trace_state",
        "weight",
    )

    trace_id: int
    """128 bits, never 0."""
    span_id: int
    """64 bits, never 0."""
    parent_id: int
    """Span id of the parent; 0 for a root."""
    parent_is_remote: bool
    parent_flags: int
    trace_flags: int
    """W3C bits: 1 sampled, 2 random trace id."""
    trace_state: TraceState | None
    """None stands for the empty one."""
    name: str
    kind: SpanKind
    start_time: int
    """Nanoseconds since the epoch."""
    end_time: int | None
    """Nanoseconds since the epoch; None while the span is open."""
    status_code: StatusCode
    status_description: str | None
    weight: int
    """Bytes of long values that the application has put in, for bounded queues."""
    _attributes: Attributes
    _events: list[Event] | None
    _links: list[Link] | None

    def __init__(
        self,
        name: str,
        kind: SpanKind,
        trace_id: int,
        span_id: int,
        trace_flags: int,
        attributes: Attributes,
        resource: Resource,
        scope: Scope,
        limits: Limits,
        on_end: Callable[[Span], None],
        start_time: int | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.trace_id = trace_id
        self.span_id = span_id
        self.trace_flags = trace_flags
        self._attributes = attributes
        self.resource = resource
        self.instrumentation_scope = scope
        self._limits = limits
        self._on_end = on_end
        self.parent_id = 0
        self.parent_is_remote = False
        self.parent_flags = 0
        self.trace_state = None
        self.status_code = UNSET
        self.status_description = None
        self._events = None
        self._links = None
        self._context: SpanContext | None = None
        self.dropped_attributes = 0
        self.dropped_events = 0
        self.dropped_links = 0
        self.weight = 0
        self._record_exception = True
        self._set_status_on_exception = True
        self.end_time = None
        self.start_time = start_time if start_time is not None else time_ns()

    # The recording side: opentelemetry.trace.Span.

    def get_span_context(self) -> SpanContext:
        """The ids to propagate, made on first demand: most spans are never asked."""
        context = self._context
        if context is None:
            context = self._context = SpanContext(
                self.trace_id, self.span_id, False, TraceFlags(self.trace_flags), self.trace_state
            )
        return context

    def is_recording(self) -> bool:
        """Whether the span is still open."""
        return self.end_time is None

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute; the value is copied, within the limits."""
        if self.end_time is not None:
            _warn_ended("set_attribute", self)
        elif not put(self._attributes, key, value, self._limits.attributes, self._limits.attribute_length):
            self.dropped_attributes += 1
        elif type(value) is not int:
            self.weight += weigh_value(self._attributes.get(key))

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set several attributes."""
        try:
            for key, value in attributes.items():
                self.set_attribute(key, value)
        except Exception as error:
            notices.warn(
                f"{type(attributes).__name__} cannot be read as attributes: {error!r:.100}", "attributes"
            )

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        """Record an event; `timestamp` is in nanoseconds since the epoch, now when not given."""
        if self.end_time is not None:
            _warn_ended("add_event", self)
            return
        if self._events is None:
            self._events = []
        limits = self._limits
        if len(self._events) >= limits.events:
            self.dropped_events += 1
            return
        kept, dropped, weight = bounded(attributes, limits.event_attributes, limits.member_length)
        self._events.append(Event(name, time_ns() if timestamp is None else timestamp, kept, dropped))
        self.weight += weight

    def add_link(self, context: SpanContext | None, attributes: Mapping[str, Any] | None = None) -> None:
        """Link to another span; an invalid context counts only with attributes or tracestate."""
        if self.end_time is not None:
            _warn_ended("add_link", self)
            return
        if not isinstance(context, SpanContext):
            return
        if not (context.is_valid or attributes or context.trace_state):
            return
        if self._links is None:
            self._links = []
        limits = self._limits
        if len(self._links) >= limits.links:
            self.dropped_links += 1
            return
        kept, dropped, weight = bounded(attributes, limits.link_attributes, limits.member_length)
        self._links.append(Link(context, kept, dropped))
        self.weight += weight

    def update_name(self, name: str) -> None:
        """Rename the span; sampling has happened already."""
        if self.end_time is not None:
            _warn_ended("update_name", self)
            return
        self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status: OK is final, UNSET is ignored, a description belongs to ERROR alone."""
        if self.end_time is not None:
            _warn_ended("set_status", self)
            return
        if isinstance(status, Status):
            code, description = status.status_code, status.description
        else:
            code = status
        if self.status_code is OK or (code is not ERROR and code is not OK):
            return
        self.status_code = code
        self.status_description = description if code is ERROR and isinstance(description, str) else None

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record an exception as an event, with its stack trace as text."""
        self.add_event(
            "exception", {**exception_attributes(exception, escaped), **(attributes or {})}, timestamp
        )

    def end(self, end_time: int | None = None) -> None:
        """Close the span and hand it to the processors. Only the first call counts."""
        if self.end_time is not None:
            _warn_ended("end", self)
            return
        self.end_time = time_ns() if end_time is None else end_time
        self._on_end(self)

    def fail(self, error: BaseException) -> None:
        """An exception left the operation: event, `error.type` and status. The first one counts."""
        if "error.type" in self._attributes:
            return
        self.record_exception(error)
        self._attributes["error.type"] = exception_type(error)
        self.set_status(ERROR, exception_message(error))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and self.end_time is None:
            record_outcome(self, error, self._record_exception, self._set_status_on_exception)
        self.end()

    # The reading side: opentelemetry.sdk.trace.ReadableSpan.

    @property
    def context(self) -> SpanContext:
        """The same as `get_span_context()`."""
        return self.get_span_context()

    @property
    def parent(self) -> SpanContext | None:
        """The parent's ids; None for a root."""
        if not self.parent_id:
            return None
        return SpanContext(
            self.trace_id,
            self.parent_id,
            self.parent_is_remote,
            TraceFlags(self.parent_flags),
            self.trace_state,
        )

    @property
    def status(self) -> Status:
        """Code and description."""
        return Status(self.status_code, self.status_description)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """A read-only view."""
        return MappingProxyType(self._attributes)

    @property
    def events(self) -> Sequence[Event]:
        """In the order of recording."""
        return tuple(self._events or ())

    @property
    def links(self) -> Sequence[Link]:
        """In the order of recording."""
        return tuple(self._links or ())

    @property
    def instrumentation_info(self) -> Scope:
        """The old name of `instrumentation_scope`."""
        return self.instrumentation_scope

    def to_json(self, indent: int | None = 4) -> str:
        """As the SDK's console exporter prints it."""
        import json  # noqa: PLC0415 - only for exporters that ask

        from autotrace.tracing.readable import as_json_object  # noqa: PLC0415 - likewise

        return json.dumps(as_json_object(self), indent=indent)

    def __repr__(self) -> str:
        return f"Span({self.name!r}, trace_id={self.trace_id:032x}, span_id={self.span_id:016x})"


def record_outcome(span: trace.Span, error: BaseException, record_exception: bool, set_status: bool) -> None:
    """What leaving a `with` block by an exception does to its span."""
    if not isinstance(error, Exception):
        return  # GeneratorExit, KeyboardInterrupt, SystemExit: control flow, not a failure
    if record_exception:
        span.record_exception(error, escaped=True)
    if set_status:
        span.set_status(Status(ERROR, f"{type(error).__name__}: {exception_message(error)}"))


def _warn_ended(method: str, span: Span) -> None:
    notices.debug(f"{method} on the ended span {span.name!r} is ignored", "ended span")
