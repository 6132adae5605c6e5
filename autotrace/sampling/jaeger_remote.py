"""Sampling as a Jaeger backend says, asked again and again."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from autotrace import forks, notices
from autotrace.sampling.sampler import Sampler
from autotrace.sampling.strategies import Probabilistic, Strategy, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from opentelemetry.trace import SpanKind

    from autotrace.sampling.sampler import Decision

_GRPC_PORTS: Final = frozenset({5779, 14250})
_COLLECTOR: Final = 14268


class JaegerArguments(NamedTuple):
    """What `OTEL_TRACES_SAMPLER_ARG` says."""

    endpoint: str = "http://localhost:5778/sampling"
    interval: float = 60.0
    """Seconds between two questions."""
    initial_rate: float = 0.001
    """Until the first answer."""


class JaegerRemote(Sampler):
    """Does what the last answer said.

    Args:
        initial_rate: The share of traces until the first answer.
        interval: Seconds between two questions.
        ask: Has the question asked elsewhere, soon, and the answer given to `learn`. Called with an entry
            when it is time, so that a program that traces nothing asks nothing.
    """

    description = "JaegerRemoteSampler{}"
    follows_local_parent = True

    def __init__(
        self, initial_rate: float, interval: float, ask: Callable[[JaegerRemote], None] | None
    ) -> None:
        super().__init__()
        self._strategy: Strategy = Probabilistic(initial_rate)
        self._interval = interval
        self._ask = ask
        self._answer = b""
        self._ask_at_once()
        forks.in_child(self._ask_at_once)

    def _ask_at_once(self) -> None:
        self._due = 0.0

    def decide(
        self,
        _parent_sampled: bool | None,
        trace_id: int,
        name: str,
        _kind: SpanKind,
        attributes: Mapping[str, Any],
        *_entry: object,
    ) -> Decision:
        """Decide by the last answer."""
        now = monotonic()
        if now >= self._due:
            self._due = now + self._interval
            if self._ask is not None:
                self._ask(self)
        return self._strategy.decide(trace_id, name, attributes)

    def learn(self, answer: bytes) -> None:
        """Go by a new answer.

        Raises:
            ValueError: It cannot be read; the last one stays in force.
        """
        if answer == self._answer:
            return
        self._strategy = parse(answer, self._strategy)
        self._answer = answer
        self.reads_request = self._strategy.reads_request


def arguments(text: str) -> JaegerArguments:
    """Read `endpoint=…,pollingIntervalMs=…,initialSamplingRate=…`; what is wrong is a warning."""
    chosen = JaegerArguments()
    for entry in filter(None, map(str.strip, text.split(","))):
        try:
            chosen = _with(chosen, *(part.strip() for part in entry.partition("=")))
        except ValueError as error:
            notices.warn(f"OTEL_TRACES_SAMPLER_ARG: {entry!r:.200} is ignored: {error}")
    return chosen


def _with(chosen: JaegerArguments, key: str, _equals: str, value: str) -> JaegerArguments:
    if key == "endpoint":
        return chosen._replace(endpoint=_http(value))
    if key == "pollingIntervalMs":
        return chosen._replace(interval=_number(value, 1.0, 1e9) / 1000)
    if key == "initialSamplingRate":
        return chosen._replace(initial_rate=_number(value, 0.0, 1.0))
    raise ValueError("it is none of endpoint, pollingIntervalMs, initialSamplingRate")


def _http(endpoint: str) -> str:
    """The URL to ask over HTTP; OpenTelemetry means a gRPC server here, and Jaeger has both."""
    from urllib.parse import urlsplit  # noqa: PLC0415 - for this sampler alone

    parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it is no http or https URL")
    port = parts.port
    if port in _GRPC_PORTS:
        notices.warn(
            f"OTEL_TRACES_SAMPLER_ARG: port {port} of {parts.hostname} speaks gRPC; strategies are asked for"
            " over HTTP, at port 5778"
        )
        return f"{parts.scheme}://{parts.hostname}:5778/sampling"
    if parts.path in {"", "/"}:
        path = "/api/sampling" if port == _COLLECTOR else "/sampling"
        parts = parts._replace(path=path)
    return parts.geturl()


def _number(text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number <= most:
        raise ValueError(f"it is no number from {least:g} to {most:g}")
    return number
