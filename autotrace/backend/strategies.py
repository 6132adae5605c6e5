"""Sampling strategies from a file in Jaeger's format, read again when it changes.

Spec: https://www.jaegertracing.io/docs/1.76/architecture/sampling/#file-based-sampling-configuration
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrace import notices

if TYPE_CHECKING:
    from typing import Final

DEFAULT_RATE: Final = 1.0
"""Where the file says nothing, or there is none: as Jaeger's all-in-one."""

PROBABILISTIC: Final = "PROBABILISTIC"
RATE_LIMITING: Final = "RATE_LIMITING"

_TOPIC: Final = "sampling strategies"
_MAX_RATE: Final = 2**31 - 1


class Strategies:
    """What a service is told to sample; `path` may be empty, and its file may come later."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._default: dict[str, Any] = _strategy({})
        self._services: dict[str, dict[str, Any]] = {}
        self._refresh()

    def of(self, service: str) -> dict[str, Any]:
        """The answer for `service`, in the words of Jaeger's JSON."""
        self._refresh()
        return self._services.get(service, self._default)

    def _refresh(self) -> None:
        """Read the file if it is another one than before; what cannot be read changes nothing."""
        if not self._path:
            return
        try:
            status = Path(self._path).stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            self._seen = seen
            self._read(Path(self._path).read_bytes())
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            notices.warn(
                f"{self._path} cannot be read: {reason}; the sampling strategies stay as they were", _TOPIC
            )
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            notices.warn(
                f"{self._path} holds no sampling strategies ({error!s:.200}); they stay as they were",
                f"{_TOPIC} broken",
            )

    def _read(self, content: bytes) -> None:
        told = json.loads(content) or {}
        default = _strategy(told.get("default_strategy") or {})
        services = {}
        for each in told.get("service_strategies") or ():
            services[str(each["service"])] = _with_defaults(_strategy(each), default)
        self._default, self._services = default, services


def _strategy(told: dict[str, Any]) -> dict[str, Any]:
    """One strategy of the file, with those of its operations."""
    answer = _kind(told)
    operations = [
        each for each in map(_operation, told.get("operation_strategies") or ()) if each is not None
    ]
    if told.get("operation_strategies"):
        probabilistic = answer.get("probabilisticSampling") or {"samplingRate": DEFAULT_RATE}
        answer["operationSampling"] = _operations(probabilistic["samplingRate"], operations)
    return answer


def _kind(told: dict[str, Any]) -> dict[str, Any]:
    kind, parameter = told.get("type"), float(told.get("param", 0))
    if kind == "ratelimiting":
        most = int(min(max(parameter, 0), _MAX_RATE))  # an integer on the wire: less than 1 is none
        return {"strategyType": RATE_LIMITING, "rateLimitingSampling": {"maxTracesPerSecond": most}}
    rate = min(max(parameter, 0.0), 1.0) if kind == "probabilistic" else DEFAULT_RATE
    return {"strategyType": PROBABILISTIC, "probabilisticSampling": {"samplingRate": rate}}


def _operation(told: dict[str, Any]) -> dict[str, Any] | None:
    """The strategy of an operation; None for a kind that operations cannot have."""
    name, answer = str(told["operation"]), _kind(told)
    if "probabilisticSampling" not in answer:
        notices.warn(
            f"operation {name!r:.80} must be sampled probabilistically; it is as all others",
            f"{_TOPIC} {name:.80}",
        )
        return None
    return {"operation": name, "probabilisticSampling": answer["probabilisticSampling"]}


def _operations(rate: float, operations: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "defaultSamplingProbability": rate,
        "defaultLowerBoundTracesPerSecond": 0,
        "perOperationStrategies": operations,
        "defaultUpperBoundTracesPerSecond": 0,
    }


def _with_defaults(answer: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    """A service's strategy with the operations of the default one, where it has none of that name."""
    inherited = (default.get("operationSampling") or {}).get("perOperationStrategies")
    if inherited is None:
        return answer
    own = answer.get("operationSampling")
    if own is not None:
        known = {each["operation"] for each in own["perOperationStrategies"]}
        own["perOperationStrategies"] += [each for each in inherited if each["operation"] not in known]
    elif "probabilisticSampling" in answer:
        answer["operationSampling"] = _operations(answer["probabilisticSampling"]["samplingRate"], inherited)
    return answer
