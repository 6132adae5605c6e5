"""Tracer, spans and scopes of jaeger-client, with ours underneath.

OpenTracing's words: an operation is a span's name, a tag an attribute, a log an event, a scope the time for
which a span is current. A span of kind server, begun while a request is served whose span is ours, is that
very span: it gets the name and the tags, and ends with the response.

Imported only when a program has imported `jaeger_client`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaeger_client.reporter import NullReporter  # type: ignore[import-untyped,unused-ignore]
from jaeger_client.sampler import ConstSampler  # type: ignore[import-untyped,unused-ignore]
from jaeger_client.span import Span as JaegerSpan  # type: ignore[import-untyped,unused-ignore]
from jaeger_client.span_context import SpanContext  # type: ignore[import-untyped,unused-ignore]
from jaeger_client.tracer import Tracer as JaegerTracer  # type: ignore[import-untyped,unused-ignore]
from opentelemetry import baggage, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentracing import Format, Scope, ScopeManager  # type: ignore[import-untyped,unused-ignore]
from opentracing.ext import tags as names  # type: ignore[import-untyped,unused-ignore]

from autotrace.patching.guard import absorbed
from autotrace.tracing.context import SPAN_KEY, Context, attach, current, detach
from autotrace.tracing.remote import RemoteSpan
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from autotrace.patching.patcher import Patcher

_SCOPE_KEY = "autotrace-opentracing-scope"
_SAMPLED = 1
_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_TEXT_FORMATS = frozenset({Format.TEXT_MAP, Format.HTTP_HEADERS})


class BridgedTracer(JaegerTracer):  # type: ignore[misc,unused-ignore]
    """What `Config.initialize_tracer` returns; it takes the place of the program's own.

    Args:
        config: A `jaeger_client.Config`.
        patcher: Of the library.
    """

    def __init__(self, config: Any, patcher: Patcher) -> None:
        super().__init__(
            service_name=config.service_name,
            reporter=NullReporter(),
            sampler=ConstSampler(True),
            trace_id_header=config.trace_id_header,
            generate_128bit_trace_id=config.generate_128bit_trace_id,
            baggage_header_prefix=config.baggage_header_prefix,
            debug_id_header=config.debug_id_header,
            tags=config.tags,
            max_tag_value_length=config.max_tag_value_length,
            max_traceback_length=config.max_traceback_length,
            extra_codecs=config.propagation,
            scope_manager=ContextScopes(self),
        )
        self.ours = patcher.tracer
        self._propagator = patcher.propagator

    def start_span(
        self,
        operation_name: str | None = None,
        child_of: Any = None,
        references: Any = None,
        tags: dict[str, Any] | None = None,
        start_time: float | None = None,
        ignore_active_span: bool = False,
    ) -> Any:
        """Begin a span; one that fails to is the library's own, and reaches nobody."""
        try:
            return self._start(
                operation_name or "", child_of, references, tags, start_time, ignore_active_span
            )
        except Exception as error:
            absorbed(error)
            return super().start_span(
                operation_name, child_of, references, tags, start_time, ignore_active_span
            )

    def _start(
        self,
        name: str,
        child_of: Any,
        references: Any,
        tags: Mapping[str, Any] | None,
        start_time: float | None,
        ignore_active_span: bool,
    ) -> BridgedSpan:
        parent, others = _parents(child_of, references)
        here = current()
        served = here.get(SPAN_KEY)
        tags = dict(tags or {})
        kind = _KINDS.get(str(tags.pop(names.SPAN_KIND, "")), SpanKind.INTERNAL)
        if type(served) is Span and served.end_time is None and not ignore_active_span:
            if parent is not None and not isinstance(parent, LocalContext):
                is_caller = (
                    parent.trace_id == served.trace_id
                )  # found in the headers: what serves is its child
                if kind is SpanKind.SERVER and not is_caller:
                    others = [parent, *others]
                if kind is SpanKind.SERVER or is_caller:
                    parent = None
            if kind is SpanKind.SERVER and served.kind is SpanKind.SERVER and parent is None:
                return self._of_request(served, name, tags, others)
        if parent is not None:
            context = with_context_of(parent, Context() if ignore_active_span else here)
        else:
            context = Context() if ignore_active_span else here
        span = self.ours.start_span(
            name,
            context,
            kind,
            {key: plain(value) for key, value in tags.items()},
            [Link(_span_of(other).get_span_context()) for other in others if other.has_trace],
            None if start_time is None else int(start_time * 1e9),
        )
        started = BridgedSpan(span, self, name, baggage_in(context), start_time)
        if tags.get(names.ERROR):
            started.set_tag(names.ERROR, tags[names.ERROR])
        return started

    def _of_request(
        self, served: Span, name: str, tags: Mapping[str, Any], others: Iterable[Any]
    ) -> BridgedSpan:
        started = BridgedSpan(served, self, name, baggage_in(current()), None, is_borrowed=True)
        served.update_name(name)
        for other in others:
            if other.has_trace:
                served.add_link(_span_of(other).get_span_context())
        for key, value in tags.items():
            started.set_tag(key, value)
        return started

    def inject(self, span_context: Any, format: str, carrier: Any) -> None:  # noqa: A002 - the library's name
        """Write the headers of jaeger-client, and of each format that the operator has named."""
        super().inject(span_context, format, carrier)
        if format in _TEXT_FORMATS:
            ids = getattr(span_context, "context", span_context)
            self._propagator.inject(carrier, with_context_of(ids, Context()))

    def extract(self, format: str, carrier: Any) -> Any:  # noqa: A002
        """What the library finds, else what the formats say that the operator has named."""
        found = super().extract(format, carrier)
        if (found is None or not found.has_trace) and format in _TEXT_FORMATS:
            headers = {str(key).lower(): value for key, value in carrier.items()}
            context = self._propagator.extract(headers, Context())
            remote = context.get(SPAN_KEY)
            if isinstance(remote, RemoteSpan):
                return _remote(remote, baggage_in(context))
        return found


