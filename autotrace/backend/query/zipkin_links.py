"""Which service calls which, as a Zipkin server counts it.

Spans are put into a tree in which the server half of a joined span hangs under its client half. Only
spans that cross a border between services count: a server with its nearest remote ancestor, a client
with what it called when that is not traced itself.

Spec: https://github.com/openzipkin/zipkin/blob/master/zipkin/src/main/java/zipkin2/internal/README.md
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Span = dict[str, Any]
    Key = tuple[str, bool, tuple[Any, ...] | None]


class Links:
    """Counts calls, trace by trace."""

    def __init__(self) -> None:
        self._calls: Counter[tuple[str, str]] = Counter()
        self._errors: Counter[tuple[str, str]] = Counter()

    def add(self, trace: Sequence[Span]) -> None:
        """Count those of one trace."""
        root, roots = _tree(_merged(trace))
        for node in _breadth_first(roots):
            self._add_node(node, is_root=node is root)

    def counted(self) -> list[dict[str, Any]]:
        """As the API lists them."""
        return [
            {
                "parent": parent,
                "child": child,
                "callCount": count,
                **({"errorCount": self._errors[parent, child]} if self._errors[parent, child] else {}),
            }
            for (parent, child), count in self._calls.items()
        ]

    def _add_node(self, node: _Node, *, is_root: bool) -> None:
        span = node.span
        kind, local, remote = (
            span.get("kind"),
            _service(span, "localEndpoint"),
            _service(span, "remoteEndpoint"),
        )
        if kind == "CLIENT" and node.children:
            return  # the server's side names the link better
        if kind is None:
            if not local or not remote:
                return
            kind = "CLIENT"
        parent, child = (remote, local) if kind in {"SERVER", "CONSUMER"} else (local, remote)
        if is_root and kind in {"SERVER", "CONSUMER"} and not parent:
            return
        failed = _failed(span)
        if kind in {"PRODUCER", "CONSUMER"}:
            self._link(parent, child, failed=failed)
            return
        ancestor = node.remote_ancestor()
        if ancestor is not None and (name := _service(ancestor, "localEndpoint")):
            if kind == "CLIENT" and local and name != local:
                self._link(name, local, failed=False)  # some senders name the remote side in a client's span
            if kind == "SERVER" or not parent:
                parent = name
            if not failed and ancestor.get("kind") == "CLIENT" and span.get("parentId") == ancestor["id"]:
                failed = _failed(ancestor)
        self._link(parent, child, failed=failed)

    def _link(self, parent: str, child: str, *, failed: bool) -> None:
        if parent and child:
            self._calls[parent, child] += 1
            self._errors[parent, child] += failed


class _Node:
    __slots__ = ("children", "parent", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.parent: _Node | None = None
        self.children: list[_Node] = []

    def remote_ancestor(self) -> Span | None:
        ancestor = self.parent
        while ancestor is not None and "kind" not in ancestor.span:
            ancestor = ancestor.parent
        return None if ancestor is None else ancestor.span


def _service(span: Span, endpoint: str) -> str:
    return str(span.get(endpoint, {}).get("serviceName", ""))


def _failed(span: Span) -> bool:
    return "error" in span.get("tags", ())


def _endpoint(span: Span) -> tuple[Any, ...] | None:
    return tuple(sorted(span.get("localEndpoint", {}).items())) or None


def _merged(trace: Iterable[Span]) -> list[Span]:
    """Spans that were sent in pieces as one, clients before their server halves, which are marked."""
    pieces: dict[tuple[str, bool, str], Span] = {}
    for span in trace:
        key = (span["id"], "shared" in span, _service(span, "localEndpoint"))
        if key in pieces:
            known = pieces[key]
            pieces[key] = {**span, **known, "tags": {**known.get("tags", {}), **span.get("tags", {})}}
        else:
            pieces[key] = span
    spans = sorted(
        pieces.values(), key=lambda span: (span["id"], "shared" in span, span.get("kind") != "CLIENT")
    )
    last: Span = {}
    for number, span in enumerate(spans):
        if span["id"] == last.get("id"):
            last = spans[number] = {**span, **_learned(span, last)}
        else:
            last = span
    return spans


def _learned(span: Span, before: Span) -> Span:
    """What a span did not say itself, and the one with the same id before it tells."""
    learned: Span = {}
    if before.get("kind") == "CLIENT" and span.get("kind") == "SERVER":
        learned["shared"] = True
    if "parentId" in before and "parentId" not in span:
        learned["parentId"] = before["parentId"]
    return learned


def _tree(spans: Sequence[Span]) -> tuple[_Node | None, list[_Node]]:
    """The first true root, and the nodes to begin with; spans without their parent hang under that root."""
    nodes: dict[Key, _Node] = {}
    shared = {(span["id"], True, _endpoint(span)) for span in spans if "shared" in span}
    parents: list[tuple[_Node, Key | None]] = []
    root: _Node | None = None
    for span in spans:
        node = _Node(span)
        if "shared" in span:
            nodes[span["id"], True, _endpoint(span)] = node
            parents.append((node, (span["id"], False, None)))
            continue
        parent_id = span.get("parentId")
        if parent_id is None and root is None:
            root = node
        else:
            above = (parent_id, True, _endpoint(span))
            parents.append((node, above if above in shared else (parent_id or "", False, None)))
        nodes[span["id"], False, None] = node
    tops = [] if root is None else [root]
    for node, key in parents:
        parent = nodes.get(key) if key is not None else None
        if parent is None or parent is node:
            parent = root
        if parent is None:
            tops.append(node)
        else:
            node.parent = parent
            parent.children.append(node)
    return root, tops


def _breadth_first(roots: Iterable[_Node]) -> Iterator[_Node]:
    waiting = deque(roots)
    while waiting:
        node = waiting.popleft()
        yield node
        waiting.extend(node.children)
