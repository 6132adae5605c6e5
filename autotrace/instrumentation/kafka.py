"""What the clients of Kafka share: headers, records on their way, records that the program handles.

Nothing tells when the program is done with a record but that it fetches again. A fetch in a loop of its own
makes a `process` span, which is current until the next fetch. It also ends when the consumer is closed, when
the consumer, the thread or the task that fetched is no more (of a pool: when the pool's task is over), and
when a `for` loop is left. A fetch within
another span, of a request for one, only makes a `poll` span there: what follows belongs to that request.

Spec: https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

from opentelemetry.trace import SpanKind

from autotrace.instrumentation.carried import at_the_end
from autotrace.instrumentation.messaging import Messaging, finish
from autotrace.instrumentation.semconv import ERROR_TYPE, SERVER_ADDRESS, SERVER_PORT
from autotrace.patching.guard import guard
from autotrace.tracing.context import SPAN_KEY, attach, current, with_span
from autotrace.tracing.span import Span
from autotrace.tracing.unsampled import UnsampledSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Final

    from autotrace.instrumentation.messaging import AnySpan
    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.context import Context

_PARTITION: Final = "messaging.destination.partition.id"
_OFFSET: Final = "messaging.kafka.offset"
_KEY: Final = "messaging.kafka.message.key"
_COUNT: Final = "messaging.batch.message_count"
_TOMBSTONE: Final = "messaging.kafka.message.tombstone"


class Record(NamedTuple):
    """What the spans tell of a record."""

    topic: str
    partition: int
    offset: int
    key: Any
    value: Any
    headers: Any


def client_attributes(servers: Any, client_id: Any, group: Any = None) -> dict[str, Any]:
    """What all spans of one producer or consumer have; the server where only one is named."""
    attributes: dict[str, Any] = {}
    names = servers.split(",") if isinstance(servers, str) else servers
    if isinstance(names, (list, tuple)) and len(names) == 1:
        host, _, port = str(names[0]).rpartition("://")[2].rpartition(":")
        if host and port.isdecimal():
            attributes.update({SERVER_ADDRESS: host.strip("[]"), SERVER_PORT: int(port)})
    if client_id:
        attributes["messaging.client.id"] = str(client_id)
    if group:
        attributes["messaging.consumer.group.name"] = str(group)
    return attributes


def with_headers(given: Any, context: dict[str, str]) -> list[Any]:
    """A copy of a record's headers with the context, which replaces one that a forwarded record brought."""
    pairs = given.items() if isinstance(given, dict) else given or ()
    kept = [pair for pair in pairs if pair[0] not in context]
    return [*kept, *((name, text.encode()) for name, text in context.items())]


class _Running:
    """A span that is ended once, by the process that began it, and at the latest when nobody holds this."""

    __slots__ = ("_process", "_span")

    def __init__(self, span: AnySpan) -> None:
        self._span: AnySpan | None = span
        self._process = os.getpid()

    def _take(self) -> AnySpan | None:
        span, self._span = self._span, None
        return span if self._process == os.getpid() else None


class Delivery(_Running):
    """A record on its way: its span ends when the broker has it, or will not get it."""

    __slots__ = ()

    def succeed(self, metadata: Any) -> None:
        """The broker has it; where, nobody knows without acknowledgements."""
        with guard:
            span = self._take()
            if span is None:
                return
            if metadata is not None:
                span.set_attribute(_PARTITION, str(metadata.partition))
                if metadata.offset >= 0:
                    span.set_attribute(_OFFSET, metadata.offset)
            finish(span, None)

    def fail(self, error: BaseException | None, kind: str = "") -> None:
        """It was not delivered, or nobody will ever tell.

        Args:
            kind: Of the error, where its class does not tell.
        """
        with guard:
            span = self._take()
            if span is None:
                return
            if error is not None and kind and type(span) is Span:
                span.fail(error)
                span.set_attribute(ERROR_TYPE, kind)
            finish(span, error)

    def __del__(self) -> None:
        self.fail(None)


class Kafka:
    """Makes the spans of one client library."""

    def __init__(self, patcher: Patcher) -> None:
        self._messaging = Messaging(patcher, "kafka")
        self._readers: WeakSet[Reader] = WeakSet()
        atexit.register(self._leave_all)

    def send(
        self, topic: Any, key: Any, value: Any, client: dict[str, Any]
    ) -> tuple[AnySpan, dict[str, str]] | None:
        """Begin the span of a record that is sent; also gives the headers that carry its context."""
        attributes = {**client, **_of_content(key, value)}
        return self._messaging.send("send", str(topic), None, attributes)

    def send_batch(self, topic: Any, count: int, client: dict[str, Any]) -> AnySpan | None:
        """Begin the span of records that were packed already, and can carry no context any more."""
        attributes = {**client, _COUNT: count}
        return self._messaging.gather("send", "send", SpanKind.CLIENT, str(topic), (), attributes)

    def reader(self, client: dict[str, Any], holder: Callable[[], Any]) -> Reader:
        """Of a new consumer.

        Args:
            holder: Who is fetching: the current thread, or task; may give None.
        """
        reader = Reader(self._messaging, client, holder)
        self._readers.add(reader)
        return reader

    def _leave_all(self) -> None:
        with guard:
            for reader in list(self._readers):
                reader.leave_all()


