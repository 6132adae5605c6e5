"""Reading headers through getters of any origin.

The API's getters answer with a list of strings or None, ours and others with a plain string.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.propagators.textmap import CarrierT, Getter


def text(getter: Getter[CarrierT], carrier: CarrierT, name: str) -> str | None:
    """The header's value without blanks around it; None when it was not sent.

    Lines of a header sent more than once are joined with `,` (RFC 9110, 5.2). No format here that
    allows a single value allows a comma in it, so a repeated header is invalid by itself, as it is
    behind servers that do the joining.
    """
    given: object = getter.get(carrier, name)
    if given is None:
        return None
    if type(given) is list and len(given) == 1:
        given = given[0]
    if isinstance(given, str):
        return given.strip(" \t")
    if isinstance(given, Iterable):
        lines = [line for line in given if isinstance(line, str)]
        if lines:
            return ",".join(lines).strip(" \t")
    return None


def text_in_any_case(getter: Getter[CarrierT], carrier: CarrierT, name: str) -> str | None:
    """The same for a header written with capitals, which a carrier that is no HTTP may hold in either way."""
    value = text(getter, carrier, name)
    return value if value is not None else text(getter, carrier, name.lower())


def prefixed(getter: Getter[CarrierT], carrier: CarrierT, prefix: str) -> Iterator[tuple[str, str]]:
    """The headers whose name starts with `prefix` in any case, without it; none if the getter cannot list."""
    keys = getattr(getter, "keys", None)
    if keys is None:
        return
    for key in keys(carrier) or ():
        if isinstance(key, str) and key[: len(prefix)].lower() == prefix:
            value = text(getter, carrier, key)
            if value is not None:
                yield key[len(prefix) :], value
