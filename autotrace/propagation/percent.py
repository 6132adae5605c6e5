"""Percent-encoding of baggage values, the same for W3C and Jaeger.

Not `urllib.parse`: importing it costs 4 ms in a program that has no use for it, and its `unquote_plus`
reads `+` as a space.

Spec: https://www.w3.org/TR/baggage/#value
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

# Compiled when they are needed, not at start.
# `+` is legal but encoded: peers that use `unquote_plus`, or Go's `QueryUnescape`, make it a space.
_UNSAFE: Final = r"[^!#$&'()*\-./0-9:<=>?@A-Z\[\]^_`a-z{|}~]+"
_ENCODED: Final = "(?:%[0-9A-Fa-f]{2})+"


def encode(text: str) -> str:
    """`text` as a baggage value; what UTF-8 cannot say (lone surrogates) becomes `?`."""
    return re.sub(_UNSAFE, _encoded, text)


def decode(text: str) -> str:
    """The text that `encode` made; bytes that are not UTF-8 become U+FFFD, a lone `%` stays."""
    return re.sub(_ENCODED, _decoded, text) if "%" in text else text


def _encoded(match: re.Match[str]) -> str:
    return "".join([f"%{byte:02X}" for byte in match.group().encode("utf-8", "replace")])


def _decoded(match: re.Match[str]) -> str:
    return bytes.fromhex(match.group().replace("%", "")).decode("utf-8", "replace")
