"""W3C Baggage, and how all formats keep baggage: as the OpenTelemetry API does, in the context.

`opentelemetry.baggage` is imported with the first entry that arrives: it imports `urllib.parse`.

Spec: https://www.w3.org/TR/baggage/
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter

from autotrace.propagation.carrier import text
from autotrace.propagation.percent import decode, encode
from autotrace.tracing.context import current

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Final

    from opentelemetry.propagators.textmap import CarrierT, Getter, Setter
    from typing_extensions import Self

MAX_MEMBERS: Final = 180
"""64 must pass; 180 is what older editions of the specification and other implementations let pass."""

MAX_LENGTH: Final = 8192
"""Characters of all members together, with `=` and `,`."""

is_token: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
"""Whether a text can be a key: a token of HTTP."""

_is_encoded_value: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*").fullmatch
_is_metadata: Final = re.compile(r"[\t\x20-\x2b\x2d-\x7e]*").fullmatch


class Value(str):
    """A baggage value with properties: a string to the application, properties kept for the next process."""

    __slots__ = ("metadata",)

    metadata: str
    """As received, without the first `;`: `property;prop=val`."""

    def __new__(cls, value: str, metadata: str = "") -> Self:
        """Without `metadata` for `pickle`, which restores it afterwards."""
        self = super().__new__(cls, value)
        self.metadata = metadata
        return self


class Baggage(TextMapPropagator):
    """`baggage` in `OTEL_PROPAGATORS`. Knows nothing of spans and sampling."""

    reads = ("baggage",)

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Add the entries received; a malformed one is skipped."""
        if context is None:
            context = Context()
        header = text(getter, carrier, "baggage")
        return with_entries(bounded(_members(header)), context) if header else context

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write the entries that a header can say; the header is left out when there are none."""
        found = entries(current() if context is None else context)
        if found:
            header = ",".join([f"{key}={value}" for key, value in bounded(_encoded(found))])
            if header:
                setter.set(carrier, "baggage", header)

    @property
    def fields(self) -> set[str]:
        """The header that `inject` sets."""
        return {"baggage"}


def entries(context: Context) -> Mapping[str, object]:
    """The baggage in `context`."""
    if not context:
        return {}
    module = sys.modules.get("opentelemetry.baggage")  # not imported yet: nobody can have set any
    found = context.get(getattr(module, "_BAGGAGE_KEY", ""))
    return found if isinstance(found, dict) else {}


def with_entries(added: Iterable[tuple[str, str]], context: Context) -> Context:
    """A copy of `context` with more baggage; `context` itself when there is nothing to add."""
    new = dict(added)
    if not new:
        return context
    from opentelemetry.baggage import _BAGGAGE_KEY  # noqa: PLC0415 - see the module's docstring

    return Context({**context, _BAGGAGE_KEY: {**entries(context), **new}})


def bounded(members: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The members within the limits; one that does not fit is dropped whole, a smaller one may follow."""
    left = MAX_MEMBERS
    room = MAX_LENGTH + 1
    for key, value in members:
        size = len(key) + len(value) + 2
        if size <= room:
            yield key, value
            room -= size
            left -= 1
            if not left:
                return


def texts(found: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The entries whose key is legal, values as text; without those that no header could take."""
    for key, value in found.items():
        if not isinstance(key, str) or not is_token(key):
            continue
        try:
            plain = str.__str__(value) if isinstance(value, str) else str(value)
        except Exception:  # noqa: S112 - a class of the application, which has no text to tell
            continue
        if len(plain) <= MAX_LENGTH:
            yield key, plain


def _members(header: str) -> Iterator[tuple[str, str]]:
    if len(header) > MAX_LENGTH:
        # The member at the limit is dropped, not cut.
        header = header[: max(0, header.rfind(",", 0, MAX_LENGTH + 1))]
    for member in header.split(","):
        pair, _, metadata = member.partition(";")
        key, equals, value = pair.partition("=")
        key, value, metadata = key.strip(" \t"), value.strip(" \t"), metadata.strip(" \t")
        if equals and is_token(key) and _is_encoded_value(value) and _is_metadata(metadata):
            yield key, Value(decode(value), metadata) if metadata else decode(value)


def _encoded(found: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, plain in texts(found):
        value = found[key]
        metadata = value.metadata if isinstance(value, Value) else ""
        yield key, f"{encode(plain)};{metadata}" if metadata and _is_metadata(metadata) else encode(plain)
