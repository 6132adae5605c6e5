"""From a finished span to a store record, for the exporters that stay on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import SpanKind

from autotrace.store.records import (
    FLAG_PARENT_KNOWN,
    FLAG_PARENT_REMOTE,
    KIND_CLIENT,
    KIND_CONSUMER,
    KIND_INTERNAL,
    KIND_PRODUCER,
    KIND_SERVER,
    EventRecord,
    LinkRecord,
    ResourceRecord,
    ScopeRecord,
    SpanRecord,
)

if TYPE_CHECKING:
    from typing import Final

    from autotrace.tracing.resource import Resource
    from autotrace.tracing.scope import Scope
    from autotrace.tracing.span import Event, Link, Span

# By the member's value: hashing an Enum member calls Python code.
_KINDS: Final = {
    SpanKind.INTERNAL.value: KIND_INTERNAL,
    SpanKind.SERVER.value: KIND_SERVER,
    SpanKind.CLIENT.value: KIND_CLIENT,
    SpanKind.PRODUCER.value: KIND_PRODUCER,
    SpanKind.CONSUMER.value: KIND_CONSUMER,
}

_MAX_KEPT: Final = 256


class Records:
    """Converts spans. Spans that share a resource or a scope share its record too.

    For one thread; keeps the last few hundred resources and scopes alive.
    """

    def __init__(self) -> None:
        # By identity: comparing by content costs more than making a record. The value keeps the key alive.
        self._resources: dict[int, tuple[Resource, ResourceRecord]] = {}
        self._scopes: dict[int, tuple[Scope, ScopeRecord]] = {}

    def of(self, span: Span) -> SpanRecord:
        """The record of a finished span; what it refers to is not copied."""
        start, end, state = span.start_time, span.end_time, span.trace_state
        flags = span.trace_flags | FLAG_PARENT_KNOWN
        if span.parent_is_remote:
            flags |= FLAG_PARENT_REMOTE
        return SpanRecord(
            span.trace_id,
            span.span_id,
            span.parent_id,
            span.name,
            _KINDS[span.kind.value],
            start,
            None if end is None else end - start,
            span.status_code.value,
            span.status_description or "",
            flags,
            state.to_header() if state else "",
            span._attributes,
            tuple([_event(event) for event in span._events]) if span._events else (),
            tuple([_link(link) for link in span._links]) if span._links else (),
            span.dropped_attributes,
            span.dropped_events,
            span.dropped_links,
            self._resource(span.resource),
            self._scope(span.instrumentation_scope),
        )

    def _resource(self, resource: Resource) -> ResourceRecord:
        known = self._resources.get(id(resource))
        if known is None:
            if len(self._resources) >= _MAX_KEPT:
                self._resources.clear()
            record = ResourceRecord(dict(resource.attributes), resource.schema_url)
            known = self._resources[id(resource)] = (resource, record)
        return known[1]

    def _scope(self, scope: Scope) -> ScopeRecord:
        known = self._scopes.get(id(scope))
        if known is None:
            if len(self._scopes) >= _MAX_KEPT:
                self._scopes.clear()
            record = ScopeRecord(scope.name, scope.version or "", dict(scope.attributes), scope.schema_url)
            known = self._scopes[id(scope)] = (scope, record)
        return known[1]


def _event(event: Event) -> EventRecord:
    return EventRecord(event.name, event.timestamp, event.attributes, event.dropped_attributes)


def _link(link: Link) -> LinkRecord:
    context = link.context
    return LinkRecord(
        context.trace_id,
        context.span_id,
        context.trace_flags | FLAG_PARENT_KNOWN | (FLAG_PARENT_REMOTE if context.is_remote else 0),
        context.trace_state.to_header() if context.trace_state else "",
        link.attributes or {},
        link.dropped_attributes,
    )
