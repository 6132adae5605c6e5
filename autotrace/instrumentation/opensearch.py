"""Spans for the OpenSearch client, sync and async: one per call of its API, whatever is tried again.

Patched: `perform_request` of the transports, which every call passes, and `get_connection`, which tells the
node of each attempt. Below it HTTP makes no span. The client does not say which of its methods was called:
the name of the operation is read from the path (`POST /users/_search` is `search users`).

Spec: https://opentelemetry.io/docs/specs/semconv/db/elasticsearch/
"""

from __future__ import annotations

import functools
import inspect
import re
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.stores import Store
from autotrace.tracing.context import SUPPRESS_HTTP_KEY, Context, attach, current, detach

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.span import Span

    Function = Callable[..., Any]

_PORT: Final = 9200
_GROUPS: Final = frozenset({"cat", "cluster", "plugins"})
"""Whose second word names the operation too."""
_WORD: Final = re.compile(r"_?[a-z][a-z_]*")
_OF_A_DOCUMENT: Final = {"GET": "get", "HEAD": "exists", "DELETE": "delete", "PUT": "index", "POST": "index"}
_OF_AN_INDEX: Final = {"GET": "get", "HEAD": "exists", "DELETE": "delete", "PUT": "create"}


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch the package `opensearchpy`."""
    store = Store(patcher, "opensearch", _PORT, _status_code)

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:
        method = args[1] if len(args) > 1 else kwargs["method"]
        url = args[2] if len(args) > 2 else kwargs["url"]  # noqa: PLR2004 - after self and method
        operation, index = operation_of(method, url)
        attributes = store.attributes()
        attributes["http.request.method"] = method
        attributes["db.operation.name"] = operation
        if index:
            attributes["db.collection.name"] = index
        return store.start(f"{operation} {index}".rstrip(), attributes)

    def observe_get_connection(_call: Call) -> Generator[None, Outcome, None]:
        outcome = yield
        if outcome.error is None:
            store.tell_server(outcome.result.hostname, outcome.result.port)

    traced = store.traced(begin)
    for transport in ("Transport", "AsyncTransport"):  # the second where aiohttp is installed
        if hasattr(module, transport):
            patcher.replace(
                module,
                f"{transport}.perform_request",
                lambda original: traced(_without_http(original, patcher)),
            )
            patcher.wrap(module, f"{transport}.get_connection", observe_get_connection)


def operation_of(method: str, path: str) -> tuple[str, str]:
    """Operation and index that a request is about; both have few values."""
    parts = [part for part in path.partition("?")[0].split("/") if part]
    if not parts:
        return ("ping" if method == "HEAD" else "info"), ""
    index = "" if parts[0].startswith("_") else parts.pop(0)
    shown = index if "," not in index and "*" not in index and "%" not in index else ""
    if not parts:
        return f"indices.{_OF_AN_INDEX.get(method, method.lower())}", shown
    if not (parts[0].startswith("_") and _WORD.fullmatch(parts[0])):
        return method, shown
    operation, *more = (part.lstrip("_") for part in parts)
    if operation == "doc":
        operation = _OF_A_DOCUMENT.get(method, method.lower())
    elif operation in _GROUPS and more and _WORD.fullmatch(more[0]):
        operation = f"{operation}.{more[0]}"
    return operation, shown


def _without_http(original: Function, patcher: Patcher) -> Function:
    """Let HTTP below make no span, also where there is none above: it would be recorded alone."""

    def suppressing() -> Any:
        return attach(Context({**current(), SUPPRESS_HTTP_KEY: True}))

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        if not patcher.enabled:
            return original(*args, **kwargs)
        above = suppressing()
        try:
            return original(*args, **kwargs)
        finally:
            detach(above)

    @functools.wraps(original)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        if not patcher.enabled:
            return await original(*args, **kwargs)
        above = suppressing()
        try:
            return await original(*args, **kwargs)
        finally:
            detach(above)

    return coroutine if inspect.iscoroutinefunction(original) else function


def _status_code(error: BaseException) -> str:
    code = getattr(error, "status_code", None)
    return str(code) if isinstance(code, int) else ""