class BridgedSpan(JaegerSpan):  # type: ignore[misc,unused-ignore]
    """A span of the program's.

    Args:
        ours: Where all goes that is said of it.
        tracer: That began it.
        name: Of the operation.
        items: Its baggage.
        start_time: Seconds since the epoch, as the program gave it.
        is_borrowed: It is the span of the request that is served, and ends with it.
    """

    def __init__(
        self,
        ours: trace.Span,
        tracer: BridgedTracer,
        name: str,
        items: Mapping[str, str],
        start_time: float | None,
        is_borrowed: bool = False,
    ) -> None:
        super().__init__(_local(ours, items), tracer, name, None, start_time)
        self.ours = ours
        self._is_borrowed = is_borrowed

    def set_operation_name(self, operation_name: str) -> BridgedSpan:
        """Rename it."""
        self.operation_name = operation_name
        self.ours.update_name(operation_name)
        return self

    def set_tag(self, key: str, value: Any) -> BridgedSpan:
        """Set an attribute; `error` is the status. `sampling.priority` is kept, and decides nothing."""
        if key == names.ERROR and value in (True, "true", "True", 1):
            self.ours.set_status(Status(StatusCode.ERROR))
        elif key != names.ERROR or value:
            self.ours.set_attribute(key, plain(value))
        return self

    def log_kv(self, key_values: Mapping[str, Any], timestamp: float | None = None) -> BridgedSpan:
        """Add an event, named by the key `event`; an exception in `error.object` is recorded as one."""
        at = None if timestamp is None else int(timestamp * 1e9)
        error = key_values.get("error.object")
        if isinstance(error, BaseException):
            self.ours.record_exception(error, None, at)
        else:
            fields = {key: plain(value) for key, value in key_values.items() if key != "event"}
            self.ours.add_event(str(key_values.get("event", "log")), fields, at)
        return self

    def set_baggage_item(self, key: str, value: str | None) -> BridgedSpan:
        """Hand something on to all that follows, at once where this span is current."""
        self._context = self.context.with_baggage_item(key=key, value=value)
        here = current()
        if here.get(SPAN_KEY) is self.ours and value is not None:
            attach(
                baggage.set_baggage(key, value, here)
            )  # until the scope ends, which restores what was before
        return self

    def finish(self, finish_time: float | None = None) -> None:
        """End it; a borrowed one ends with its request."""
        if self.finished:
            return
        self.finished = True
        self.end_time = finish_time
        if not self._is_borrowed:
            self.ours.end(None if finish_time is None else int(finish_time * 1e9))


