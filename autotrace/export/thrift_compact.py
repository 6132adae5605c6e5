"""The structs of Jaeger in Thrift's compact protocol: datagrams for port 6831.

Field: one byte of type and distance to the id before, content; 0 ends a struct. Integers are zigzag
varints: the sign goes to the lowest bit, then seven bits a byte, the lowest first. The functions are
those of `jaeger_spans.Thrift`, as in `thrift_binary`.

Spec: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_LOW_64: Final = 2**64 - 1

_MESSAGE: Final = b"\x82\x81\x00\x09emitBatch\x1c"

_double: Final = Struct("<d").pack


def text_tag(key: bytes, value: bytes) -> bytes:
    """Encode a Tag of type STRING; both texts in UTF-8."""
    return b"\x18%b%b\x15\x00\x18%b%b\0" % (_varint(len(key)), key, _varint(len(value)), value)


def double_tag(key: bytes, value: float) -> bytes:
    """Encode a Tag of type DOUBLE."""
    return b"\x18%b%b\x15\x02\x27%b\0" % (_varint(len(key)), key, _double(value))


def bool_tag(key: bytes, value: bool) -> bytes:
    """Encode a Tag of type BOOL."""
    return b"\x18%b%b\x15\x04%b\0" % (_varint(len(key)), key, b"\x31" if value else b"\x32")


def long_tag(key: bytes, value: int) -> bytes:
    """Encode a Tag of type LONG; `value` fits 64 bits with sign."""
    return b"\x18%b%b\x15\x06\x46%b\0" % (_varint(len(key)), key, _varint(value << 1 ^ value >> 63))


def binary_tag(key: bytes, value: bytes) -> bytes:
    """Encode a Tag of type BINARY."""
    return b"\x18%b%b\x15\x08\x58%b%b\0" % (_varint(len(key)), key, _varint(len(value)), value)


def text(utf8: bytes) -> bytes:
    """Encode a string."""
    return _varint(len(utf8)) + utf8


def log(timestamp: int, fields: Sequence[bytes]) -> bytes:
    """Encode a Log from its Tags; `timestamp` in microseconds since the epoch."""
    return b"\x16%b\x19%b%b\0" % (_varint(timestamp << 1), list_header(len(fields)), b"".join(fields))


def follows_from(trace_id: int, span_id: int) -> bytes:
    """Encode a SpanRef to a span that is not the parent."""
    low, high, span = _id(trace_id & _LOW_64), _id(trace_id >> 64), _id(span_id)
    return b"\x15\x02\x16%b\x16%b\x16%b\0" % (low, high, span)


def span(
    trace_id: int,
    span_id: int,
    parent_id: int,
    name: bytes,
    references: Sequence[bytes],
    flags: int,
    start: int,
    duration: int,
    tags: Sequence[bytes],
    logs: Sequence[bytes],
) -> bytes:
    """Encode a Span; ids unsigned, times in microseconds below 2**55, the lists of encoded members."""
    times, ids = _long_fields(trace_id, span_id, parent_id, start, duration)
    return b"".join(
        (
            ids,
            b"\x18",
            name,
            b"\x19%b%b\x15" % (list_header(len(references)), b"".join(references)) if references else b"\x25",
            b"\x02" if flags == 1 else _varint(flags << 1),
            times,
            b"\x19",
            list_header(len(tags)),
            *tags,
            b"\x19%b%b\0" % (list_header(len(logs)), b"".join(logs)) if logs else b"\0",
        )
    )


def process(service_name: bytes, tags: Sequence[bytes]) -> bytes:
    """Encode a Process from its Tags."""
    encoded_tags = b"\x19%b%b" % (list_header(len(tags)), b"".join(tags)) if tags else b""
    return b"\x18%b%b%b\0" % (_varint(len(service_name)), service_name, encoded_tags)


def batch(process: bytes, spans: Sequence[bytes]) -> bytes:
    """Encode a Batch."""
    return b"".join((b"\x1c", process, b"\x19", list_header(len(spans)), *spans, b"\0"))


def message(process: bytes, spans: Sequence[bytes]) -> bytes:
    """Encode a oneway call of `Agent.emitBatch`: one datagram."""
    return b"".join((_MESSAGE, batch(process, spans), b"\0"))


def list_header(count: int) -> bytes:
    """Encode what stands before the structs of a list."""
    return bytes((count << 4 | 0xC,)) if count < 15 else b"\xfc" + _varint(count)  # noqa: PLR2004


def _varint(number: int) -> bytes:
    if number >> 7 == 0:
        return bytes((number,))
    if number >> 14 == 0:
        return bytes((number & 0x7F | 0x80, number >> 7))
    return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80)) + _varint(number >> 14)


def _id(number: int) -> bytes:
    """Encode an unsigned integer of 64 bits, reread as a signed one."""
    return _varint(number << 1 & _LOW_64 ^ _LOW_64 if number >> 63 else number << 1)


# Ids are random: ten bytes of varint each, which byte by byte would cost more than the rest of the span.
# So all I64 fields are done at once, side by side in one long integer. A lane holds one field: its header
# in the lowest byte, the varint in the ten bytes above. Lane 0 is the start time, whose varint has eight
# bytes from 1978 on, lane 1 the duration, and the others are the ids.

_LANE: Final = 88


def _in_lanes(bits: int, lanes: range = range(6)) -> int:
    return sum(bits << 8 + _LANE * lane for lane in lanes)


_SIGN: Final = _in_lanes(1 << 64)
_ABOVE_56: Final = _in_lanes(0xFF << 56)
_ABOVE_28: Final = _in_lanes(0xFFFFFFF << 28)
_ABOVE_14: Final = _in_lanes(0x3FFF << 14 | 0x3FFF << 46)
_ABOVE_7: Final = _in_lanes(0x7F << 7 | 0x7F << 23 | 0x7F << 39 | 0x7F << 55 | 1 << 71)
_TENTH: Final = _in_lanes(1 << 72)


def _frame(lanes: int, duration: int) -> int:
    """Field headers, and the bits that say "more follows", for a duration of so many bytes."""
    headers = sum(0x16 << _LANE * lane for lane in range(lanes))
    more = int.from_bytes(b"\x80" * 8, "little")
    return (
        headers
        | _in_lanes(more >> 8, range(1))
        | _in_lanes(more >> 72 - 8 * duration, range(1, 2))
        | _in_lanes(more, range(2, lanes))
    )


_ROOT_FRAMES: Final = [_frame(5, duration) for duration in range(1, 10)]
_CHILD_FRAMES: Final = [_frame(6, duration) for duration in range(1, 10)]


def _long_fields(
    trace_id: int, span_id: int, parent_id: int, start: int, duration: int
) -> tuple[bytes, bytes]:
    """Encode the I64 fields of a span: start time and duration, and the four ids."""
    x = start << 9 | duration << 97 | (trace_id & _LOW_64) << 185 | trace_id >> 64 << 273 | span_id << 361
    if parent_id:
        x |= parent_id << 449
    sign = x & _SIGN  # where it is set, that bit and the 64 below are flipped
    x ^= (sign << 1) - (sign >> 64)
    # Open gaps of a bit below each seventh, from the middle: what a mask selects moves by 8, 4, 2 and 1 bits.
    x += (x & _ABOVE_56) * 0xFF
    x += (x & _ABOVE_28) * 0xF
    x += (x & _ABOVE_14) * 0x3
    x += x & _ABOVE_7
    length = duration.bit_length() // 7
    x |= (_CHILD_FRAMES if parent_id else _ROOT_FRAMES)[length] | (x & _TENTH) >> 1
    lanes = x.to_bytes(66 if parent_id else 55, "little")
    if not lanes[8] or not duration or 0 in lanes[31::11]:  # does not fit the frame: rare
        return (
            b"\x16%b\x16%b" % (_id(start), _id(duration)),
            b"\x16%b\x16%b\x16%b\x16%b"
            % (_id(trace_id & _LOW_64), _id(trace_id >> 64), _id(span_id), _id(parent_id)),
        )
    fields = lanes.replace(b"\0", b"")  # every zero that is left lies beyond the end of a varint
    times = length + 11
    return fields[:times], fields[times:] if parent_id else fields[times:] + b"\x16\0"
