"""Attribute values as the specification allows them, within the configured limits.

Only what an application hands over passes through here. Attributes of our own instrumentation are
built from trusted types and skip it.

Spec: https://opentelemetry.io/docs/specs/otel/common/#attribute and .../common/#attribute-limits
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotrace import notices

if TYPE_CHECKING:
    from typing import Final

Attributes = dict[str, Any]

_SCALARS: Final = frozenset({str, bool, int, float, bytes, type(None)})
_WEIGHTLESS: Final = frozenset({bool, int, float, type(None)})
_MAX_DEPTH: Final = 20
_LONG: Final = 256
"""Length from which a value is weighed; shorter ones are bounded by their count."""


def bounded(
    given: Mapping[str, Any] | None, count: int | None, length: int | None
) -> tuple[Attributes, int, int]:
    """Copy `given` within the limits.

    Args:
        given: What the application passed.
        count: Attributes to keep at most; None for no limit.
        length: Characters of a string and bytes of a byte string to keep; None for no limit.

    Returns:
        The clean attributes, how many were dropped, and the bytes of the long values among them.
    """
    if not given:
        return {}, 0, 0
    weight = 0
    if type(given) is dict and length is None and (count is None or len(given) <= count):
        for key, value in given.items():
            kind = type(value)
            if kind is str:
                if len(value) > _LONG:
                    weight += len(value)
            elif kind not in _WEIGHTLESS:
                break
            if type(key) is not str or not key:
                break
        else:
            return given.copy(), 0, weight  # the usual case: nothing to clean
    return _cleaned(given, count, length)


def _cleaned(given: Mapping[str, Any], count: int | None, length: int | None) -> tuple[Attributes, int, int]:
    """`bounded`, one by one."""
    kept: Attributes = {}
    dropped = 0
    try:
        for key, value in given.items():
            if not put(kept, key, value, count, length):
                dropped += 1
    except Exception as error:
        notices.warn(f"{type(given).__name__} cannot be read as attributes: {error!r:.100}", "attributes")
    return kept, dropped, _weigh(kept)


def put(attributes: Attributes, key: str, value: Any, count: int | None, length: int | None) -> bool:
    """Set one attribute; False when it was dropped. A known key is replaced, whatever the count."""
    if type(key) is not str or not key:
        if not isinstance(key, str) or not key:
            notices.warn("an attribute whose key is not a non-empty string is dropped", "attribute key")
            return False
        key = str.__str__(key)
    if count is not None and key not in attributes and len(attributes) >= count:
        return False
    try:
        attributes[key] = clean(value, length)
    except Exception:
        attributes[key] = None  # a value that raises when it is looked at
    return True


def clean(value: Any, length: int | None, depth: int = 0) -> Any:
    """A copy of `value` that nobody can change later: scalars, tuples and dicts of them.

    Subclasses of scalars lose their class, and with it whatever they override. What is none of these
    becomes its `str()`, or None when that is but an address in memory; the SDK does the same.

    Raises:
        Exception: Whatever the methods of `value` raise.
    """
    kind = type(value)
    if kind is str:
        return value if length is None or len(value) <= length else value[:length]
    if kind in _SCALARS:
        return value[:length] if kind is bytes and length is not None else value
    if isinstance(value, (str, bytes, int, float)):
        return clean(_without_class(value), length)
    if depth >= _MAX_DEPTH:
        return None
    if isinstance(value, Mapping):
        return {
            _without_class(key) if isinstance(key, str) else str(key): clean(member, length, depth + 1)
            for key, member in value.items()
            if key and _has_text(key)
        }
    if isinstance(value, Sequence):
        return tuple(clean(member, length, depth + 1) for member in value)
    if not _has_text(value):
        return None
    notices.warn(f"attribute value of type {kind.__name__} is recorded as its text", "attribute type")
    return clean(str(value), length)


def _without_class(value: Any) -> Any:
    """The bare scalar of a subclass, asked of the base: the subclass may answer anything."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes.__getitem__(value, slice(None))
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def _has_text(value: Any) -> bool:
    """Whether `str(value)` says more than where in memory it lies."""
    kind: Any = type(value)
    return kind.__str__ is not object.__str__ or kind.__repr__ is not object.__repr__


def _weigh(attributes: Attributes) -> int:
    """Bytes of the long values in `attributes`, roughly."""
    weight = 0
    for value in attributes.values():
        kind = type(value)
        if kind is str:
            if len(value) > _LONG:
                weight += len(value)
        elif kind not in _WEIGHTLESS:
            weight += weigh_value(value)
    return weight


def weigh_value(value: Any) -> int:
    """Bytes of a long value, roughly; 0 for a short one."""
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value) if len(value) > _LONG else 0
    if kind is tuple or kind is list:
        return 8 * len(value) + sum(map(weigh_value, value))
    if kind is dict:
        return 64 * len(value) + _weigh(value)
    return 0
