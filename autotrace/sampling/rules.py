"""Rules: what to drop, keep, or thin out, by request, span and service.

`OTEL_TRACES_SAMPLER_ARG="drop=/health;ratio=0.05@GET /search;rate=10@/api/*;fallback=always_off"`

A rule is an action and a condition. The first rule whose condition holds decides; where none does, the
fallback. A condition is one or more words, all of which must hold:

- `GET`: the request's method
- `/users/{id}`: its path, or a route's template (see `patterns`)
- `key=value`: an attribute of the span as it starts, or of the resource (`service.name`, ...); `name` and
  `kind` are the span's own. `*` in the value means anything.

`drop` holds for every entry. The others leave the decision of a calling service as it is, for a
trace that has begun elsewhere is thinned out there or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from autotrace import notices
from autotrace.sampling.patterns import matcher
from autotrace.sampling.rate_limited import RateLimited
from autotrace.sampling.sampler import DROP, PATH, REQUEST_METHOD, SAMPLE, Decision, Sampler
from autotrace.sampling.standard import AlwaysOff, AlwaysOn, TraceIdRatio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind

    Test = Callable[[str], object]

_ACTIONS: Final = "drop, keep, ratio, rate, fallback"
_KINDS: Final = frozenset({"internal", "server", "client", "producer", "consumer"})


class Rule(NamedTuple):
    """What to do with the entries that meet every one of `tests`."""

    sampler: Sampler
    drops: bool
    kind: str
    """`SERVER`, ...; empty for any."""
    name: Test | None
    tests: tuple[tuple[str, Test], ...]
    """By attribute."""

    def means(self, name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> bool:
        """Whether all conditions hold."""
        if self.kind and kind.name != self.kind:
            return False
        if self.name is not None and not self.name(name):
            return False
        for key, test in self.tests:
            value = attributes.get(key)
            if value is None or not test(value if type(value) is str else _text(value)):
                return False
        return True


class Rules(Sampler):
    """The first rule that means an entry decides, else `fallback`."""

    follows_local_parent = True

    def __init__(self, rules: Sequence[Rule], fallback: Sampler) -> None:
        super().__init__()
        self._rules = tuple(rules)
        self._fallback = fallback
        read = {key for rule in rules for key, _ in rule.tests}
        self.reads_request = bool(read)
        self.reads_attributes = not read <= {REQUEST_METHOD, PATH}
        self.description = f"Rules{{{len(self._rules)},fallback:{fallback.description}}}"

    def decide(
        self,
        parent_sampled: bool | None,
        trace_id: int,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        links: Sequence[Link],
        context: Context,
    ) -> Decision:
        """Decide on one span."""
        sampler = self._fallback
        for rule in self._rules:
            if rule.means(name, kind, attributes):
                if rule.drops:
                    return DROP
                if parent_sampled is not None:
                    return SAMPLE if parent_sampled else DROP
                sampler = rule.sampler
                break
        return sampler.decide(parent_sampled, trace_id, name, kind, attributes, links, context)


def parse(
    text: str, resource: Mapping[str, Any], fallback: Callable[[str, str], Sampler | None], default: Sampler
) -> Rules:
    """Read rules; one that cannot be read is a warning, and left out.

    Args:
        text: Of `OTEL_TRACES_SAMPLER_ARG`.
        resource: Its attributes are known now: a rule for another service is no rule.
        fallback: Makes a sampler from a name and an argument; None when the name is not known.
        default: The fallback where `text` names none.
    """
    rules = []
    for entry in filter(None, map(str.strip, text.split(";"))):
        action, _, rest = (part.strip() for part in entry.partition("="))
        try:
            if action == "fallback":
                default = _fallback(rest, fallback)
            else:
                rule = _rule(action, rest, resource)
                if rule is not None:
                    rules.append(rule)
        except ValueError as error:
            notices.warn(f"OTEL_TRACES_SAMPLER_ARG: the rule {entry!r:.200} is left out: {error}")
    return Rules(rules, default)


def _fallback(text: str, make: Callable[[str, str], Sampler | None]) -> Sampler:
    name, _, argument = (part.strip() for part in text.partition(":"))
    sampler = make(name.lower(), argument)
    if sampler is None:
        raise ValueError(f"there is no sampler {name!r}")
    return sampler


def _rule(action: str, rest: str, resource: Mapping[str, Any]) -> Rule | None:
    """None for a rule that can never hold in this process."""
    sampler: Sampler
    if action == "drop":
        sampler = AlwaysOff()
    elif action == "keep":
        sampler = AlwaysOn()
    elif action in {"ratio", "rate"}:
        figure, at, rest = rest.partition("@")
        if not at:
            raise ValueError(f"it must read {action}=NUMBER@CONDITION")
        sampler = TraceIdRatio(_number(figure, 1.0)) if action == "ratio" else RateLimited(_number(figure))
    else:
        raise ValueError(f"{action!r} is none of {_ACTIONS}")
    conditions = [_condition(word) for word in rest.split()]
    if not conditions:
        raise ValueError("it has no condition")
    of_resource = [(key, value) for key, value in conditions if key in resource]
    if not all(matcher(value)(_text(resource[key])) for key, value in of_resource):
        return None
    of_span = {key: value for key, value in conditions if key not in resource}
    kind, name = of_span.pop("kind", ""), of_span.pop("name", None)
    if kind and kind.lower() not in _KINDS:
        raise ValueError(f"{kind!r} is no kind of span")
    tests = tuple((key, matcher(value)) for key, value in of_span.items())
    return Rule(sampler, action == "drop", kind.upper(), None if name is None else matcher(name), tests)


def _condition(word: str) -> tuple[str, str]:
    if word.startswith(("/", "*")):
        return PATH, word
    key, equals, value = word.partition("=")
    if equals and key and value:
        return key, value
    if word.isalpha() and word.isupper():
        return REQUEST_METHOD, word
    raise ValueError(f"{word!r} is no method, no path and no key=value")


def _number(text: str, most: float = 1e9) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= most:
        raise ValueError(f"{text.strip()!r} is not a number from 0 to {most:g}")
    return number


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
