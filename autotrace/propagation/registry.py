"""From the names in `OTEL_PROPAGATORS` to a propagator.

Spec: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opentelemetry.propagators.textmap import TextMapPropagator

from autotrace import notices
from autotrace.propagation.composite import Composite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

VARIABLE: Final = "OTEL_PROPAGATORS"
DEFAULT: Final = ("tracecontext", "baggage")
NONE: Final = "none"
BUILT_IN: Final = {
    "tracecontext": "tracecontext:TraceContext",
    "baggage": "baggage:Baggage",
    "b3": "b3:B3Single",
    "b3multi": "b3:B3Multi",
    "jaeger": "jaeger:Jaeger",
    "xray": "xray:XRay",
    "ottrace": "ottrace:OtTrace",
}
"""Module of this package and class; imported only when named."""


def build(names: Sequence[str]) -> Composite:
    """Make the propagator that the settings name, in their order.

    Args:
        names: Built-in names in any case, or those of `opentelemetry_propagator` entry points.
            `none` among them means no propagation at all. Repeated names count once.

    Names that cannot be had are one warning for all; the others are used, or the default when
    nothing is left.
    """
    wanted = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if any(name.lower() == NONE for name in wanted):
        return Composite(())
    made: dict[str, TextMapPropagator] = {}
    problems: list[str] = []
    for name in wanted:
        built_in = name.lower()
        if built_in in BUILT_IN:
            made[built_in] = _built_in(built_in)
            continue
        try:
            made[name] = _from_entry_point(name)
        except Exception as error:
            problems.append(f"{name!r:.100} {error!s:.200}")
    if problems:
        if not made:
            made = {name: _built_in(name) for name in DEFAULT}
        notices.warn(f"{VARIABLE}: {'; '.join(problems)}: {','.join(made)} is used")
    return Composite(made.values())


def also(composite: Composite, name: str) -> None:
    """Have `composite` speak a built-in format, too, because the program turns out to speak it."""
    if composite.propagators:  # else somebody has said `none`
        composite.add_first(_built_in(name))


def _built_in(name: str) -> TextMapPropagator:
    module, _, propagator = BUILT_IN[name].partition(":")
    made: TextMapPropagator = getattr(import_module(f"autotrace.propagation.{module}"), propagator)()
    return made


def _from_entry_point(name: str) -> TextMapPropagator:
    """Make a propagator of another package.

    Raises:
        LookupError: No package offers that name.
        TypeError: What it offers is no propagator.
        Exception: Whatever the package raises.
    """
    for entry_point in _entry_points(name):
        propagator = entry_point.load()()
        if not isinstance(propagator, TextMapPropagator):
            raise TypeError("is not a propagator")
        return propagator
    raise LookupError("is not known")


def _entry_points(name: str) -> Any:
    # Imported only when a name is not ours: scanning the installed packages takes milliseconds.
    if sys.version_info >= (3, 10):
        from importlib.metadata import entry_points  # noqa: PLC0415
    else:
        from importlib_metadata import entry_points  # noqa: PLC0415
    return entry_points(group="opentelemetry_propagator", name=name)
