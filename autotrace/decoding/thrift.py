"""Thrift structs without their schema, in the compact and in the binary protocol.

A struct is a dict of field id to value: integers, floats, booleans, bytes for strings, lists, dicts for
structs. What a field is not expected to be is found out by whoever looks at it.

Spec: https://github.com/apache/thrift/tree/master/doc/specs
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from autotrace.decoding.decoded import MAX_DEPTH, MalformedError

if TYPE_CHECKING:
    from typing import Final

_MAX_STRUCTS: Final = 1_000_000
"""And lists, in one message: a body within its limits could still unfold into gigabytes of empty ones."""
_MORE: Final = 0x80
_LONGEST_VARINT: Final = 70
"""Bits: ten bytes of seven."""

_NOT_THRIFT: Final = "not Thrift"


# The binary protocol's types.
_BOOL: Final = 2
_BYTE: Final = 3
_DOUBLE: Final = 4
_I16: Final = 6
_I32: Final = 8
_I64: Final = 10
_STRING: Final = 11
_STRUCT: Final = 12
_MAP: Final = 13
_SET: Final = 14
_LIST: Final = 15

_NUMBERS: Final = {
    _BOOL: Struct("?"),
    _BYTE: Struct("b"),
    _DOUBLE: Struct(">d"),
    _I16: Struct(">h"),
    _I32: Struct(">i"),
    _I64: Struct(">q"),
}

# The compact protocol's.
_COMPACT_TRUE: Final = 1
_COMPACT_FALSE: Final = 2
_COMPACT_BYTE: Final = 3
_COMPACT_INTEGERS: Final = frozenset({4, 5, 6})
_COMPACT_DOUBLE: Final = 7
_COMPACT_STRING: Final = 8
_COMPACT_LISTS: Final = frozenset({9, 10})
_COMPACT_MAP: Final = 11
_COMPACT_STRUCT: Final = 12
_COMPACT_LONG: Final = 15
"""Instead of a list's size: it follows."""

_compact_double: Final = Struct("<d")


class Reader:
    """Reads one message. A protocol is a subclass that reads headers and scalars.

    Every method raises MalformedError, IndexError or struct.error where the bytes are no message.
    """

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._position = 0
        self._containers = 0

    def message_name(self) -> bytes:
        """The name in the header that begins here; what follows is the struct of arguments."""
        raise NotImplementedError

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The fields from here to the end of the struct."""
        self._open(depth)
        fields: dict[int, Any] = {}
        number = 0
        while True:
            kind, number = self._field(number)
            if not kind:
                return fields
            fields[number] = self._value(kind, depth)

    def _field(self, last: int) -> tuple[int, int]:
        """Type and id of the field that begins here, where `last` was the id before; type 0 at the end."""
        raise NotImplementedError

    def _value(self, kind: int, depth: int) -> Any:
        raise NotImplementedError

    def _elements(self, kinds: tuple[int, ...], count: int, depth: int) -> list[Any]:
        """A list, or a map as one: keys and values in turn."""
        self._open(depth)
        # Each takes a byte at least: a count that promises more is a lie.
        if not 0 <= count <= len(self._message) - self._position:
            raise MalformedError("a list is longer than its message")
        return [self._value(kind, depth + 1) for _ in range(count) for kind in kinds]

    def _open(self, depth: int) -> None:
        self._containers += 1
        if depth > MAX_DEPTH or self._containers > _MAX_STRUCTS:
            raise MalformedError("nested too deep, or too many structs")

    def _byte(self) -> int:
        byte = self._message[self._position]
        self._position += 1
        return byte

    def _bytes(self, size: int) -> bytes:
        start, end = self._position, self._position + size
        if size < 0 or end > len(self._message):
            raise MalformedError("a string ends beyond its message")
        self._position = end
        return self._message[start:end]

    def _number(self, shape: Struct) -> Any:
        start = self._position
        self._position += shape.size
        return shape.unpack_from(self._message, start)[0]


class BinaryReader(Reader):
    """Big-endian numbers of fixed size."""

    def message_name(self) -> bytes:
        """Its header may be of the old kind, without a version."""
        version = self._number(_NUMBERS[_I32])
        if version < 0:
            name = self._value(_STRING, 0)
        else:
            name = self._bytes(version)
            self._position += 1
        self._position += 4
        return bytes(name)

    def _field(self, last: int) -> tuple[int, int]:
        kind = self._byte()
        return kind, self._number(_NUMBERS[_I16]) if kind else last

    def _value(self, kind: int, depth: int) -> Any:
        shape = _NUMBERS.get(kind)
        if shape is not None:
            return self._number(shape)
        if kind == _STRING:
            return self._bytes(self._number(_NUMBERS[_I32]))
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in {_LIST, _SET}:
            return self._elements((self._byte(),), self._number(_NUMBERS[_I32]), depth)
        if kind == _MAP:
            return self._elements((self._byte(), self._byte()), self._number(_NUMBERS[_I32]), depth)
        raise MalformedError(_NOT_THRIFT)


class CompactReader(Reader):
    """Varints, field ids as distances, booleans within the type."""

    def message_name(self) -> bytes:
        """Its header begins with the protocol's id and version."""
        self._position += 2
        self._varint()
        return self._bytes(self._varint())

    def _field(self, last: int) -> tuple[int, int]:
        header = self._byte()
        if not header:
            return 0, last
        distance = header >> 4
        return header & 0x0F, last + distance if distance else self._zigzag()

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _COMPACT_INTEGERS:
            return self._zigzag()
        if kind == _COMPACT_STRING:
            return self._bytes(self._varint())
        if kind == _COMPACT_STRUCT:
            return self.struct(depth + 1)
        if kind <= _COMPACT_FALSE:
            return kind == _COMPACT_TRUE
        if kind == _COMPACT_DOUBLE:
            return self._number(_compact_double)
        if kind in _COMPACT_LISTS:
            header = self._byte()
            size = header >> 4
            return self._list(header & 0x0F, self._varint() if size == _COMPACT_LONG else size, depth)
        if kind == _COMPACT_BYTE:
            return self._byte()
        if kind == _COMPACT_MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            return self._elements((kinds >> 4, kinds & 0x0F), count, depth)
        raise MalformedError(_NOT_THRIFT)

    def _list(self, kind: int, count: int, depth: int) -> list[Any]:
        # A boolean in a list has a byte of its own.
        return self._elements((_COMPACT_BYTE if kind <= _COMPACT_FALSE else kind,), count, depth)

    def _zigzag(self) -> int:
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def _varint(self) -> int:
        number = shift = 0
        while shift < _LONGEST_VARINT:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < _MORE:
                return number
            shift += 7
        raise MalformedError(_NOT_THRIFT)
