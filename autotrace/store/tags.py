"""Whether a span has a tag: a key and the text of its value, wherever the span carries it.

As in Jaeger, a tag is an attribute of the span, its resource, its scope, one of its events or of its
links, and values are compared as text: `true`, `200`, `0.5`, and compact JSON for lists.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from autotrace.store.codec import decode_attributes, decode_events, decode_links

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Final

_MAX_PLAIN_FLOAT: Final = 1e21
"""From here on floats are written with an exponent, as JSON writers in Go and JavaScript do."""
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")

COLUMNS: Final = "resource, scope, attributes, events, links"
"""Of `spans`: what `Wanted.met_by` is given."""


class Wanted:
    """The tags that a span must have, all of them; good for one read transaction."""

    def __init__(self, connection: sqlite3.Connection, tags: Sequence[tuple[str, str]]) -> None:
        self._tags = [
            (
                key,
                value,
                _owners(connection, "resources", key, value),
                _owners(connection, "scopes", key, value),
            )
            for key, value in tags
        ]

    def condition(self) -> tuple[str, list[object]]:
        """What every such span meets, and few others, in SQL that begins with ` AND`; and its values."""
        text = ""
        values: list[object] = []
        for key, value, resources, scopes in self._tags:
            alternatives = [f"resource IN ({_numbers(resources)})", f"scope IN ({_numbers(scopes)})"]
            for needle in _needles(key, value):
                for column in ("attributes", "events", "links"):
                    alternatives.append(f"instr({column}, ?)")
                    values.append(needle)
            text += f" AND ({' OR '.join(alternatives)})"
        return text, values

    def met_by(
        self, resource: int, scope: int, attributes: str | None, events: str | None, links: str | None
    ) -> bool:
        """Whether a span with these columns has all the tags."""
        open_tags = [
            (key, value)
            for key, value, resources, scopes in self._tags
            if resource not in resources and scope not in scopes
        ]
        if not open_tags:
            return True
        owners = owners_of(attributes, events, links)
        return all(any(_has(owner, key, value) for owner in owners) for key, value in open_tags)


def owners_of(attributes: str | None, events: str | None, links: str | None) -> list[Mapping[str, Any]]:
    """The attributes that a span carries itself, from its columns."""
    owners: list[Mapping[str, Any]] = [decode_attributes(attributes)]
    if events is not None:
        owners += [event.attributes for event in decode_events(events)]
    if links is not None:
        owners += [link.attributes for link in decode_links(links)]
    return owners


def text_of(value: Any) -> str:
    """The text that a value is searched by."""
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if value is None:
        return ""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=text_of)


def _float(value: float) -> str:
    if value != value:  # noqa: PLR0124 - NaN
        return "NaN"
    if value.is_integer() and abs(value) < _MAX_PLAIN_FLOAT:
        return str(int(value))
    text = repr(value)
    if "e-" in text and abs(value) >= 1e-6:  # noqa: PLR2004 - where JSON begins to use exponents
        return f"{value:.20f}".rstrip("0")
    return {"inf": "+Inf", "-inf": "-Inf"}.get(text, text)


def _has(attributes: Mapping[str, Any], key: str, value: str) -> bool:
    return key in attributes and text_of(attributes[key]) == value


def _owners(connection: sqlite3.Connection, table: str, key: str, value: str) -> frozenset[int]:
    """The rows of `table` with such an attribute."""
    rows = connection.execute(
        f"SELECT id, attributes FROM {table} WHERE instr(attributes, ?)",  # noqa: S608 - our own names
        (_quoted(key) + ":",),
    )
    return frozenset(number for number, text in rows if _has(decode_attributes(text), key, value))


def _numbers(ids: Iterable[int]) -> str:
    return ",".join(map(str, ids))


def _needles(key: str, value: str) -> list[str]:
    """One of these is in the JSON text of whatever has the tag, as `codec` writes it."""
    name = _quoted(key) + ":"
    if value[:1] in ("[", "{", "", "N", "+") or value == "-Inf":
        return [name]
    needles = [name + _quoted(value)]
    if value in ("true", "false"):
        needles.append(name + value)
    elif (number := _number(value)) is not None:
        needles += {name + value, name + repr(number)}
        if not number:
            needles.append(name + "-0.0")  # of which the text is that of 0
    if len(value) % 4 == 0 and _BASE64.fullmatch(value):
        needles.append(name + '{"$bytes":' + _quoted(value))
    return needles


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _quoted(text: str) -> str:
    return json.dumps(text)