class ContextScopes(ScopeManager):  # type: ignore[misc,unused-ignore]
    """Scopes kept where OpenTelemetry keeps the current span: in the context of the thread or the task."""

    def __init__(self, tracer: BridgedTracer) -> None:
        super().__init__()
        self._tracer = tracer

    def activate(self, span: Any, finish_on_close: bool) -> ContextScope:
        """Make `span` current until the scope is closed."""
        return ContextScope(self, span, finish_on_close)

    @property
    def active(self) -> Any:
        """The current scope, or one of the span that somebody else has made current; None without a span."""
        here = current()
        scope: Any = here.get(_SCOPE_KEY)
        span: Any = here.get(SPAN_KEY)
        if scope is not None and scope.current is span:
            return scope
        if span is None or not span.get_span_context().is_valid:
            return None
        name = getattr(span, "name", "")
        return Scope(self, BridgedSpan(span, self._tracer, name, baggage_in(here), None, is_borrowed=True))


class ContextScope(Scope):  # type: ignore[misc,unused-ignore]
    """The time for which a span is current."""

    def __init__(self, manager: ContextScopes, span: Any, finish_on_close: bool) -> None:
        super().__init__(manager, span)
        self._finish_on_close = finish_on_close
        context = Context({**current(), _SCOPE_KEY: self})
        if isinstance(span, BridgedSpan):
            context = with_context_of(span.context, context)
        self.current = context.get(SPAN_KEY)
        """What is the current span as long as nobody makes another one current."""
        self._token: Any = attach(context)

    def close(self) -> None:
        """Make current what was before."""
        token, self._token = self._token, None
        if token is not None:
            detach(token)
        if self._finish_on_close:
            self.span.finish()


class LocalContext(SpanContext):  # type: ignore[misc,unused-ignore]
    """The ids and the baggage of a span of this process, which they lead back to."""

    __slots__ = ("ours",)

    def with_baggage_item(self, key: str, value: str | None) -> LocalContext:
        """Another one with an entry more, or less."""
        items = {name: text for name, text in self.baggage.items() if name != key}
        return _local(self.ours, items if value is None else {**items, key: value})


def _local(span: trace.Span, items: Mapping[str, str]) -> LocalContext:
    context = _remote(span, items, LocalContext)
    context.ours = span
    return context  # type: ignore[no-any-return]


def _remote(span: trace.Span, items: Mapping[str, str], kind: Any = SpanContext) -> Any:
    ids = span.get_span_context()
    flags = _SAMPLED if ids.trace_flags.sampled else 0
    return kind(ids.trace_id, ids.span_id, getattr(span, "parent_id", 0), flags, dict(items))


def with_context_of(ids: Any, context: Context) -> Context:
    """`context` in which the span of such ids is current, with its baggage."""
    if ids.has_trace:
        context = Context({**context, SPAN_KEY: _span_of(ids)})
    for key, value in ids.baggage.items():
        context = baggage.set_baggage(key, value, context)
    return context


def baggage_in(context: Context) -> dict[str, str]:
    """The entries as text."""
    return {key: str(value) for key, value in baggage.get_all(context).items()}


def plain(value: Any) -> Any:
    """A value that an attribute may have."""
    return value if isinstance(value, (bool, str, int, float)) else str(value)


def _span_of(ids: Any) -> trace.Span:
    if isinstance(ids, LocalContext):
        ours: trace.Span = ids.ours
        return ours
    return RemoteSpan(ids.trace_id, ids.span_id, _SAMPLED if ids.flags & _SAMPLED else 0)


def _parents(child_of: Any, references: Any) -> tuple[Any, Iterable[Any]]:
    """The context that comes first, and the others, which become links."""
    listed = [references] if hasattr(references, "referenced_context") else references or ()
    given = [child_of, *(reference.referenced_context for reference in listed)]
    contexts = [getattr(each, "context", each) for each in given if each is not None]
    return (contexts[0] if contexts else None), contexts[1:]