class Reader:
    """What the program has from one consumer and is handling, for each thread or task that fetches."""

    def __init__(self, messaging: Messaging, client: dict[str, Any], holder: Callable[[], Any]) -> None:
        self._messaging = messaging
        self._client = client
        self.holder = holder
        self._handled: WeakKeyDictionary[Any, Handling] = WeakKeyDictionary()

    def leave(self) -> None:
        """Whoever calls has done with what it fetched last."""
        holder = self.holder() if self._handled else None
        handling = self._handled.pop(holder, None) if holder is not None else None
        if handling is not None:
            # An exception that is being handled has left the program's work.
            handling.end(sys.exc_info()[1])

    def leave_all(self) -> None:
        """Nobody will fetch again."""
        self.leave()
        for handling in list(self._handled.values()):
            handling.end()
        self._handled.clear()

    def got(self, record: Record, start_time: int) -> None:
        """A single record goes to whoever calls."""
        headers = dict(record.headers or ())
        attributes = self._describe((record,))
        if _is_active(current().get(SPAN_KEY)):
            self._got_within(record.topic, (headers,), attributes, start_time)
            return
        begun = self._messaging.process("process", record.topic, headers, attributes)
        if begun is not None:
            self._handle(*begun)

    def got_batch(self, records: Sequence[Record], start_time: int) -> None:
        """Records go to whoever calls, from a call that gives several."""
        if not records:
            return
        topics = {record.topic for record in records}
        topic = topics.pop() if len(topics) == 1 else ""
        headers = [dict(record.headers or ()) for record in records]
        attributes = {**self._describe(records), _COUNT: len(records)}
        if _is_active(current().get(SPAN_KEY)):
            self._got_within(topic, headers, attributes, start_time)
            return
        span = self._messaging.gather("process", "process", SpanKind.CONSUMER, topic, headers, attributes)
        if span is not None:
            self._handle(span, with_span(span, current()))

    def _handle(self, span: AnySpan, context: Context) -> None:
        holder = self.holder()
        if holder is None:
            finish(span, None)  # outside of every task
        else:
            self._handled[holder] = Handling(span, context)
            at_the_end(self.leave)  # what a task of a pool has fetched and given back, nobody can follow

    def _got_within(
        self, topic: str, headers: Sequence[dict[str, Any]], attributes: dict[str, Any], start_time: int
    ) -> None:
        span = self._messaging.gather(
            "poll", "receive", SpanKind.CLIENT, topic, headers, attributes, start_time
        )
        if span is not None:
            finish(span, None)

    def _describe(self, records: Sequence[Record]) -> dict[str, Any]:
        attributes = {**self._client}
        first = records[0]
        if len({(record.topic, record.partition) for record in records}) == 1:
            attributes[_PARTITION] = str(first.partition)
        if len(records) == 1:
            attributes[_OFFSET] = first.offset
            attributes.update(_of_content(first.key, first.value))
        return attributes


class Handling(_Running):
    """The program's work on what it fetched, current from one fetch to the next."""

    __slots__ = ("_above", "_before", "_context")

    def __init__(self, span: AnySpan, context: Context) -> None:
        super().__init__(span)
        self._context = context
        self._before = id(sys.exc_info()[1])  # of an exception that somebody further out is handling
        self._above = current()
        attach(context)

    def end(self, error: BaseException | None = None) -> None:
        """End the span, and what it is about is no longer current."""
        if current() is self._context:
            attach(self._above)
        span = self._take()
        if span is not None:
            finish(span, None if id(error) == self._before else error)

    def __del__(self) -> None:
        with guard:
            self.end()


def noticing_the_end(
    reader_of: Callable[[Any], Reader], patcher: Patcher
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make an `__iter__` or `__aiter__` of a consumer that notices when the loop is left."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def iterate(self: Any) -> Any:
            iterator = original(self)
            with guard:
                if patcher.enabled and iterator is self:
                    return Loop(self, reader_of(self))
            return iterator

        return iterate

    return make


class Loop:
    """An iterator of a consumer's records that notices when the loop over it is left.

    A consumer is its own iterator, and outlives its loops: a proxy is what tells. Else it does what the
    consumer does.
    """

    __slots__ = ("_consumer", "_reader")

    def __init__(self, consumer: Any, reader: Reader) -> None:
        self._consumer = consumer
        self._reader = reader

    def __iter__(self) -> Loop:
        return self

    def __next__(self) -> Any:
        return next(self._consumer)

    def __aiter__(self) -> Loop:
        return self

    async def __anext__(self) -> Any:
        return await self._consumer.__anext__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def __del__(self) -> None:
        with guard:
            self._reader.leave()


def task_of(asyncio: ModuleType) -> Callable[[], Any]:
    """Who is fetching, among tasks."""
    current_task = asyncio.current_task

    def holder() -> Any:
        try:
            return current_task()
        except RuntimeError:  # no event loop runs
            return None

    return holder


def _is_active(span: Any) -> bool:
    """Whether there is an operation that a fetch is part of, in this process and not over yet."""
    return isinstance(span, UnsampledSpan) or (span is not None and span.is_recording())


def _of_content(key: Any, value: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    text = key.decode("utf-8", "replace") if isinstance(key, bytes) else key
    if isinstance(text, (str, int)) and text != "":
        attributes[_KEY] = str(text)
    if value is None:
        attributes[_TOMBSTONE] = True
    return attributes
