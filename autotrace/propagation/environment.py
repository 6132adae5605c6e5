"""Environment variables as carrier, between a process and the child it starts.

Never touches `os.environ`: the environment is given, and a child's is a copy.

Spec: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from opentelemetry.propagators.textmap import Getter, Setter

from autotrace import notices
from autotrace.tracing.context import SPAN_KEY, current

if TYPE_CHECKING:
    from typing import Final

    from opentelemetry.context import Context

    from autotrace.propagation.composite import Composite

# Compiled when they are needed, not at start.
_NORMAL: Final = "[A-Z_][A-Z0-9_]*"
_ODD: Final = "[^A-Za-z0-9_]"


def normal_name(key: str) -> str:
    """The variable for a header: `x-b3-traceid` is `X_B3_TRACEID`."""
    name = re.sub(_ODD, "_", key).upper()
    return name if re.fullmatch(_NORMAL, name) else "_" + name


class EnvironmentGetter(Getter[Mapping[str, str]]):
    """Reads variables under their normal name only."""

    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        """The variable's text in a list; None when it is not set."""
        value = carrier.get(normal_name(key))
        return None if value is None else [value]

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        """The names that are normal already; headers found by prefix do not survive."""
        return [name for name in carrier if re.fullmatch(_NORMAL, name)]


class EnvironmentSetter(Setter[MutableMapping[str, str]]):
    """Writes variables under their normal name."""

    def set(self, carrier: MutableMapping[str, str], key: str, value: str) -> None:
        """Set one variable."""
        carrier[normal_name(key)] = value


GETTER: Final = EnvironmentGetter()
SETTER: Final = EnvironmentSetter()


def read(environ: Mapping[str, str], propagator: Composite) -> Context:
    """What the process that started this one says; read it once, for root spans.

    With `xray` among the formats, AWS Lambda's own variable counts when nothing else names a span.
    """
    context = propagator.extract(environ, None, GETTER)
    if SPAN_KEY not in context:
        for member in propagator.propagators:
            extract_from_lambda = getattr(member, "extract_from_lambda", None)
            if extract_from_lambda is not None:
                found: Context = extract_from_lambda(environ, context)
                return found
    return context


def said(propagator: Composite, context: Context | None = None) -> dict[str, str]:
    """The variables that tell of `context`, the current one by default; none if there is nothing to say."""
    written: dict[str, str] = {}
    if context is None:
        context = current()
    if context:
        propagator.inject(written, context, SETTER)
    return written


def for_child(
    environ: Mapping[Any, Any], propagator: Composite, context: Context | None = None
) -> dict[Any, Any]:
    """A copy of `environ` for a child process, with `context` (the current one by default) in it.

    A format that has something to say replaces all its variables: an inherited `TRACESTATE` does not
    stay beside a new `TRACEPARENT`.
    """
    written = said(propagator, context)
    child = dict(environ)
    for member in propagator.propagators:
        names = {normal_name(field) for field in member.fields}
        if not names.isdisjoint(written):
            for name in names:
                child.pop(name, None)
                child.pop(name.encode(), None)  # an environment may be in bytes
    child.update(written)
    return child


def continued(
    given: Mapping[Any, Any] | None, propagator: Composite, own: Mapping[str, str]
) -> dict[Any, Any] | None:
    """The environment for a child that is to continue the current trace; None where it needs no other.

    Args:
        given: What the application gives the child, names and values as texts or bytes; None for `own`.
        propagator: Writes the variables.
        own: This process's environment. A variable that the application has set for the child in another
            way is left to it, and the trace with it.
    """
    written = said(propagator)
    if not written:
        return None
    child = dict(own if given is None else given)
    for name in written:
        text = child.get(name, child.get(name.encode()))
        if text is not None and os.fsdecode(text) != own.get(name):
            return None
    return {**for_child(child, propagator), notices.OF_A_CHILD: "1"}
