"""Who made the spans: the entity's attributes, shared by every span of the process."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from typing_extensions import Self


class Resource:
    """An immutable set of attributes; offers what exporters of the OpenTelemetry SDK read.

    Compared and hashed by content, so that exporters can group spans by it.
    """

    __slots__ = ("_hash", "attributes", "schema_url")

    attributes: Mapping[str, Any]

    def __init__(self, attributes: Mapping[str, Any], schema_url: str = "") -> None:
        self.attributes = MappingProxyType(dict(attributes))
        self.schema_url = schema_url
        self._hash: int | None = None

    @property
    def service_name(self) -> str:
        """The name under which backends list this process."""
        return str(self.attributes.get("service.name", "unknown_service"))

    def merge(self, other: Self) -> Resource:
        """Both sets in one; `other` wins where they meet."""
        return Resource({**self.attributes, **other.attributes}, other.schema_url or self.schema_url)

    def to_json(self, indent: int | None = 4) -> str:
        """As the SDK's console exporter prints it."""
        import json  # noqa: PLC0415 - few ever ask

        content = {"attributes": dict(self.attributes), "schema_url": self.schema_url}
        return json.dumps(content, indent=indent)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Resource):
            return NotImplemented
        return self.attributes == other.attributes and self.schema_url == other.schema_url

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash((self.to_json(None), self.schema_url))
        return self._hash

    def __repr__(self) -> str:
        return f"Resource({dict(self.attributes)!r}, {self.schema_url!r})"
