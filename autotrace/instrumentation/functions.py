"""Spans for functions of the program's own, which `AUTOTRACE_TRACE_FUNCTIONS` names.

Patched: those functions, in their module or class once the module has been imported. Whoever has taken one
before, while the module was being imported (a registry, a decorator), goes on with the original.

Spec: https://opentelemetry.io/docs/specs/semconv/registry/attributes/code/
"""

from __future__ import annotations

import functools
from types import FunctionType
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace import notices
from autotrace.instrumentation.semconv import CODE_FUNCTION_NAME
from autotrace.patching.around import around
from autotrace.settings.names import nearest
from autotrace.tracing.context import attach, current, detach, suppressed, with_span
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_LRU_CACHE: Final = functools._lru_cache_wrapper  # noqa: SLF001 - what `lru_cache` makes has no public name
_FUNCTIONS: Final = (FunctionType, _LRU_CACHE)
_NO_FAILURES: Final = (StopIteration, StopAsyncIteration)
"""How an iterator says that it is at its end."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch what the setting names of `module`; what is not there costs one warning each."""
    for name, path in patcher.settings.trace_functions:
        if name != module.__name__:
            continue
        try:
            for found in _paths(module, path):
                _trace(module, found, patcher)
        except Exception as error:  # a class may refuse, by its metaclass or its slots
            notices.warn(f"AUTOTRACE_TRACE_FUNCTIONS: {name}:{path} is not traced: {error!s:.200}")


def _paths(module: ModuleType, path: str) -> Iterator[str]:
    """What a path stands for; for `*` the public functions that were defined there.

    Raises:
        AttributeError: There is nothing.
    """
    parents, _, last = path.rpartition(".")
    if last != "*":
        yield path
        return
    owner = _at(module, parents)
    found = [name for name, member in vars(owner).items() if _is_public_function(name, member, owner)]
    if not found:
        raise AttributeError("there is no public function")
    for name in found:
        yield f"{parents}.{name}" if parents else name


def _is_public_function(name: str, member: Any, owner: Any) -> bool:
    if name.startswith("_"):
        return False
    if isinstance(owner, type):
        return isinstance(_function_of(member), _FUNCTIONS)
    return isinstance(member, _FUNCTIONS) and member.__module__ == owner.__name__


def _function_of(member: Any) -> Any:
    return member.__func__ if isinstance(member, (staticmethod, classmethod)) else member


def _at(module: ModuleType, path: str) -> Any:
    """The module, or the class in it.

    Raises:
        AttributeError: It does not exist.
    """
    found: Any = module
    for name in path.split(".") if path else ():
        if not hasattr(found, name):
            raise AttributeError(_missing(found, name))
        found = getattr(found, name)
    return found


def _missing(owner: Any, name: str) -> str:
    meant = nearest(name, vars(owner))
    return f"there is no {name}" + (f": did you mean {meant}?" if meant else "")


def _trace(module: ModuleType, path: str, patcher: Patcher) -> None:
    """Put a span around one function.

    Raises:
        AttributeError: It does not exist.
        TypeError: It is something else.
    """
    parents, _, name = path.rpartition(".")
    owner = _at(module, parents)
    places = owner.__mro__ if isinstance(owner, type) else (owner,)
    member = next((vars(place)[name] for place in places if name in vars(place)), None)
    if member is None:
        raise AttributeError(_missing(owner, name))
    observe = _observer(f"{module.__name__}.{path}", patcher)
    if isinstance(member, property) and isinstance(member.fget, _FUNCTIONS):
        patcher.put(owner, name, member.getter(around(member.fget, observe)))
    elif isinstance(member, functools.cached_property):
        cached: Any = member
        patcher.put(cached, "func", around(cached.func, observe))
    elif isinstance(_function_of(member), _FUNCTIONS):
        patcher.replace(owner, name, lambda original: _traced(original, observe))
    else:
        hint = f": name its methods, as in {path}.*" if isinstance(member, type) else ""
        raise TypeError(f"it is no function{hint}")


def _traced(original: Function, observe: Callable[[Call], Generator[None, Outcome, None]]) -> Function:
    made = around(original, observe)
    if isinstance(original, _LRU_CACHE):
        for name in ("cache_info", "cache_clear", "cache_parameters"):  # methods of its type
            setattr(made, name, getattr(original, name))
    return made


def _observer(name: str, patcher: Patcher) -> Callable[[Call], Generator[None, Outcome, None]]:
    start = patcher.tracer.start

    def observe(_call: Call) -> Generator[None, Outcome, None]:
        context = current()
        if not patcher.enabled or suppressed(context):
            return
        span = start(name, SpanKind.INTERNAL, {CODE_FUNCTION_NAME: name}, context)
        token = attach(with_span(span, context))
        outcome = yield
        detach(token)
        if type(span) is Span:
            error = outcome.error
            if isinstance(error, Exception) and not isinstance(error, _NO_FAILURES):
                span.fail(error)
            span.end()

    return observe
