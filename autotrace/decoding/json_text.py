"""JSON from strangers: whatever it holds, a value of the expected type, or MalformedError.

Missing members and nulls count as empty, as all the formats that we read have it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from autotrace.decoding.decoded import MalformedError

if TYPE_CHECKING:
    from typing import Final

_MAX_DIGITS: Final = 20
"""Of a 64-bit integer, with its sign."""


def parsed(body: bytes) -> Any:
    """The value that `body` says; what is not UTF-8 in it is replaced.

    Raises:
        MalformedError: It is no JSON, or nested too deep.
    """
    try:
        return json.loads(body.decode("utf-8", "replace"))
    except RecursionError:
        raise MalformedError("the JSON is nested too deep") from None
    except ValueError as error:
        raise MalformedError(f"not JSON: {error!s:.200}") from None


def mapping(value: Any, name: str) -> dict[str, Any]:
    """`value` as a JSON object."""
    if value is None:
        return {}
    if type(value) is not dict:
        raise MalformedError(f"{name} must be an object")
    return value


def sequence(value: Any, name: str) -> list[Any]:
    """`value` as a JSON array."""
    if value is None:
        return []
    if type(value) is not list:
        raise MalformedError(f"{name} must be an array")
    return value


def text(value: Any, name: str) -> str:
    """`value` as a string."""
    if value is None:
        return ""
    if type(value) is not str:
        raise MalformedError(f"{name} must be a string")
    return value


def integer(value: Any, name: str) -> int:
    """`value` as an integer, which may be written as a string or as a float without fraction."""
    if type(value) is int:
        return value
    if value is None:
        return 0
    if type(value) is str and len(value) <= _MAX_DIGITS:
        try:
            return int(value)
        except ValueError:
            pass
    if type(value) is float and value.is_integer():
        return int(value)
    raise MalformedError(f"{name} must be an integer")
