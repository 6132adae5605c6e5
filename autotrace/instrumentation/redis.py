"""Spans for redis-py: one per command or pipeline, of the plain and the cluster client, sync and async.

Patched: `execute_command` of the clients, which every command passes whatever method it was given by,
`execute` of pipelines, and what a pipeline sends at once after WATCH. What a connection sends for itself
(HELLO, AUTH, health checks), subscriptions and their messages pass none of these. A cluster's topology is
learned through `execute_command`, which is silenced for it.

Arguments are masked, keys too. The client quotes them in some messages of its errors: masked likewise.

Spec: https://opentelemetry.io/docs/specs/semconv/db/redis/
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.stores import Prepared, Store, quiet
from autotrace.tracing.exceptions import exception_message

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.span import Span

_ATTRIBUTE: Final = "_autotrace_prepared"
"""Of a pool: what the spans of its commands have in common."""

_PORT: Final = 6379
_MAX_MASTERS: Final = 64
_MAX_WORD: Final = 64
_MAX_MASKED: Final = 20
"""Arguments of a command that are shown, as question marks."""
_MAX_TEXTS: Final = 50
"""Commands of a pipeline that are shown."""

_COMMAND: Final = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_CONTAINERS: Final = frozenset(
    (
        "ACL",
        "CLIENT",
        "CLUSTER",
        "COMMAND",
        "CONFIG",
        "DEBUG",
        "FT.CONFIG",
        "FUNCTION",
        "HIMPORT",
        "HOTKEYS",
        "LATENCY",
        "LOLWUT",
        "MEMORY",
        "MODULE",
        "OBJECT",
        "PUBSUB",
        "SCRIPT",
        "SENTINEL",
        "SLOWLOG",
        "XGROUP",
        "XINFO",
    )
)
"""Commands whose second word is a part of the name."""

_QUOTED: Final = (
    (re.compile(r"\((\S*).*\)(?= of pipeline caused error)", re.DOTALL), r"(\1 ?)"),
    (re.compile(r"(with args beginning with:).*", re.DOTALL), r"\1 ?"),
    (re.compile(r"(?<=to execute )\(.*\)(?= command on)", re.DOTALL), "?"),
    (re.compile(r"(?<=targets for command )\(.*\)", re.DOTALL), "?"),
)
"""Where messages quote arguments, and what is left of them."""

_CODES: Final = {
    "AskError": "ASK",
    "BusyLoadingError": "LOADING",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ClusterDownError": "CLUSTERDOWN",
    "ExecAbortError": "EXECABORT",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "NoPermissionError": "NOPERM",
    "NoScriptError": "NOSCRIPT",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "TryAgainError": "TRYAGAIN",
}
"""The codes that the client takes off its messages; later versions keep them as `status_code`."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch the package `redis`."""
    patch("Redis", module, patcher)


def install_asyncio(module: ModuleType, patcher: Patcher) -> None:
    """Patch the package `redis.asyncio`."""
    patch("Redis", module, patcher)


def patch(name: str, package: ModuleType, patcher: Patcher) -> None:
    """Patch redis-py, or a fork of it.

    Args:
        name: The fork's own for the class `Redis`.
        package: Of the sync or of the async client: modules and classes have the same names.
        patcher: Of the library.
    """
    store = Store(patcher, name.lower(), _PORT, partial(_status_code, package.ResponseError), _QUOTED)
    commands = _Commands(store)

    def observe_connect_to(call: Call) -> Generator[None, Outcome, None]:
        store.tell_server(*call.get(1, "address"))
        yield

    def observe_node(position: int, call: Call) -> Generator[None, Outcome, None]:
        node = call.get(position, "node")
        store.tell_server(node.host, node.port)
        yield

    patcher.replace(package.client, f"{name}.execute_command", store.traced(commands.begin))
    patcher.replace(package.client, "Pipeline.immediate_execute_command", store.traced(commands.begin))
    patcher.replace(package.client, "Pipeline.execute", store.traced(commands.begin_pipeline))
    patcher.wrap(package.sentinel, "SentinelManagedConnection.connect_to", observe_connect_to)

    cluster = package.cluster
    patcher.replace(cluster, f"{name}Cluster.execute_command", store.traced(commands.begin_in_cluster))
    patcher.replace(cluster, "ClusterPipeline.execute", store.traced(commands.begin_pipeline_in_cluster))
    if hasattr(cluster, "TransactionStrategy"):
        watched = "TransactionStrategy._immediate_execute_command"
        patcher.replace(cluster, watched, store.traced(commands.begin_in_cluster))
    if hasattr(cluster.ClusterNode, "execute_command"):  # the async client's
        for method in ("execute_command", "execute_pipeline"):
            patcher.wrap(cluster, f"ClusterNode.{method}", partial(observe_node, 0))
    else:
        patcher.replace(cluster, f"{name}Cluster.__init__", quiet)
        found = f"{name}Cluster.get_{name.lower()}_connection"
        patcher.wrap(cluster, found, partial(observe_node, 1))


