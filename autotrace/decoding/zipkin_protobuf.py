"""Zipkin spans in protobuf: a ListOfSpans, brought into the shape of the JSON.

Spec: https://github.com/openzipkin/zipkin-api/blob/master/zipkin.proto
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from autotrace.decoding.decoded import MAX_SPANS, TOO_MANY_SPANS, Decoded, MalformedError
from autotrace.decoding.protobuf import fields, text
from autotrace.decoding.zipkin_spans import decode_spans

if TYPE_CHECKING:
    from typing import Final

# Tags: number << 3 | kind, see protobuf.py.
_MEMBER_1: Final = 0x0A
_MEMBER_2: Final = 0x12
_MEMBER_3: Final = 0x1A
_PORT: Final = 0x20
_ANNOTATION_TIME: Final = 0x09
_KIND: Final = 0x20
_NAME: Final = 0x2A
_TIMESTAMP: Final = 0x31
_DURATION: Final = 0x38
_LOCAL: Final = 0x42
_REMOTE: Final = 0x4A
_ANNOTATION: Final = 0x52
_TAG: Final = 0x5A
_DEBUG: Final = 0x60
_SHARED: Final = 0x68

_KINDS: Final = (None, "CLIENT", "SERVER", "PRODUCER", "CONSUMER")
_IPV4_BYTES: Final = 4
_IPV6_BYTES: Final = 16


def decode(body: bytes) -> Decoded:
    """The spans of a ListOfSpans.

    Raises:
        MalformedError: It is none, or one of the spans is none.
    """
    spans = []
    for tag, content in fields(body):
        if tag == _MEMBER_1:
            spans.append(_span(content))
            if len(spans) > MAX_SPANS:
                raise MalformedError(TOO_MANY_SPANS)
    return decode_spans(spans)


def _span(message: bytes) -> dict[str, Any]:
    found: dict[int, Any] = {}
    annotations, tags = [], {}
    for tag, content in fields(message):
        if tag == _TAG:
            pair = dict(fields(content))
            tags[text(pair.get(_MEMBER_1, b""))] = text(pair.get(_MEMBER_2, b""))
        elif tag == _ANNOTATION:
            pair = dict(fields(content))
            annotations.append(
                {"timestamp": pair.get(_ANNOTATION_TIME), "value": text(pair.get(_MEMBER_2, b""))}
            )
        else:
            found[tag] = content
    get = found.get
    kind = get(_KIND, 0)
    return {
        "traceId": get(_MEMBER_1, b"").hex(),
        "parentId": get(_MEMBER_2, b"").hex(),
        "id": get(_MEMBER_3, b"").hex(),
        "kind": _KINDS[kind] if kind < len(_KINDS) else None,
        "name": text(get(_NAME, b"")),
        "timestamp": get(_TIMESTAMP),
        "duration": get(_DURATION),
        "localEndpoint": _endpoint(get(_LOCAL, b"")),
        "remoteEndpoint": _endpoint(get(_REMOTE, b"")),
        "annotations": annotations,
        "tags": tags,
        "debug": get(_DEBUG) == 1,
        "shared": get(_SHARED) == 1,
    }


def _endpoint(message: bytes) -> dict[str, Any]:
    found = dict(fields(message))
    ipv4, ipv6 = found.get(_MEMBER_2, b""), found.get(_MEMBER_3, b"")
    return {
        "serviceName": text(found.get(_MEMBER_1, b"")),
        "ipv4": socket.inet_ntop(socket.AF_INET, ipv4) if len(ipv4) == _IPV4_BYTES else None,
        "ipv6": socket.inet_ntop(socket.AF_INET6, ipv6) if len(ipv6) == _IPV6_BYTES else None,
        "port": found.get(_PORT),
    }
