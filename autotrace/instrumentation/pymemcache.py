"""Spans for pymemcache: one per operation on one server.

Patched: the methods of `Client` that send something, through which those of the pooled and of the hashing
client go. What the hashing client spreads over several servers makes a span for each of them. The attempts of
a `RetryingClient` are one.

Keys and values are masked, in the messages of errors too.
"""

from __future__ import annotations

import re
from collections.abc import Sized
from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.stores import Prepared, Store

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Final

    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.span import Span

_PORT: Final = 11211
_MAX_SERVERS: Final = 64

_TEXTS: Final = {
    "set": "set ? ?",
    "add": "add ? ?",
    "replace": "replace ? ?",
    "append": "append ? ?",
    "prepend": "prepend ? ?",
    "cas": "cas ? ? ?",
    "get": "get ?",
    "gets": "gets ?",
    "gat": "gat ? ?",
    "gats": "gats ? ?",
    "delete": "delete ?",
    "incr": "incr ? ?",
    "decr": "decr ? ?",
    "touch": "touch ? ?",
    "set_many": "set_many ?",
    "get_many": "get_many ?",
    "gets_many": "gets_many ?",
    "delete_many": "delete_many ?",
    "raw_command": "raw_command ?",
    "stats": "stats",
    "version": "version",
    "flush_all": "flush_all",
    "cache_memlimit": "cache_memlimit ?",
}
_ALIASES: Final = {"set_multi": "set_many", "get_multi": "get_many", "delete_multi": "delete_many"}

_QUOTED: Final = (
    (re.compile(r"b?(['\"]).*\1", re.DOTALL), "?"),
    (re.compile(r"(?<=bad value: ).*", re.DOTALL), "?"),
)
"""Where messages quote keys, values and answers."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch the package `pymemcache.client`."""
    store = Store(patcher, "memcached", _PORT, quoted=_QUOTED)
    operations = _Operations(store)
    for name in (*_TEXTS, *_ALIASES):
        if hasattr(module.base.Client, name):
            begin = partial(operations.begin, _ALIASES.get(name, name))
            patcher.replace(module.base, f"Client.{name}", store.traced(begin))
    patcher.replace(module.retrying, "RetryingClient._retry", store.traced(operations.begin_attempts))


class _Operations:
    """Begins the spans of the clients' methods."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._servers: dict[Any, Prepared] = {}

    def begin(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:
        """For the method `name` of the client that is `args[0]`."""
        return self._start(args[0].server, name, args[1:], kwargs)

    def begin_attempts(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:
        """For attempts at a method of a client; not of one for many servers, which tells them apart."""
        retrying, name, _method, *rest = args
        name = _ALIASES.get(name, name)
        server = getattr(retrying._client, "server", None)  # noqa: SLF001 - it has it under no other name
        if server is None or name not in _TEXTS:
            return None
        return self._start(server, name, tuple(rest), kwargs)

    def _start(self, server: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:
        prepared = self._servers.get(server) or self._prepare(server)
        name, attributes = prepared.of(name)
        attributes = attributes.copy()
        if name.endswith("_many"):
            items = args[0] if args else kwargs.get("values", kwargs.get("keys"))
            if isinstance(items, Sized) and len(items) != 1:
                attributes["db.operation.batch.size"] = len(items)
        return self._store.start(name, attributes)

    def _prepare(self, server: Any) -> Prepared:
        host, port = server if isinstance(server, tuple) else (str(server), None)
        if len(self._servers) >= _MAX_SERVERS:
            self._servers.clear()
        prepared = Prepared(self._store.attributes(host, port), lambda name: (name, _TEXTS[name]))
        self._servers[server] = prepared
        return prepared