class _Commands:
    """Begins the spans of the clients' methods."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._in_cluster = Prepared(store.attributes(), describe)
        self._masters: dict[tuple[tuple[str, int | None], str], Prepared] = {}

    def begin(self, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Span | None:
        """For a command: `args` has the client before it."""
        pool = args[0].connection_pool
        prepared = pool.__dict__.get(_ATTRIBUTE) or self._prepare(pool)
        if prepared is _SILENT:
            return None
        name, attributes = prepared.of(_key(args))
        return self._store.start(name, attributes.copy())

    def begin_in_cluster(self, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Span | None:
        """Likewise, for the node that will be told."""
        name, attributes = self._in_cluster.of(_key(args))
        return self._store.start(name, attributes.copy())

    def begin_pipeline(self, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Span | None:
        """For the pipeline that is `args[0]`; nothing is sent of an empty one that watches nothing."""
        pipeline = args[0]
        commands = [command for command, _options in pipeline.command_stack]
        if not commands and not pipeline.watching:
            return None
        pool = pipeline.connection_pool
        prepared = pool.__dict__.get(_ATTRIBUTE) or self._prepare(pool)
        if prepared is _SILENT:
            return None
        # The async one has a method named `transaction`.
        transaction = getattr(pipeline, "is_transaction", None)
        if transaction is None:
            transaction = pipeline.transaction
        return self._start_batch(prepared, commands, bool(transaction or pipeline.explicit_transaction))

    def begin_pipeline_in_cluster(self, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Span | None:
        """Likewise; its commands may go to several nodes."""
        pipeline = args[0]
        strategy = getattr(pipeline, "_execution_strategy", None)
        if strategy is not None:
            stack = strategy._command_queue  # noqa: SLF001 - nothing public tells in the async client
        else:
            stack = getattr(pipeline, "command_stack", None) or getattr(pipeline, "_command_stack", [])
        if not stack:
            return None
        transaction = type(strategy).__name__ == "TransactionStrategy"
        return self._start_batch(self._in_cluster, [command.args for command in stack], transaction)

    def _start_batch(self, prepared: Prepared, commands: list[Any], transaction: bool) -> Span | None:
        kinds = [prepared.of(_key((None, *command))) for command in commands[:_MAX_TEXTS]]
        texts = [attributes["db.query.text"] for _name, attributes in kinds]
        name = kinds[0][0] if kinds else ""
        if len(commands) == 1 and not transaction:
            return self._store.start(name, kinds[0][1].copy())
        first = commands[0][0] if commands else ""
        if any(command[0] != first for command in commands):
            name = ""
        name = f"{'MULTI' if transaction else 'PIPELINE'} {name}".rstrip()
        attributes = {**prepared.attributes, "db.operation.name": name}
        if len(commands) != 1:
            attributes["db.operation.batch.size"] = len(commands)
        if len(set(texts)) == 1 and len(commands) <= _MAX_TEXTS:
            texts = texts[:1]
        elif len(commands) > _MAX_TEXTS:
            texts.append("...")
        if texts:
            attributes["db.query.text"] = "\n".join(texts)
        return self._store.start(name, attributes)

    def _prepare(self, pool: Any) -> Prepared:
        """What the commands of a pool have in common; remembered on it, unless its server may change."""
        known = pool.connection_kwargs
        if "connection_pool" in known:  # Sentinel's
            return self._of_master((pool.is_master and pool.master_address) or ("", None), _index(known))
        if known.get("path"):
            host, port = str(known["path"]), None
        else:
            host, port = str(known.get("host") or "localhost"), int(known.get("port") or _PORT)
        prepared = Prepared(self._store.attributes(host, port, _index(known)), describe)
        pool.__dict__[_ATTRIBUTE] = prepared
        return prepared

    def _of_master(self, address: tuple[str, int | None], index: str) -> Prepared:
        """For the master that Sentinel has named last, or for one that the connection will tell."""
        prepared = self._masters.get((address, index))
        if prepared is None:
            if len(self._masters) >= _MAX_MASTERS:
                self._masters.clear()
            prepared = Prepared(self._store.attributes(*address, index), describe)
            self._masters[address, index] = prepared
        return prepared


def _index(known: dict[str, Any]) -> str:
    return str(int(known.get("db") or 0))


def _key(args: tuple[Any, ...]) -> tuple[Any, int]:
    """What distinguishes a command: its first word as the application gave it, and the number of the rest."""
    word = args[1]
    if type(word) is not str and type(word) is not bytes:
        word = word if isinstance(word, str) else ""
    return word if len(word) <= _MAX_WORD else word[:_MAX_WORD], len(args) - 2


def describe(key: tuple[Any, int]) -> tuple[str, str]:
    """Operation and masked text of a command. The client takes more words in the first: `SET key value`."""
    word, count = key
    words = (word.decode("utf-8", "replace") if isinstance(word, bytes) else word).split()
    if not words or not _COMMAND.fullmatch(words[0]):
        return "UNKNOWN", "?"
    operation, *more = words
    if more and operation.upper() in _CONTAINERS and _COMMAND.fullmatch(more[0]):
        operation = f"{operation} {more.pop(0)}"
    count += len(more)
    masked = " ?" * min(count, _MAX_MASKED)
    return operation, operation + masked + " ..." * (count > _MAX_MASKED)


def _status_code(refusal: type[BaseException], error: BaseException) -> str:
    """The word that a refusal of the server's begins with."""
    code = getattr(error, "status_code", None) or _CODES.get(type(error).__name__)
    if isinstance(code, str):
        return code
    if not isinstance(error, refusal):
        return ""
    said = exception_message(error).rpartition("of pipeline caused error: ")[2].lstrip("('\"")
    first = said.partition(" ")[0]
    return first if first.isalpha() and first.isupper() else "ERR"


_SILENT: Final = Prepared({}, describe)


def silence(pool: Any) -> None:
    """Let the commands of a pool make no spans: it carries messages, which have spans of their own."""
    pool.__dict__[_ATTRIBUTE] = _SILENT
