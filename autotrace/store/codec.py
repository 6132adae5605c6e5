"""Attributes, events and links as compact JSON text, and back without loss.

Plain ASCII JSON, so that SQLite's own JSON functions and a person with a shell can read it. What
JSON cannot say travels as an object with one reserved key: `{"$bytes": base64}`,
`{"$float": "nan"}`; a genuine mapping of that look is wrapped as `{"$map": {...}}`. Integers of
any size are JSON numbers. Lists come back as tuples. Lone surrogates survive as escapes.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotrace.store.records import EventRecord, LinkRecord

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

_BYTES: Final = "$bytes"
_FLOAT: Final = "$float"
_MAP: Final = "$map"
_RESERVED: Final = frozenset({_BYTES, _FLOAT, _MAP})
_MAX_DEPTH: Final = 50
_MAX_INTEGER_BITS: Final = 8192
"""Larger ones become hex text: beyond 4300 decimal digits the interpreter refuses to write or read them."""

_MARK: Final = '{"$'
"""In encoded text only where an object begins with such a key: inside a string the quote is escaped."""

# check_circular would cost a dict per container; endless nesting ends in RecursionError, below.
_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def encode_attributes(attributes: Mapping[str, Any]) -> str | None:
    """JSON text; None for no attributes, so that the column takes no space."""
    if not attributes:
        return None
    try:
        text = _compact(attributes)
    except (TypeError, ValueError, RecursionError):
        pass  # bytes, NaN, huge integers, endless nesting: the careful way
    else:
        if _MARK not in text:
            return text
    return _compact({str(key): _plain(value, 0) for key, value in attributes.items()})


def decode_attributes(text: str | None) -> dict[str, Any]:
    """What `encode_attributes` was given."""
    if text is None:
        return {}
    return {key: _restored(value) for key, value in json.loads(text).items()}


def encode_events(events: Iterable[EventRecord]) -> str | None:
    """A JSON array of `[name, timestamp, attributes or null, dropped]`; None for no events."""
    parts = [
        f"[{_compact(name)},{timestamp},{encode_attributes(attributes) or 'null'},{dropped}]"
        for name, timestamp, attributes, dropped in events
    ]
    return f"[{','.join(parts)}]" if parts else None


def decode_events(text: str | None) -> tuple[EventRecord, ...]:
    """What `encode_events` was given."""
    if text is None:
        return ()
    return tuple(
        EventRecord(
            name, timestamp, {key: _restored(value) for key, value in (attributes or {}).items()}, dropped
        )
        for name, timestamp, attributes, dropped in json.loads(text)
    )


def encode_links(links: Iterable[LinkRecord]) -> str | None:
    """A JSON array of `[trace id, span id, flags, tracestate, attributes or null, dropped]`; None for none.

    Ids are hex text: a search for a linked trace is a substring search.
    """
    parts = [
        f'["{trace_id:032x}","{span_id:016x}",{flags},{_compact(trace_state)},'
        f"{encode_attributes(attributes) or 'null'},{dropped}]"
        for trace_id, span_id, flags, trace_state, attributes, dropped in links
    ]
    return f"[{','.join(parts)}]" if parts else None


def decode_links(text: str | None) -> tuple[LinkRecord, ...]:
    """What `encode_links` was given."""
    if text is None:
        return ()
    return tuple(
        LinkRecord(
            int(trace_id, 16),
            int(span_id, 16),
            flags,
            trace_state,
            {key: _restored(value) for key, value in (attributes or {}).items()},
            dropped,
        )
        for trace_id, span_id, flags, trace_state, attributes, dropped in json.loads(text)
    )


def storable(text: str) -> str:
    """`text` as SQLite can hold it: lone surrogates, which UTF-8 cannot say, become escapes."""
    if type(text) is not str:
        text = str(text)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-8", "backslashreplace").decode()
    return text


def _plain(value: Any, depth: int) -> Any:
    """`value` in terms of JSON; what is too deep becomes null, what is foreign its text."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _MAX_INTEGER_BITS else hex(value)
    if isinstance(value, float):
        # NaN is the one value that differs from itself; the difference of infinities is NaN too.
        return value if value - value == 0 else {_FLOAT: repr(value)}
    if isinstance(value, (bytes, bytearray)):
        return {_BYTES: b64encode(value).decode()}
    if depth >= _MAX_DEPTH:
        return None
    if isinstance(value, Mapping):
        members = {str(key): _plain(member, depth + 1) for key, member in value.items()}
        return {_MAP: members} if len(members) == 1 and _RESERVED.issuperset(members) else members
    if isinstance(value, Sequence):
        return [_plain(member, depth + 1) for member in value]
    return str(value)


def _restored(value: Any) -> Any:
    kind = type(value)
    if kind is list:
        return tuple([_restored(member) for member in value])
    if kind is not dict:
        return value
    if len(value) == 1:
        ((key, content),) = value.items()
        if key == _BYTES:
            return b64decode(content)
        if key == _FLOAT:
            return float(content)
        if key == _MAP:
            value = content
    return {key: _restored(member) for key, member in value.items()}
