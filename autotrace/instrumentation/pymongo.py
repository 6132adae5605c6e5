"""Spans for pymongo, sync and async: one per command that is sent.

Patched: `_EventListeners.__init__`, by which each client hears of one listener more. Listeners are pymongo's
own door for this (`monitoring.CommandListener`): the functions that send commands differ from version to
version. Registering one with `monitoring.register` could not be taken back. Motor, which runs pymongo's
client in threads, is traced through it. A command that is sent again after an error is a second span; one
that is cancelled with its task makes none, since listeners do not hear of it.

What a client sends for itself (its handshake, authentication, the end of sessions) makes no span. Documents
are neither told nor left in the messages of errors.

Spec: https://opentelemetry.io/docs/specs/semconv/db/mongodb/
"""

from __future__ import annotations

import re
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.semconv import ERROR_TYPE
from autotrace.instrumentation.stores import Store
from autotrace.patching.guard import guard
from autotrace.tracing.span import ERROR

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.span import Span

_PORT: Final = 27017
_SILENT: Final = frozenset(
    {
        "authenticate",
        "copydb",
        "copydbgetnonce",
        "copydbsaslstart",
        "endSessions",
        "getnonce",
        "hello",
        "isMaster",
        "ismaster",
        "killCursors",
        "logout",
        "saslContinue",
        "saslStart",
    }
)
_BATCHES: Final = {"insert": "documents", "update": "updates", "delete": "deletes"}
_QUOTED: Final = ((re.compile(r"\{.*\}", re.DOTALL), "{?}"),)
"""Messages quote documents, of data or of the server's whole answer."""

_under_way: ContextVar[tuple[int, Span] | None] = ContextVar("autotrace-pymongo", default=None)
"""Request id and span of the command that is waited for here."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `pymongo.monitoring`."""
    store = Store(patcher, "mongodb", _PORT, _status_code, _QUOTED)

    class Listener(module.CommandListener):  # type: ignore[misc,name-defined]  # the library's own
        """Hears of every command that a client sends."""

        def started(self, event: Any) -> None:
            with guard:
                _under_way.set(None)
                span = _begin(store, event) if event.command_name not in _SILENT else None
                if span is not None:
                    _under_way.set((event.request_id, span))

        def succeeded(self, event: Any) -> None:
            with guard:
                span = _of(event)
                if span is not None:
                    _note_write_errors(span, event.reply)
                    store.finish(span)

        def failed(self, event: Any) -> None:
            with guard:
                span = _of(event)
                if span is not None:
                    error = sys.exc_info()[1]
                    # A task that is cancelled has not failed.
                    store.finish(span, error if isinstance(error, Exception) else None)

    listener = Listener()

    def observe_init(call: Call) -> Generator[None, Outcome, None]:
        others = call.get(1, "listeners") or ()
        call.set(1, "listeners", [*(other for other in others if other is not listener), listener])
        yield

    patcher.wrap(module, "_EventListeners.__init__", observe_init)


def _begin(store: Store, event: Any) -> Span | None:
    operation, command = event.command_name, event.command
    host, port = event.connection_id
    attributes = store.attributes(host, port, event.database_name)
    attributes["db.operation.name"] = operation
    collection = command.get("collection" if operation == "getMore" else operation)
    name = operation
    if isinstance(collection, str):
        attributes["db.collection.name"] = collection
        name = f"{operation} {collection}"
    batch = command.get(_BATCHES.get(operation, ""))
    if batch is not None and len(batch) != 1:
        attributes["db.operation.batch.size"] = len(batch)
    return store.start(name, attributes)


def _of(event: Any) -> Span | None:
    found = _under_way.get()
    if found is None or found[0] != event.request_id:
        return None
    _under_way.set(None)
    return found[1]


def _note_write_errors(span: Span, reply: Any) -> None:
    """Refused documents do not make a command fail, but the call of the application."""
    refused = reply.get("writeErrors")
    if refused:
        code = str(refused[0].get("code", ""))
        span.set_attribute(ERROR_TYPE, code)
        span.set_attribute("db.response.status_code", code)
        span.set_status(ERROR, f"{len(refused)} refused")


def _status_code(error: BaseException) -> str:
    code = getattr(error, "code", None)
    return str(code) if isinstance(code, int) else ""
