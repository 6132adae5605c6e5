"""Spans sorted into resources and scopes, as OTLP nests them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, ItemsView

    from autotrace.tracing.resource import Resource
    from autotrace.tracing.scope import Scope

Encoded = TypeVar("Encoded", bytes, str)


class Grouping(Generic[Encoded]):
    """Lists of encoded spans, one for each resource and scope, in the order of first sight.

    Objects are told apart by identity, which is fast, and then by their encoded form, which is what
    the backend sees: attributes need not be hashable. Lives for one batch, whose spans keep the
    objects alive.
    """

    __slots__ = ("_by_content", "_by_identity", "_encode_resource", "_encode_scope")

    _by_content: dict[Encoded, dict[Encoded, list[Encoded]]]
    _by_identity: dict[tuple[int, int], list[Encoded]]
    _encode_resource: Callable[[Resource], Encoded]
    _encode_scope: Callable[[Scope], Encoded]

    def __init__(
        self, encode_resource: Callable[[Resource], Encoded], encode_scope: Callable[[Scope], Encoded]
    ) -> None:
        self._encode_resource = encode_resource
        self._encode_scope = encode_scope
        self._by_identity = {}
        self._by_content = {}

    def of(self, resource: Resource, scope: Scope) -> list[Encoded]:
        """The list that an encoded span of this resource and scope belongs into."""
        identity = (id(resource), id(scope))
        group = self._by_identity.get(identity)
        if group is None:
            scopes = self._by_content.setdefault(self._encode_resource(resource), {})
            group = self._by_identity[identity] = scopes.setdefault(self._encode_scope(scope), [])
        return group

    def resources(self) -> ItemsView[Encoded, dict[Encoded, list[Encoded]]]:
        """Each resource with its scopes, each scope with its spans."""
        return self._by_content.items()
