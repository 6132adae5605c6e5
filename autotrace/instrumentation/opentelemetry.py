"""Applications that use OpenTelemetry themselves: one trace, nothing twice.

The application's manual spans reach us through the API. When it sets a provider of its own, that
one serves its spans as it means it to, ours go on beside it, and both nest through the shared
context. When it runs an OpenTelemetry instrumentation for a library that we trace too, ours stands
down for that library: the application's wish counts.

Patched: `set_tracer_provider`, `BaseInstrumentor.instrument`, and `instrument_app` where a subclass
has one.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotrace import notices
from autotrace.patching.guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_INSTRUMENTATIONS = "opentelemetry.instrumentation."
_OURS = {
    "aiohttp_client": ("aiohttp-client",),
    "aiohttp_server": ("aiohttp-web",),
    "httpx": ("httpx", "httpcore"),
    "tornado": ("tornado-web", "tornado-client"),
}
"""What we call a library that OpenTelemetry has another name for, or serves together with others."""
_FRAMEWORKS = frozenset({"django", "falcon", "fastapi", "flask", "pyramid", "starlette"})
_THEIR_SERVERS = frozenset(
    {
        *("cheroot", "daphne", "eventlet", "gevent", "granian", "gunicorn"),
        *("hypercorn", "uvicorn", "waitress", "werkzeug", "wsgiref"),
    }
)
"""A request would have a span of theirs around that of the framework's."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Become the global tracer provider, until the application sets its own."""
    provider = patcher.tracer.provider
    if module._TRACER_PROVIDER is None:  # noqa: SLF001
        # Not by `set_tracer_provider`: that one works once, and belongs to the application.
        patcher.put(module, "_TRACER_PROVIDER", provider)
    patcher.wrap(module, "set_tracer_provider", functools.partial(observe_set_provider, provider))


def install_propagate(module: ModuleType, patcher: Patcher) -> None:
    """Become the global propagator: the application's manual calls speak the formats that ours do.

    When the application imports it, not before: it looks up entry points, which takes milliseconds.
    """
    patcher.put(module, "_HTTP_TEXT_FORMAT", patcher.propagator)


def observe_set_provider(ours: Any, call: Call) -> Generator[None, Outcome, None]:
    """The application has a provider of its own: it serves the application's spans from now on."""
    theirs = call.get(0, "tracer_provider")
    outcome = yield
    if outcome.error is None and theirs is not ours:
        ours.hand_over(theirs, keep="autotrace.")
        kind = f"{type(theirs).__module__}.{type(theirs).__qualname__}"
        notices.info(
            f"the application has set its own tracer provider ({kind}): it serves the application's own "
            "spans, autotrace those of libraries; they share their traces",
            "own provider",
        )


def install_instrumentor(module: ModuleType, patcher: Patcher) -> None:
    """Patch `opentelemetry.instrumentation.instrumentor`."""
    from autotrace.instrumentation.instrumentors import LibrarySpans  # noqa: PLC0415 - needed here alone

    stand_down = functools.partial(_stand_down, patcher)

    def observe_instrument(call: Call) -> Generator[None, Outcome, None]:
        if not isinstance(call.kwargs.get("tracer_provider"), LibrarySpans):  # not by ourselves
            stand_down(type(call.args[0]))
        yield

    def listen(instrumentor: type) -> None:
        if "instrument_app" in vars(instrumentor):
            patcher.replace(
                instrumentor,
                "instrument_app",
                lambda original: _announced(original, instrumentor, stand_down),
            )

    def observe_subclass(cls: type, /, **arguments: Any) -> None:
        super(module.BaseInstrumentor, cls).__init_subclass__(**arguments)
        with guard:
            listen(cls)

    patcher.wrap(module, "BaseInstrumentor.instrument", observe_instrument)
    for imported_before in module.BaseInstrumentor.__subclasses__():
        listen(imported_before)
    patcher.put(module.BaseInstrumentor, "__init_subclass__", classmethod(observe_subclass))


def _announced(original: Function, instrumentor: type, announce: Callable[[type], None]) -> Function:
    @functools.wraps(original)
    def instrument_app(*args: Any, **kwargs: Any) -> Any:
        with guard:
            announce(instrumentor)
        return original(*args, **kwargs)

    return instrument_app


def _stand_down(patcher: Patcher, instrumentor: type) -> None:
    """Leave the library of an instrumentor of OpenTelemetry's to it."""
    from autotrace.instrumentation import http_server  # noqa: PLC0415 - needed here alone

    name = instrumentor.__module__
    if not name.startswith(_INSTRUMENTATIONS):
        return
    library = name[len(_INSTRUMENTATIONS) :].split(".", 1)[0]
    left = [patcher.stand_down(ours, f"{name} serves it") for ours in _OURS.get(library, (library,))]
    if not any(left):
        return
    if library in _FRAMEWORKS:
        patcher.put(http_server, "left", _THEIR_SERVERS)
    notices.info(f"the application instruments {library} with {name}: autotrace leaves {library} to it")
