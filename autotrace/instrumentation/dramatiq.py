"""Spans for dramatiq's messages: one where a message is enqueued, one where a worker runs its actor.

Patched: `enqueue` of the brokers, which actors, pipelines and groups go through, and so do retries and
messages whose delay is over: those bring their context along already, and stay the children of the span that
sent them first. `WorkerThread.process_message` is a run; `MessageProxy.stuff_exception` is told its error.

The context is an option of a copy of the message. What brokers, consumers and the storage of results do for
themselves makes no spans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.jobs import Jobs
from autotrace.instrumentation.messaging import observe_housekeeping

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_OPTION: Final = "trace_headers"
"""Of a message."""
_RUN: Final = "_autotrace_run"
"""Of a message that is processed: its span."""
_SYSTEMS: Final = {"RedisBroker": "redis", "RabbitmqBroker": "rabbitmq", "StubBroker": "memory"}


def install_redis(module: ModuleType, patcher: Patcher) -> None:
    """Patch `dramatiq.brokers.redis`."""
    _install_broker(module, "RedisBroker", patcher)


def install_rabbitmq(module: ModuleType, patcher: Patcher) -> None:
    """Patch `dramatiq.brokers.rabbitmq`."""
    _install_broker(module, "RabbitmqBroker", patcher)


def install_stub(module: ModuleType, patcher: Patcher) -> None:
    """Patch `dramatiq.brokers.stub`."""
    _install_broker(module, "StubBroker", patcher)


def _install_broker(module: ModuleType, name: str, patcher: Patcher) -> None:
    patcher.wrap(module, f"{name}.enqueue", _observe_enqueue(Jobs(patcher, "dramatiq")))


def install_worker(module: ModuleType, patcher: Patcher) -> None:
    """Patch `dramatiq.worker`."""
    private = "" if hasattr(module, "ConsumerThread") else "_"  # as they were once
    consumer, worker = f"{private}ConsumerThread", f"{private}WorkerThread"
    for function in (f"{consumer}.run", f"{consumer}.post_process_message", "Worker.stop"):
        patcher.wrap(module, function, observe_housekeeping)
    patcher.wrap(module, f"{worker}.process_message", _observe_process(patcher))


def install_proxy(module: ModuleType, patcher: Patcher) -> None:
    """Patch `dramatiq.broker`."""
    patcher.wrap(module, "MessageProxy.stuff_exception", observe_exception)


def install_results(module: ModuleType, patcher: Patcher) -> None:
    """Patch `dramatiq.results.backends.redis`."""
    for method in ("get_result", "store_result", "store_exception"):
        patcher.wrap(module, f"RedisBackend.{method}", observe_housekeeping)


def _observe_enqueue(jobs: Jobs) -> Callable[[Call], Any]:
    def observe(call: Call) -> Generator[None, Outcome, None]:
        message = call.get(1, "message")
        if _OPTION in message.options:
            yield from observe_housekeeping(call)
            return
        sent = jobs.send(
            _system(call.args[0]), str(message.actor_name), str(message.queue_name), message.message_id
        )
        if sent is None:
            return
        call.set(1, "message", message.copy(options={_OPTION: sent.headers}))
        outcome = yield
        sent.finish(outcome.error)

    return observe


def _system(broker: Any) -> str:
    """The application may have derived a class of its own."""
    names = (kind.__name__ for kind in type(broker).__mro__)
    return next((_SYSTEMS[name] for name in names if name in _SYSTEMS), "dramatiq")


def _observe_process(patcher: Patcher) -> Callable[[Call], Any]:
    jobs = Jobs(patcher, "dramatiq")

    def observe(call: Call) -> Generator[None, Outcome, None]:
        message = call.get(1, "message")
        options = message.options
        run = jobs.process(
            _system(call.args[0].broker),
            str(message.actor_name),
            str(message.queue_name),
            message.message_id,
            options.get(_OPTION),
            options.get("retries"),
        )
        if run is None:
            return
        message.__dict__[_RUN] = run
        outcome = yield
        message.__dict__.pop(_RUN, None)
        run.finish(outcome.error)

    return observe


def observe_exception(call: Call) -> Generator[None, Outcome, None]:
    """Around the method that a message is told its error by; a retry that was asked for is none."""
    run, error = call.args[0].__dict__.get(_RUN), call.get(1, "exception")
    if run is not None and type(error).__name__ != "Retry":
        run.fail(error)
    yield
