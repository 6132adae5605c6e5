"""Server spans for gRPC, one per call, with all that is streamed.

Patched: `__init__` of the servers, which get an interceptor, the outermost, that puts the span around
the handler: the application's own interceptors have chosen it by then. A stream that its client leaves
ends with the call, whether or not the handler goes on.

Spec: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.grpc import CANCELLED, OK, UNKNOWN, Rpc, status_name, text
from autotrace.patching.guard import absorbed, guard
from autotrace.tracing.context import attach, detach

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator
    from types import ModuleType

    from autotrace.instrumentation.grpc import Call as RpcCall
    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `grpc._server`."""
    handlers = _Handlers(module.grpc, patcher)

    class Interceptor(module.grpc.ServerInterceptor):  # type: ignore[misc, name-defined]
        def intercept_service(self, continuation: Function, details: Any) -> Any:
            return handlers.traced(continuation(details), details)

    _add_interceptor(patcher, module, "_Server.__init__", Interceptor())


def install_aio(module: ModuleType, patcher: Patcher) -> None:
    """Patch `grpc.aio._server`."""
    handlers = _Handlers(module.grpc, patcher)

    class Interceptor(module.ServerInterceptor):  # type: ignore[misc, name-defined]
        async def intercept_service(self, continuation: Function, details: Any) -> Any:
            return handlers.traced(await continuation(details), details)

    _add_interceptor(patcher, module, "Server.__init__", Interceptor())


def _add_interceptor(patcher: Patcher, module: ModuleType, path: str, interceptor: Any) -> None:
    def observe_init(call: Call) -> Generator[None, Outcome, None]:
        call.set(3, "interceptors", (interceptor, *(call.get(3, "interceptors") or ())))
        yield

    patcher.wrap(module, path, observe_init)


class _Handlers:
    """Puts spans around handlers."""

    def __init__(self, grpc: Any, patcher: Patcher) -> None:
        self._patcher = patcher
        self._rpc = Rpc(patcher)
        self._makers = {
            (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
            (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
            (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
            (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
        }

    def traced(self, handler: Any, details: Any) -> Any:
        """A handler like this one, for one call; None, where there is none, stays None."""
        if not self._patcher.enabled:
            return handler
        try:
            if handler is None:
                self._rpc.refuse(details.method, details.invocation_metadata)
                return None
            kind = bool(handler.request_streaming), bool(handler.response_streaming)
            name, make = self._makers[kind]
            behavior = getattr(handler, name)
            wrap = _twin(behavior, kind[1])
            begin = functools.partial(self._begin, details)
            return make(
                functools.wraps(behavior)(wrap(behavior, begin)),
                handler.request_deserializer,
                handler.response_serializer,
            )
        except Exception as bug:
            absorbed(bug)
            return handler

    def _begin(self, details: Any, context: Any) -> RpcCall | None:
        with guard:
            return self._rpc.receive(details.method, details.invocation_metadata, context.peer())
        return None


def _twin(behavior: Function, streams: bool) -> Function:
    """The wrapper of the same kind of function: by it grpc tells how a handler wants to be called."""
    if inspect.isasyncgenfunction(behavior):
        return _async_generator
    if inspect.iscoroutinefunction(behavior):
        return _coroutine
    return _stream if streams else _function


def _function(behavior: Function, begin: Function) -> Function:
    def respond(request: Any, context: Any) -> Any:
        call = begin(context)
        if call is None:
            return behavior(request, context)
        token = attach(call.context)
        try:
            response = behavior(request, context)  # the only line that may raise
        except BaseException as error:
            detach(token)
            _finish(call, context, error)
            raise
        detach(token)
        _finish(call, context)
        return response

    return respond


def _stream(behavior: Function, begin: Function) -> Function:
    def respond(request: Any, context: Any, *callback: Any) -> Any:
        call = begin(context)
        if call is None:
            return behavior(request, context, *callback)
        _end_with_rpc(call, context, context.add_callback, OK if callback else CANCELLED)
        token = attach(call.context)
        try:
            responses = behavior(request, context, *callback)  # the only line that may raise
        except BaseException as error:
            detach(token)
            _finish(call, context, error)
            raise
        detach(token)
        return responses if callback else _Responses(responses, call, context)

    return respond


class _Responses:
    """What a handler answers with, made in the context of its span."""

    __slots__ = ("_call", "_context", "_responses")

    def __init__(self, responses: Iterator[Any], call: RpcCall, context: Any) -> None:
        self._responses = responses
        self._call = call
        self._context = context

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        token = attach(self._call.context)
        try:
            response = next(self._responses)  # the only line that may raise
        except StopIteration:
            detach(token)
            _finish(self._call, self._context)
            raise
        except BaseException as error:
            detach(token)
            _finish(self._call, self._context, error)
            raise
        detach(token)
        return response


def _coroutine(behavior: Function, begin: Function) -> Function:
    async def respond(request: Any, context: Any) -> Any:
        call = begin(context)
        if call is None:
            return await behavior(request, context)
        token = attach(call.context)
        try:
            response = await behavior(request, context)  # the only line that may raise
        except BaseException as error:
            detach(token)
            _finish(call, context, error)
            raise
        detach(token)
        _finish(call, context)
        return response

    return respond


def _async_generator(behavior: Function, begin: Function) -> Function:
    async def respond(request: Any, context: Any) -> AsyncIterator[Any]:
        call = begin(context)
        responses = behavior(request, context)
        if call is None:
            async for response in responses:
                yield response
            return
        _end_with_rpc(call, context, context.add_done_callback, CANCELLED)
        token = attach(call.context)  # in the task of this one call
        try:
            async for response in responses:
                yield response
        except GeneratorExit:  # abandoned, when the client has gone
            detach(token)
            await responses.aclose()
            raise
        except BaseException as error:
            detach(token)
            _finish(call, context, error)
            raise
        detach(token)
        _finish(call, context)

    return respond


def _end_with_rpc(call: RpcCall, context: Any, add_callback: Function, status: str) -> None:
    """The call may be over before the handler is; `status` is what it means when none was set."""

    def on_termination(*_context: Any) -> None:
        with guard:
            call.finish(_code(context) or status)

    with guard:
        if add_callback(on_termination) is False:  # it has ended already
            on_termination()


def _finish(call: RpcCall, context: Any, error: BaseException | None = None) -> None:
    """The handler is done; the status is what it has set, or follows from how it ended."""
    with guard:
        code = _code(context)
        details = text(context.details()) if code else ""
        if error is None:
            call.finish(code or (OK if _is_active(context) else CANCELLED), details)
        elif not isinstance(error, Exception) or not _is_active(context):
            call.finish(CANCELLED)
        elif _is_abort(error):
            call.finish(code, details)
        else:
            call.finish(code or UNKNOWN, error=error)


def _code(context: Any) -> str:
    """Name of the status that was set; empty where none was, or where the context cannot tell."""
    code = context.code() if hasattr(context, "code") else None
    return status_name(code) if code else ""  # asyncio's has the number, 0 until one is set


def _is_active(context: Any) -> bool:
    """Whether the client still waits; the asynchronous server cancels the handler where it does not."""
    return not hasattr(context, "is_active") or bool(context.is_active())


def _is_abort(error: BaseException) -> bool:
    """`context.abort` raises a bare Exception in threads, and an AbortError in asyncio."""
    return (type(error) is Exception and not error.args) or type(error).__name__ == "AbortError"
