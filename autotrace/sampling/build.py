"""From `OTEL_TRACES_SAMPLER` and its argument to a sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace import notices
from autotrace.sampling.plugin import PluginSampler
from autotrace.sampling.standard import AlwaysOff, AlwaysOn, ParentBased, TraceIdRatio

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.sampling.sampler import Sampler

DEFAULT = "parentbased_always_on"
_PARENT_BASED = "parentbased_"


def build(name: str, argument: str, plugin: Callable[[str], Any]) -> Sampler:
    """Make the sampler that the settings name.

    Args:
        name: As in `OTEL_TRACES_SAMPLER`, lower case.
        argument: The text of `OTEL_TRACES_SAMPLER_ARG`.
        plugin: Finds an `opentelemetry_traces_sampler` entry point; None when there is none.

    An unknown name or a bad argument is one warning, never an error.
    """
    if name.startswith(_PARENT_BASED):
        root = _standard(name[len(_PARENT_BASED) :], argument)
        if root is not None:
            return ParentBased(root)
    sampler = _standard(name, argument) or _from_plugin(name, argument, plugin)
    if sampler is not None:
        return sampler
    notices.warn(f"OTEL_TRACES_SAMPLER={name!r} is not known: {DEFAULT} is used")
    return ParentBased(AlwaysOn())


def _standard(name: str, argument: str) -> Sampler | None:
    if name == "always_on":
        return AlwaysOn()
    if name == "always_off":
        return AlwaysOff()
    if name == "traceidratio":
        return TraceIdRatio(_ratio(argument))
    return None


def _from_plugin(name: str, argument: str, plugin: Callable[[str], Any]) -> Sampler | None:
    factory = plugin(name)
    if factory is None:
        return None
    try:
        return PluginSampler(factory(argument))
    except Exception as error:
        notices.warn(f"OTEL_TRACES_SAMPLER={name!r} could not be made ({error!r}): {DEFAULT} is used")
        return ParentBased(AlwaysOn())


def _ratio(argument: str) -> float:
    if not argument:
        return 1.0
    try:
        ratio = float(argument)
    except ValueError:
        ratio = -1.0
    if not 0.0 <= ratio <= 1.0:
        notices.warn(f"OTEL_TRACES_SAMPLER_ARG={argument!r} is not a ratio from 0 to 1: 1.0 is used")
        return 1.0
    return ratio
