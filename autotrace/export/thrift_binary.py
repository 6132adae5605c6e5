"""The structs of Jaeger in Thrift's binary protocol: HTTP bodies, and datagrams for port 6832.

Field: type, id in two bytes, content; 0 ends a struct. All numbers are big-endian. The functions are
those of `jaeger_spans.Thrift`, as in `thrift_compact`.

Spec: https://github.com/apache/thrift/blob/master/doc/specs/thrift-binary-protocol.md
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_LOW_64: Final = 2**64 - 1

_MESSAGE: Final = b"\x80\x01\x00\x04\x00\x00\x00\x09emitBatch\x00\x00\x00\x00\x0c\x00\x01"

_size: Final = Struct(">i").pack
_double: Final = Struct(">d").pack
_long: Final = Struct(">q").pack
_log: Final = Struct(">3sq3s").pack
_reference: Final = Struct(">10sQ3sQ3sQ").pack
_ids: Final = Struct(">3sQ3sQ3sQ3sQ3s").pack
_times: Final = Struct(">3si3sq3sq").pack


def text_tag(key: bytes, value: bytes) -> bytes:
    """Encode a Tag of type STRING; both texts in UTF-8."""
    return b"\x0b\0\1%b%b\x08\0\2\0\0\0\0\x0b\0\3%b%b\0" % (_size(len(key)), key, _size(len(value)), value)


def double_tag(key: bytes, value: float) -> bytes:
    """Encode a Tag of type DOUBLE."""
    return b"\x0b\0\1%b%b\x08\0\2\0\0\0\1\x04\0\4%b\0" % (_size(len(key)), key, _double(value))


def bool_tag(key: bytes, value: bool) -> bytes:
    """Encode a Tag of type BOOL."""
    return b"\x0b\0\1%b%b\x08\0\2\0\0\0\2\x02\0\5%b\0" % (_size(len(key)), key, b"\1" if value else b"\0")


def long_tag(key: bytes, value: int) -> bytes:
    """Encode a Tag of type LONG; `value` fits 64 bits with sign."""
    return b"\x0b\0\1%b%b\x08\0\2\0\0\0\3\x0a\0\6%b\0" % (_size(len(key)), key, _long(value))


def binary_tag(key: bytes, value: bytes) -> bytes:
    """Encode a Tag of type BINARY."""
    return b"\x0b\0\1%b%b\x08\0\2\0\0\0\4\x0b\0\7%b%b\0" % (_size(len(key)), key, _size(len(value)), value)


def text(utf8: bytes) -> bytes:
    """Encode a string."""
    return _size(len(utf8)) + utf8


def log(timestamp: int, fields: Sequence[bytes]) -> bytes:
    """Encode a Log from its Tags; `timestamp` in microseconds since the epoch."""
    start = _log(b"\x0a\0\1", timestamp, b"\x0f\0\2")
    return b"%b%b%b\0" % (start, list_header(len(fields)), b"".join(fields))


def follows_from(trace_id: int, span_id: int) -> bytes:
    """Encode a SpanRef to a span that is not the parent."""
    return (
        _reference(
            b"\x08\0\1\0\0\0\1\x0a\0\2", trace_id & _LOW_64, b"\x0a\0\3", trace_id >> 64, b"\x0a\0\4", span_id
        )
        + b"\0"
    )


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
    return b"".join(
        (
            _ids(
                b"\x0a\0\1",
                trace_id & _LOW_64,
                b"\x0a\0\2",
                trace_id >> 64,
                b"\x0a\0\3",
                span_id,
                b"\x0a\0\4",
                parent_id,
                b"\x0b\0\5",
            ),
            name,
            b"\x0f\0\6%b%b" % (list_header(len(references)), b"".join(references)) if references else b"",
            _times(b"\x08\0\7", flags, b"\x0a\0\x08", start, b"\x0a\0\x09", duration),
            b"\x0f\0\x0a",
            list_header(len(tags)),
            *tags,
            b"\x0f\0\x0b%b%b\0" % (list_header(len(logs)), b"".join(logs)) if logs else b"\0",
        )
    )


def process(service_name: bytes, tags: Sequence[bytes]) -> bytes:
    """Encode a Process from its Tags."""
    encoded_tags = b"\x0f\0\2%b%b" % (list_header(len(tags)), b"".join(tags)) if tags else b""
    return b"\x0b\0\1%b%b%b\0" % (_size(len(service_name)), service_name, encoded_tags)


def batch(process: bytes, spans: Sequence[bytes]) -> bytes:
    """Encode a Batch: the body of a POST."""
    return b"".join((b"\x0c\0\1", process, b"\x0f\0\2", list_header(len(spans)), *spans, b"\0"))


def message(process: bytes, spans: Sequence[bytes]) -> bytes:
    """Encode a oneway call of `Agent.emitBatch`: one datagram."""
    return b"".join((_MESSAGE, batch(process, spans), b"\0"))


def list_header(count: int) -> bytes:
    """Encode what stands before the structs of a list."""
    return b"\x0c" + _size(count)
