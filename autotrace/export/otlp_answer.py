"""What an OTLP backend answers: spans it rejected, or why it refused a request.

A few fields of two messages, read by hand from protobuf or JSON. Whatever the backend sends, nothing
raises: an answer that cannot be read says nothing.

Spec: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.export.delivery import said
from autotrace.export.plain_values import unsigned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from autotrace.export.transport import Response

_VARINT: Final = 0
_FIXED64: Final = 1
_SIZED: Final = 2
_FIXED32: Final = 5


def partial_success(response: Response) -> tuple[int, str]:
    """Rejected spans, and the backend's words about them; `(0, "")` for a full success."""
    try:
        if _is_json(response):
            partial = _json_object(response.body).get("partialSuccess") or {}
            return unsigned(partial.get("rejectedSpans", 0)), said(str(partial.get("errorMessage", "")))
        partial = dict(_fields(dict(_fields(response.body)).get(1, b"")))
        return unsigned(partial.get(1, 0)), said(partial.get(2, b"").decode("utf-8", "replace"))
    except Exception:
        return 0, ""


def error_message(response: Response) -> str:
    """The message of a google.rpc.Status, or the start of a text that a proxy wrote; may be empty."""
    content_type = response.headers.get("content-type", "")
    try:
        if _is_json(response):
            return said(str(_json_object(response.body).get("message", "")))
        if content_type.startswith("text/plain"):
            return said(response.body[:1000].decode("utf-8", "replace"))
        if "protobuf" in content_type:
            return said(dict(_fields(response.body)).get(2, b"").decode("utf-8", "replace"))
    except Exception:
        pass
    return ""


def _is_json(response: Response) -> bool:
    return "json" in response.headers.get("content-type", "")


def _json_object(body: bytes) -> dict[str, Any]:
    import json  # noqa: PLC0415 - only where a backend speaks JSON

    content = json.loads(body or b"{}")
    return content if isinstance(content, dict) else {}


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and content of each field; integers for varints, bytes for all else."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == _VARINT:
            number, position = _varint(message, position)
            yield tag >> 3, number
            continue
        if kind == _SIZED:
            size, position = _varint(message, position)
        elif kind in {_FIXED64, _FIXED32}:
            size = 8 if kind == _FIXED64 else 4
        else:
            return  # groups are extinct: this is no protobuf
        yield tag >> 3, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[position]
        number |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a varint
            return number, position
        shift += 7
