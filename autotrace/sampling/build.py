"""From `OTEL_TRACES_SAMPLER` and its argument to a sampler."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from autotrace import notices
from autotrace.sampling.plugin import PluginSampler
from autotrace.sampling.standard import AlwaysOff, AlwaysOn, ParentBased, TraceIdRatio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autotrace.sampling.jaeger_remote import JaegerRemote
    from autotrace.sampling.sampler import Sampler

    Ask = Callable[[JaegerRemote], None]

DEFAULT = "parentbased_always_on"
_PARENT_BASED = "parentbased_"
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_DEFAULT_RATE = 10.0
_MOST_PER_SECOND = 1e6


def build(
    name: str,
    argument: str,
    plugin: Callable[[str], Any],
    resource: Mapping[str, Any] = _NOTHING,
    asking: Callable[[str], Ask] | None = None,
) -> Sampler:
    """Make the sampler that the settings name.

    Args:
        name: As in `OTEL_TRACES_SAMPLER`, lower case.
        argument: The text of `OTEL_TRACES_SAMPLER_ARG`.
        plugin: Finds an `opentelemetry_traces_sampler` entry point; None when there is none.
        resource: Its attributes, for `rules`.
        asking: Makes what asks an endpoint for strategies, for `jaeger_remote`; without it nobody is asked.

    An unknown name or a bad argument is one warning, never an error.
    """
    sampler = _known(name, argument)
    if sampler is not None:
        return sampler
    follows = name.startswith(_PARENT_BASED)
    root_name = name[len(_PARENT_BASED) :] if follows else name
    if root_name == "rules":
        from autotrace.sampling import rules  # noqa: PLC0415 - as few programs need it as the next

        sampler = rules.parse(argument, resource, _known, ParentBased(AlwaysOn()))
    elif root_name == "jaeger_remote":
        sampler = _jaeger_remote(argument, asking)
    if sampler is not None:
        return ParentBased(sampler) if follows else sampler
    sampler = _from_plugin(name, argument, plugin)
    if sampler is not None:
        return sampler
    notices.warn(f"OTEL_TRACES_SAMPLER={name!r} is not known: {DEFAULT} is used")
    return ParentBased(AlwaysOn())


def _known(name: str, argument: str) -> Sampler | None:
    """The samplers that need to know nothing else, which are also those that rules fall back on."""
    if name.startswith(_PARENT_BASED):
        root = _known(name[len(_PARENT_BASED) :], argument)
        return None if root is None else ParentBased(root)
    if name == "always_on":
        return AlwaysOn()
    if name == "always_off":
        return AlwaysOff()
    if name == "traceidratio":
        return TraceIdRatio(_ratio(argument))
    if name == "rate_limited":
        from autotrace.sampling.rate_limited import RateLimited  # noqa: PLC0415

        return RateLimited(_rate(argument))
    return None


def _jaeger_remote(argument: str, asking: Callable[[str], Ask] | None) -> Sampler:
    from autotrace.sampling.jaeger_remote import JaegerRemote, arguments  # noqa: PLC0415

    chosen = arguments(argument)
    return JaegerRemote(chosen.initial_rate, chosen.interval, asking and asking(chosen.endpoint))


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


def _rate(argument: str) -> float:
    try:
        rate = float(argument)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= _MOST_PER_SECOND:
        notices.warn(
            f"OTEL_TRACES_SAMPLER_ARG={argument!r} is not a number of traces per second:"
            f" {_DEFAULT_RATE} is used"
        )
        return _DEFAULT_RATE
    return rate
