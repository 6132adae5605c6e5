"""Whether a span has the tags that a search in Jaeger asks for.

Spec: https://www.jaegertracing.io/docs/latest/architecture/apis/ and Jaeger's own memory store, which
compares texts, and knows a few keys that are no attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.store.records import KIND_NAMES, STATUS_ERROR, STATUS_OK
from autotrace.store.tags import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

    from autotrace.store.records import SpanRecord
    from autotrace.store.search import Query

_RESOURCE: Final = "resource."
_STATUSES: Final = ("UNSET", "OK", "ERROR")
SPECIAL: Final = frozenset({"error", "span.kind", "span.status", "scope.name", "scope.version"})


def is_special(key: str) -> bool:
    """Whether `key` may mean something else than an attribute of that name."""
    return key in SPECIAL or key.startswith(_RESOURCE)


def meets(span: SpanRecord, query: Query) -> bool:
    """Whether this one span satisfies everything that `query` asks."""
    duration = span.duration or 0
    return (
        (not query.service or span.resource.service == query.service)
        and (not query.operation or span.name == query.operation)
        and query.start <= span.start <= query.end
        and duration >= query.min_duration
        and (query.max_duration is None or duration <= query.max_duration)
        and all(_has(span, key, value) for key, value in query.tags)
    )


def _has(span: SpanRecord, key: str, value: str) -> bool:
    if key == "error" and value in {"true", "false"}:
        return span.status == (STATUS_ERROR if value == "true" else STATUS_OK)
    if key == "span.kind":
        return KIND_NAMES[span.kind] == value.lower()
    if key == "span.status":
        return _STATUSES[span.status] == value.upper()
    if key == "scope.name":
        return span.scope.name == value
    if key == "scope.version":
        return span.scope.version == value
    if key.startswith(_RESOURCE) and _equal(span.resource.attributes, key[len(_RESOURCE) :], value):
        return True
    return any(_equal(attributes, key, value) for attributes in _all_attributes(span))


def _all_attributes(span: SpanRecord) -> Iterable[Mapping[str, Any]]:
    yield span.attributes
    yield span.scope.attributes
    yield span.resource.attributes
    for event in span.events:
        yield event.attributes
    for link in span.links:
        yield link.attributes


def _equal(attributes: Mapping[str, Any], key: str, value: str) -> bool:
    return key in attributes and text_of(attributes[key]) == value
