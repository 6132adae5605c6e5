"""jaeger-client: programs written for OpenTracing; their spans join ours and need no agent.

Patched: `Config.new_tracer`, which makes the tracer that `initialize_tracer` installs. The one that it makes
now is a `jaeger_client.Tracer` still, and its spans are `jaeger_client.Span`s, but they are ours underneath:
no reporter, no agent, no sampler of its own, no thread. Tracers that a program puts together by hand, with
a reporter of its own, are left alone.

The program goes on to speak `uber-trace-id` beside the formats of `OTEL_PROPAGATORS`, unless that is set, and
its service name and process tags describe the process, unless the operator has named it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace import notices
from autotrace.patching.guard import absorbed
from autotrace.propagation import registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.patching.patcher import Patcher
    from autotrace.settings import Settings

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `jaeger_client.config`."""
    if "propagators" not in patcher.settings.sources:
        registry.also(patcher.propagator, "jaeger")

    def make(original: Function) -> Function:
        def new_tracer(config: Any, io_loop: Any = None) -> Any:
            if patcher.enabled:
                try:
                    return _bridge(config, patcher)
                except Exception as error:
                    absorbed(error)
            return original(config, io_loop)

        return new_tracer

    patcher.replace(module, "Config.new_tracer", make)


def _bridge(config: Any, patcher: Patcher) -> Any:
    from autotrace.instrumentation.jaeger_tracer import BridgedTracer  # noqa: PLC0415 - imports the library

    tracer = BridgedTracer(config, patcher)
    patcher.tracer.provider.describe(_description(config, patcher.settings))
    notices.info(
        "the program traces with jaeger_client: its spans are made and sent by autotrace", "jaeger_client"
    )
    return tracer


def _description(config: Any, settings: Settings) -> dict[str, Any]:
    described = {key: value for key, value in (config.tags or {}).items() if isinstance(key, str)}
    if not settings.names_service and config.service_name:
        described["service.name"] = str(config.service_name)
    return described
