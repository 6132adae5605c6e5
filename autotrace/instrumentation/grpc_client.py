"""Client spans for gRPC, one per call, from its start to its status.

Patched: what makes a call in the end, below the application's own interceptors: in threads the
`__call__`, `with_call` and `future` of the multi-callables, in asyncio the call objects themselves. No
channel is replaced and no interceptor added. A call whose span is open when nobody wants its answer any
more is cancelled by grpc, which ends the span too.

Spec: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from autotrace.instrumentation.grpc import CANCELLED, OK, Rpc, status_name, text
from autotrace.patching.guard import guard

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.instrumentation.grpc import Call as RpcCall
    from autotrace.patching.around import Observer
    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `grpc._channel`."""
    rpc = Rpc(patcher)
    for kind in ("_UnaryUnaryMultiCallable", "_StreamUnaryMultiCallable"):
        patcher.wrap(module, f"{kind}.__call__", _blocking(rpc))
        patcher.wrap(module, f"{kind}.with_call", _blocking(rpc))
        patcher.wrap(module, f"{kind}.future", _started(rpc))
    for kind in (
        "_UnaryStreamMultiCallable",
        "_SingleThreadedUnaryStreamMultiCallable",
        "_StreamStreamMultiCallable",
    ):
        patcher.wrap(module, f"{kind}.__call__", _started(rpc))


def _begin(rpc: Rpc, call: Call) -> RpcCall | None:
    method = call.args[0]
    begun = rpc.send(method._method, method._channel.target(), call.get(3, "metadata"))  # noqa: SLF001
    if begun is None:
        return None
    call.set(3, "metadata", begun[1])
    return begun[0]


def _blocking(rpc: Rpc) -> Observer:
    def observe(call: Call) -> Generator[None, Outcome, None]:
        begun = _begin(rpc, call)
        if begun is None:
            return
        outcome = yield
        if outcome.error is None:
            begun.finish(OK)
        else:
            _fail(begun, outcome.error)

    return observe


def _started(rpc: Rpc) -> Observer:
    def observe(call: Call) -> Generator[None, Outcome, None]:
        begun = _begin(rpc, call)
        if begun is None:
            return
        outcome = yield
        if outcome.error is not None:
            _fail(begun, outcome.error)
            return
        on_termination = _Termination(begun, outcome.result._state)  # noqa: SLF001
        if not outcome.result.add_callback(on_termination):  # it has ended already
            on_termination()

    return observe


class _Termination:
    """Ends a span with its call, but keeps neither that nor its state: grpc cancels a call that is dropped.

    A call of a single thread that is cancelled hears of no termination; it has ended with its state.
    """

    __slots__ = ("_call", "_state")

    def __init__(self, call: RpcCall, state: Any) -> None:
        self._call = call
        self._state = ref(state)

    def __call__(self) -> None:
        with guard:
            state: Any = self._state()
            self._call.finish(status_name(state.code), text(state.details))

    def __del__(self) -> None:
        self._call.finish(CANCELLED)


def install_aio(module: ModuleType, patcher: Patcher) -> None:
    """Patch `grpc.aio._call`."""
    rpc = Rpc(patcher)

    def observe_init(call: Call) -> Generator[None, Outcome, None]:
        target = getattr(call.get(6, "channel"), "target", "")
        begun = rpc.send(call.get(7, "method"), target, call.get(3, "metadata"))
        if begun is None:
            return
        rpc_call, metadata = begun
        call.set(3, "metadata", metadata)
        outcome = yield
        if outcome.error is not None:
            _fail(rpc_call, outcome.error)
            return
        waiting = [call.args[0]._cython_call]  # noqa: SLF001 - not the call itself, as in threads

        def on_done() -> None:
            with guard:
                status = _result(waiting.pop().status())  # nothing is left that refers to itself
                rpc_call.finish(status_name(status.code()), text(status.details()))

        waiting[0].add_done_callback(on_done)

    for kind in ("UnaryUnaryCall", "UnaryStreamCall", "StreamUnaryCall", "StreamStreamCall"):
        patcher.wrap(module, f"{kind}.__init__", observe_init)


def _fail(begun: RpcCall, error: BaseException) -> None:
    """A call that raised: an RpcError says the status, anything else was raised before there was one."""
    code = getattr(error, "code", None)
    if callable(code):
        begun.finish(status_name(code()), text(error.details()))  # type: ignore[attr-defined]
    elif isinstance(error, Exception):
        begun.finish(error=error)
    else:
        begun.finish(CANCELLED)


def _result(coroutine: Any) -> Any:
    """Of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise RuntimeError("the status is not there yet")
