"""Which instrumentation made a span.

Spec: https://opentelemetry.io/docs/specs/otel/glossary/#instrumentation-scope
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Scope:
    """Name and version of an instrumentation; offers what the SDK's `InstrumentationScope` does."""

    __slots__ = ("attributes", "name", "schema_url", "version")

    attributes: Mapping[str, Any]

    def __init__(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.schema_url = schema_url or ""
        self.attributes = MappingProxyType(dict(attributes or {}))

    def _key(self) -> tuple[object, ...]:
        return (self.name, self.version, self.schema_url, tuple(sorted(self.attributes.items())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scope) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.name, self.version, self.schema_url))

    def __repr__(self) -> str:
        return f"Scope({self.name!r}, {self.version!r})"
