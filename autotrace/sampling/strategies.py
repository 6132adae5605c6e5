"""What a Jaeger backend answers when asked how to sample, and how that decides.

Spec: https://www.jaegertracing.io/docs/latest/architecture/sampling/#remote-sampling
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

from autotrace.sampling.patterns import matcher
from autotrace.sampling.sampler import DROP, PATH, REQUEST_METHOD, Decision
from autotrace.sampling.standard import LOW_64_BITS, bound_of
from autotrace.sampling.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

MOST_NAMES: Final = 256
"""Span names that have a lower bound of their own; more of them share the default probability alone."""


class Strategy(ABC):
    """Decides on entries until the next answer."""

    reads_request = False

    @abstractmethod
    def decide(self, trace_id: int, name: str, attributes: Mapping[str, Any]) -> Decision:
        """Decide on one entry."""


class Probabilistic(Strategy):
    """Keep a share of traces."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._bound = bound_of(rate)
        self._keep = _keeping("probabilistic", rate)

    def decide(self, trace_id: int, *_entry: object) -> Decision:
        """Keep when the trace id lies below the bound."""
        return self._keep if trace_id & LOW_64_BITS < self._bound else DROP


class RateLimiting(Strategy):
    """Keep so many traces per second."""

    def __init__(self, rate: float, before: Strategy) -> None:
        self.bucket: TokenBucket = before.bucket if isinstance(before, RateLimiting) else TokenBucket(rate)
        self.bucket.change(rate)
        self._keep = _keeping("ratelimiting", rate)

    def decide(self, *_entry: object) -> Decision:
        """Keep while there are tokens."""
        return self._keep if self.bucket.grant() else DROP


class Guaranteed(NamedTuple):
    """A share of traces, and a few of them however small it is."""

    share: Probabilistic
    least: TokenBucket
    keep: Decision

    def decide(self, trace_id: int) -> Decision:
        """Keep the share; where that leaves out a trace, there is the lower bound."""
        decision = self.share.decide(trace_id)
        granted = self.least.grant()  # a trace that is kept counts for the lower bound, too
        return self.keep if decision is DROP and granted else decision


class PerOperation(Strategy):
    """A share for each operation, with a lower bound of traces per second for each.

    An operation is a span's name as it starts. A request has no route by then and its span hardly a name,
    so that there an operation may also say `GET /users/{id}` or `/users/{id}`, as its name will be.
    """

    def __init__(self, rates: Mapping[str, float], default: float, least: float, before: Strategy) -> None:
        self._default = Probabilistic(default)
        self._least = least
        self._keep = _keeping("lowerbound", least)
        known = before.operations if isinstance(before, PerOperation) else {}
        self._listed = {name: self._guaranteed(rate, known.get(name)) for name, rate in rates.items()}
        self.operations: dict[str, Guaranteed] = dict(self._listed)
        for name, operation in known.items():  # those that are listed no more begin anew, with the default
            if name not in self.operations and len(self.operations) < MOST_NAMES:
                self.operations[name] = self._guaranteed(default, operation)
        self._paths = [(matcher(name), operation) for name, operation in self._listed.items() if "/" in name]
        self.reads_request = bool(self._paths)

    def decide(self, trace_id: int, name: str, attributes: Mapping[str, Any]) -> Decision:
        """Decide by the operation."""
        operation = self._of_path(attributes) if self._paths else None
        operation = operation or self.operations.get(name)
        if operation is None:
            if len(self.operations) >= MOST_NAMES:
                return self._default.decide(trace_id)
            operation = self.operations[name] = self._guaranteed(self._default.rate, None)
        return operation.decide(trace_id)

    def _of_path(self, attributes: Mapping[str, Any]) -> Guaranteed | None:
        path = attributes.get(PATH)
        if path is None:
            return None
        with_method = f"{attributes.get(REQUEST_METHOD)} {path}"
        for means, operation in self._paths:
            if means(with_method) or means(path):
                return operation
        return None

    def _guaranteed(self, rate: float, before: Guaranteed | None) -> Guaranteed:
        least = TokenBucket(self._least) if before is None else before.least
        least.change(self._least)
        return Guaranteed(Probabilistic(rate), least, self._keep)


def parse(body: bytes, before: Strategy) -> Strategy:
    """Read an answer. What `before` has counted goes on to count.

    Raises:
        ValueError: It is no strategy; the text says why, equal for equal causes.
    """
    import json  # noqa: PLC0415 - with the first answer

    try:
        answer = json.loads(body)
    except ValueError:
        raise ValueError("the answer is not JSON") from None
    if not isinstance(answer, dict):
        raise ValueError("the answer is not a strategy")  # noqa: TRY004 - to the caller it is one error
    operations = answer.get("operationSampling")
    if operations is not None:
        return PerOperation(
            {
                str(listed["operation"]): _rate(listed, "probabilisticSampling", "samplingRate")
                for listed in _list(operations, "perOperationStrategies")
            },
            _number(operations, "defaultSamplingProbability", 1.0),
            _number(operations, "defaultLowerBoundTracesPerSecond"),
            before,
        )
    kind = answer.get("strategyType", 0)
    if kind in (0, "PROBABILISTIC"):
        return Probabilistic(_rate(answer, "probabilisticSampling", "samplingRate"))
    if kind in (1, "RATE_LIMITING"):
        return RateLimiting(_number(_part(answer, "rateLimitingSampling"), "maxTracesPerSecond"), before)
    raise ValueError("the answer is of an unknown strategyType")


def _rate(answer: Any, part: str, name: str) -> float:
    return _number(_part(answer, part), name, 1.0)


def _part(answer: Mapping[str, Any], name: str) -> Any:
    part = answer.get(name)
    if part is None:
        raise ValueError(f"the answer lacks {name}")
    return part


def _list(answer: Any, name: str) -> list[Mapping[str, Any]]:
    listed = (answer if isinstance(answer, dict) else {}).get(name) or []
    if not isinstance(listed, list) or not all(
        isinstance(each, dict) and isinstance(each.get("operation"), str) for each in listed
    ):
        raise ValueError(f"the answer's {name} are no strategies")
    return listed


def _number(answer: Any, name: str, most: float = 1e9) -> float:
    """A figure of the answer, 0 where it is left out, within its bounds."""
    number = answer.get(name, 0) if isinstance(answer, dict) else None
    if isinstance(number, bool) or not isinstance(number, (int, float)) or number != number:  # noqa: PLR0124 - NaN
        raise ValueError(f"the answer's {name} is no number")
    return float(min(max(number, 0.0), most))


def _keeping(kind: str, figure: float) -> Decision:
    """Keep, and say why, as Jaeger's own clients do."""
    return Decision(
        recording=True, sampled=True, attributes={"sampler.type": kind, "sampler.param": float(figure)}
    )
