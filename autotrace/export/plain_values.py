"""Attribute values made harmless for a wire format, and as JSON text.

Spec: https://opentelemetry.io/docs/specs/otel/common/#attribute
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Final

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
UINT32_MAX: Final = 2**32 - 1
UINT64_MAX: Final = 2**64 - 1

MAX_DEPTH: Final = 32
"""Nested arrays and maps below this depth become null; attributes of spans are cut earlier."""

_MAX_DECIMAL_BITS: Final = 4096


def scalar_text(text: str) -> str:
    """`text` as Unicode allows it: surrogate pairs joined, lone surrogates replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def utf8(text: str) -> bytes:
    """UTF-8 of any text, lone surrogates replaced."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return scalar_text(text).encode()


def text_of(value: Any) -> str:
    """`str(value)` of a value that no attribute should have; one that cannot even do that is empty."""
    try:
        return str(value)
    except Exception:
        return ""


def integer_text(value: int) -> str:
    """Decimal digits of an integer of any size; Python refuses, and so do we, to write millions of them."""
    if value.bit_length() > _MAX_DECIMAL_BITS:
        return f"integer of {value.bit_length()} bits"
    return int.__repr__(value)


def unsigned(value: Any, maximum: int = UINT64_MAX) -> int:
    """A count or a time that the application may have got wrong, as an integer within 0..maximum."""
    try:
        return min(max(int(value), 0), maximum)
    except (TypeError, ValueError, OverflowError):
        return 0


def quote(text: str) -> str:
    """A JSON string in ASCII, quotes included."""
    quoted = encode_basestring_ascii(text)
    # An escaped surrogate may be half of a pair, or lone and then refused by many a parser.
    return encode_basestring_ascii(scalar_text(text)) if "\\ud" in quoted else quoted


def base64(value: bytes | bytearray) -> str:
    """Standard base64, padded."""
    from binascii import b2a_base64  # noqa: PLC0415 - few attributes are bytes

    return b2a_base64(value, newline=False).decode()


def float_text(value: float) -> str:
    """Shortest decimal that reads back the same; NaN, Infinity, -Infinity as OTLP spells them."""
    if value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return float.__repr__(value)


def json_text(value: Any, depth: int = 0) -> str:
    """An attribute value as strict JSON: bytes in base64, NaN and infinities as strings."""
    if value is None or depth > MAX_DEPTH:
        return "null"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        text = integer_text(value)
        return text if text[-1].isdigit() else quote(text)
    if isinstance(value, float):
        text = float_text(value)
        return text if text[-1].isdigit() else quote(text)
    if isinstance(value, (bytes, bytearray)):
        return quote(base64(value))
    if isinstance(value, (tuple, list)):
        return "[" + ",".join([json_text(member, depth + 1) for member in value]) + "]"
    if isinstance(value, dict):
        members = [f"{quote(text_of(key))}:{json_text(member, depth + 1)}" for key, member in value.items()]
        return "{" + ",".join(members) + "}"
    return quote(text_of(value))


def tag_text(value: Any) -> str:
    """An attribute value as the text of a tag: strings and bytes (base64) bare, all else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        return base64(value)
    if isinstance(value, float):
        return float_text(value)
    if value is None:
        return ""
    return json_text(value)
