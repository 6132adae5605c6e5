"""One trace as the viewer shows it: spans in the order of the waterfall, analysed."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from autotrace.analysis.timing import critical_path, self_time
from autotrace.backend.viewer.answers import encoded
from autotrace.store.quantities import format_duration, full_id
from autotrace.store.records import KIND_NAMES
from autotrace.store.tree import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Final

    from autotrace.store.records import LinkRecord, ResourceRecord, ScopeRecord, SpanRecord
    from autotrace.store.tree import Node

_STATUSES: Final = ("unset", "ok", "error")
_MAX_SAFE: Final = 2**53 - 1
"""The largest integer that a JavaScript number holds."""
_MAX_DECIMAL_BITS: Final = 8192
"""Python refuses to write more than 4300 decimal digits."""
_SKEW: Final = 1_000_000
"""Nanoseconds by which a span must precede its parent before it is worth a word."""


def document(spans: Sequence[SpanRecord], linked_from: Sequence[Mapping[str, str]]) -> bytes:
    """The answer for one trace, as JSON; `spans` must not be empty, `linked_from` is what links to it."""
    roots = build(spans)
    start = min((span.start for span in spans if span.start), default=0)
    end = max(span.end for span in spans)
    members = _Members(roots, start)
    # One by one: ten thousand spans as dictionaries would keep the garbage collector busy.
    texts = b",".join(encoded(members.span(node, depth)) for node, depth in _walk(roots))
    head = {
        "id": full_id(spans[0].trace_id),
        "start": start // 1000,
        "duration": max(0, end - start) // 1000,
        "errors": sum(span.failed for span in spans),
        "services": list(members.services),
        "resources": members.resources,
        "scopes": members.scopes,
        "linkedFrom": linked_from,
    }
    return b'%b,"spans":[%b]}' % (encoded(head)[:-1], texts)


class _Members:
    """The spans, with what they share told once."""

    def __init__(self, roots: Sequence[Node], start: int) -> None:
        self._start = start
        self._critical = critical_path(roots)
        # The records are the reader's: one object per resource and scope.
        self._resources: dict[int, int] = {}
        self._scopes: dict[int, int] = {}
        self.services: dict[str, int] = {}
        self.resources: list[dict[str, Any]] = []
        self.scopes: list[dict[str, Any]] = []

    def span(self, node: Node, depth: int) -> dict[str, Any]:
        """One, `depth` levels below its root."""
        span = node.span
        resource = self._resource(span.resource)
        return {
            "id": f"{span.span_id:016x}",
            "parent": f"{span.parent_id:016x}" if span.parent_id else "",
            "depth": depth,
            "children": len(node.children),
            "name": span.name,
            "kind": KIND_NAMES[span.kind] if 0 <= span.kind < len(KIND_NAMES) else "",
            "service": self.resources[resource]["service"],
            "resource": resource,
            "scope": self._scope(span.scope),
            "start": self._relative(span.start) if span.start else 0,
            "duration": None if span.duration is None else span.duration / 1000,
            "self": self_time(node) / 1000,
            "status": _STATUSES[span.status] if 0 <= span.status < len(_STATUSES) else "unset",
            "message": span.status_message,
            "critical": [
                [self._relative(part.start), self._relative(part.end)]
                for part in self._critical.get(node, ())
            ],
            "attributes": _pairs(span.attributes),
            "events": [
                {
                    "time": self._relative(event.timestamp) if event.timestamp else 0,
                    "name": event.name,
                    "attributes": _pairs(event.attributes),
                }
                for event in span.events
            ],
            "links": [_link(link) for link in span.links],
            "note": node.note or _skew(node),
        }

    def _relative(self, time: int) -> float:
        return (time - self._start) / 1000

    def _resource(self, resource: ResourceRecord) -> int:
        known = self._resources.get(id(resource))
        if known is None:
            known = self._resources[id(resource)] = len(self.resources)
            service = self.services.setdefault(resource.service, len(self.services))
            self.resources.append({"service": service, "attributes": _pairs(resource.attributes)})
        return known

    def _scope(self, scope: ScopeRecord) -> int:
        known = self._scopes.get(id(scope))
        if known is None:
            known = self._scopes[id(scope)] = len(self.scopes)
            self.scopes.append(
                {"name": scope.name, "version": scope.version, "attributes": _pairs(scope.attributes)}
            )
        return known


def _walk(roots: Sequence[Node]) -> Iterator[tuple[Node, int]]:
    """Every node with its depth, parents before children, however deep."""
    waiting = [(root, 0) for root in reversed(roots)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting.extend((child, depth + 1) for child in reversed(node.children))


def _skew(node: Node) -> str:
    """That the clocks of two processes differ, where it shows."""
    parent = node.parent
    if parent is None or not node.span.start or node.span.resource is parent.span.resource:
        return ""
    early = parent.span.start - node.span.start
    if early < _SKEW:
        return ""
    return f"it starts {format_duration(early)} before its parent: their clocks differ"


def _link(link: LinkRecord) -> dict[str, Any]:
    return {
        "trace": full_id(link.trace_id),
        "span": f"{link.span_id:016x}",
        "attributes": _pairs(link.attributes),
    }


def _pairs(attributes: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(key, value if type(value) is str else _plain(value)) for key, value in attributes.items()]


def _plain(value: Any) -> Any:
    """A JSON scalar that a browser reads without loss, or an array of them; maps as text."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        if abs(value) <= _MAX_SAFE:
            return value
        return str(value) if value.bit_length() <= _MAX_DECIMAL_BITS else hex(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, (tuple, list)):
        return [_plain(member) for member in value]
    return json.dumps({key: _plain(member) for key, member in value.items()}, separators=(",", ":"))
