"""Zipkin spans in JSON, of version 2 and of version 1.

Spec: https://zipkin.io/zipkin-api/ and https://zipkin.io/zipkin-api/zipkin-api.yaml
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.decoding.decoded import Decoded, MalformedError
from autotrace.decoding.json_text import integer, mapping, parsed, sequence, text
from autotrace.decoding.zipkin_spans import decode_spans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

_OF_VERSION_1: Final = "binaryAnnotations"
_OF_VERSION_2: Final = ("tags", "localEndpoint", "remoteEndpoint")

_CLIENT: Final = ("cs", "cr")
_SERVER: Final = ("sr", "ss")
_PRODUCER: Final = ("ms", "ws")
_CONSUMER: Final = ("wr", "mr")
_SIDES: Final = (("CLIENT", _CLIENT), ("SERVER", _SERVER), ("PRODUCER", _PRODUCER), ("CONSUMER", _CONSUMER))
"""A kind, and the annotations that mark its begin and its end."""
_CORE: Final = frozenset(value for _, values in _SIDES for value in values)
_ADDRESSES: Final = {"sa": ("CLIENT",), "ca": ("SERVER",), "ma": ("PRODUCER", "CONSUMER")}
"""Binary annotations that tell the other side of spans of a kind."""


def decode(body: bytes) -> Decoded:
    """The spans of an array of version 2; an empty body has none.

    Raises:
        MalformedError: It is none, or one of the spans is none.
    """
    return decode_value(parsed(body)) if body else Decoded([])


def decode_value(values: Any) -> Decoded:
    """The same of JSON that is parsed already."""
    spans = sequence(values, "the request")
    if any(type(span) is dict and _OF_VERSION_1 in span for span in spans):
        raise MalformedError("these are spans of version 1: POST them to /api/v1/spans")
    return decode_spans(spans)


def decode_v1(body: bytes) -> Decoded:
    """The spans of an array of version 1; an empty body has none.

    Raises:
        MalformedError: It is none, or one of the spans is none.
    """
    spans = sequence(parsed(body), "the request") if body else []
    if any(type(span) is dict and any(name in span for name in _OF_VERSION_2) for span in spans):
        raise MalformedError("these are spans of version 2: POST them to /api/v2/spans")
    return decode_spans([half for span in spans for half in _version_2(mapping(span, "a span"))])


def _version_2(span: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A span of version 1 as one of version 2, or as two when it holds both sides of a call."""
    annotations = [
        mapping(each, "an annotation") for each in sequence(span.get("annotations"), "annotations")
    ]
    binary = [mapping(each, "an annotation") for each in sequence(span.get(_OF_VERSION_1), _OF_VERSION_1)]
    for each in binary:
        text(each.get("key"), "an annotation's key")
    marks = {text(each.get("value"), "value"): each for each in annotations}
    sides = [(kind, values) for kind, values in _SIDES if not marks.keys().isdisjoint(values)]
    common = {name: span.get(name) for name in ("traceId", "id", "parentId", "name", "debug")}
    if not sides:
        half = {**common, "timestamp": span.get("timestamp"), "duration": span.get("duration")}
        yield {**half, **_described("", annotations, binary, _first_endpoint(annotations, binary))}
        return
    for number, (kind, (begin, end)) in enumerate(sides):
        endpoint = (marks.get(begin) or marks[end]).get("endpoint")
        first, last = (integer(marks.get(mark, {}).get("timestamp"), "timestamp") for mark in (begin, end))
        owned = not number  # who comes first owns the times of a span that two share
        yield {
            **common,
            "kind": kind,
            "timestamp": (owned and span.get("timestamp")) or first,
            "duration": (owned and span.get("duration")) or (last - first if first and last else None),
            # There was no such flag: a server's span without a time of its own is one that a client began.
            "shared": kind == "SERVER" and (not owned or not span.get("timestamp")),
            **_described(
                kind,
                annotations if len(sides) == 1 else _at(annotations, endpoint, owned),
                binary if len(sides) == 1 else _at(binary, endpoint, owned),
                endpoint,
            ),
        }


def _described(
    kind: str, annotations: list[dict[str, Any]], binary: list[dict[str, Any]], endpoint: Any
) -> dict[str, Any]:
    """Endpoints, annotations and tags."""
    tags, remote = {}, None
    for each in binary:
        key, value = text(each.get("key"), "key"), each.get("value")
        if key in _ADDRESSES and value in (True, "true", "1"):
            if not kind or kind in _ADDRESSES[key]:
                remote = each.get("endpoint")
        elif key != "lc" or value:
            tags[key] = _tag(value)
    return {
        "localEndpoint": endpoint,
        "remoteEndpoint": remote,
        "annotations": [each for each in annotations if each.get("value") not in _CORE],
        "tags": tags,
    }


def _at(members: list[dict[str, Any]], endpoint: Any, owned: bool) -> list[dict[str, Any]]:
    """Those of one side; what has no endpoint goes to the first, addresses of the other side to all."""

    def here(member: dict[str, Any]) -> bool:
        at = member.get("endpoint")
        return at == endpoint or (owned and not at) or member.get("key") in _ADDRESSES

    return list(filter(here, members))


def _first_endpoint(annotations: list[dict[str, Any]], binary: list[dict[str, Any]]) -> Any:
    local = (each for each in binary if each.get("key") not in _ADDRESSES)
    return next((each["endpoint"] for each in (*annotations, *local) if each.get("endpoint")), None)


def _tag(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else ""
