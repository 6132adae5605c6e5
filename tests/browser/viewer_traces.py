"""Traces to look at: a shop that fails now and then, one of ten thousand spans, many services, hostile text.

The same every time but for the moment they end at. `python tests/browser/viewer_traces.py DIR [WHAT…]`
writes them into the store under DIR.
"""

from __future__ import annotations

import random
import sys
import time
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from autotrace.store.records import (
    KIND_CLIENT,
    KIND_CONSUMER,
    KIND_INTERNAL,
    KIND_PRODUCER,
    KIND_SERVER,
    STATUS_ERROR,
    STATUS_UNSET,
    EventRecord,
    LinkRecord,
    ResourceRecord,
    ScopeRecord,
    SpanRecord,
)
from autotrace.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MS = 1_000_000
SECOND = 1000 * MS
LARGE = 0xB16B16B16B16B16B16B16B16B16B16B1
HOSTILE = 0xE711E711E711E711E711E711E711E711
FAILED = 0xFA11FA11FA11FA11FA11FA11FA11FA11
WORKED = 0x600D600D600D600D600D600D600D600D
ALONE = 0xA10EA10EA10EA10EA10EA10EA10EA10E
BROKEN = 0xB20CB20CB20CB20CB20CB20CB20CB20C
LONG = 0x10261026102610261026102610261026
WORLD = 0xC1ABC1ABC1ABC1ABC1ABC1ABC1ABC1AB
BATCH = 0xBA7CBA7CBA7CBA7CBA7CBA7CBA7CBA7C

STATEMENT = (
    "SELECT p.id, p.name, COALESCE(s.count, 0) AS stock FROM products p "
    "LEFT JOIN stock s ON s.product_id = p.id WHERE p.id = ? AND p.deleted_at IS NULL ORDER BY p.name LIMIT 1"
)
TRACEBACK = """Traceback (most recent call last):
  File "/usr/lib/python3.11/site-packages/flask/app.py", line 1511, in wsgi_app
    response = self.full_dispatch_request()
  File "/srv/shop/inventory.py", line 48, in order
    raise OutOfStock(product)
inventory.OutOfStock: product 2 is sold out
"""
XSS = (
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    '"><svg onload=window.hacked=1>',
    "javascript:window.hacked=1",
    "data:text/html,<script>window.hacked=1</script>",
    "{{constructor.constructor('window.hacked=1')()}}",
    "</title><script>window.hacked=1</script>",
    "\u202e\u0000\ud7ff\ufeff",
)


class Made(NamedTuple):
    """What a span needs to be below another."""

    trace: int
    span: int


class Traces:
    """Makes spans; `spans` are all of them."""

    def __init__(self, seed: int) -> None:
        self.spans: list[SpanRecord] = []
        self.random = random.Random(seed)
        self._ids = count(seed * 1_000_003 + 1)
        self._resources: dict[str, ResourceRecord] = {}
        self._scope = ScopeRecord("autotrace.flask", "1.0", {})

    def trace_id(self) -> int:
        return self.random.getrandbits(128)

    def span(
        self,
        parent: Made,
        service: str,
        name: str,
        start: int,
        duration: int | None,
        kind: int = KIND_INTERNAL,
        error: str = "",
        events: tuple[EventRecord, ...] = (),
        links: tuple[LinkRecord, ...] = (),
        **attributes: Any,
    ) -> Made:
        """One more; `parent.span` is 0 for a root. Attributes are written with `__` for a dot."""
        resource = self._resources.setdefault(
            service,
            ResourceRecord(
                {
                    "service.name": service,
                    "service.version": "1.4.2",
                    "telemetry.sdk.language": "python",
                    "process.pid": 4242,
                }
            ),
        )
        made = Made(parent.trace, next(self._ids))
        named = {name.replace("__", "."): value for name, value in attributes.items()}
        status = STATUS_ERROR if error else STATUS_UNSET
        self.spans.append(
            SpanRecord(
                parent.trace,
                made.span,
                parent.span,
                name,
                kind,
                start,
                duration,
                status,
                error,
                1,
                "",
                named,
                events,
                links,
                0,
                0,
                0,
                resource,
                self._scope,
            )
        )
        return made


def order(traces: Traces, trace: int, at: int, unit: int, fails: bool) -> None:
    """What `POST /orders/{id}` of a shop does: two services, a database, a cache, a queue."""
    span, random_ = traces.span, traces.random

    def took(low: float, high: float) -> int:
        return int(random_.uniform(low, high) * unit)

    total = took(70, 100)
    status = 500 if fails else 201
    root = span(
        Made(trace, 0),
        "storefront",
        "POST /orders/{id}",
        at,
        total,
        KIND_SERVER,
        error="OutOfStock" if fails else "",
        http__request__method="POST",
        http__route="/orders/{id}",
        http__response__status_code=status,
        url__path="/orders/2",
        server__address="127.0.0.1",
        server__port=8080,
        user_agent__original="python-requests/2.32",
    )
    span(
        root,
        "storefront",
        "GET session",
        at + unit,
        took(2, 4),
        KIND_CLIENT,
        db__system__name="redis",
        server__address="cache.internal",
        server__port=6379,
    )
    call_at, call_for = at + 8 * unit, total - 26 * unit
    call = span(
        root,
        "storefront",
        "POST",
        call_at,
        call_for,
        KIND_CLIENT,
        http__request__method="POST",
        url__full="http://inventory:8081/reserve/2",
        http__response__status_code=409 if fails else 200,
        server__address="inventory",
        server__port=8081,
    )
    missed = EventRecord("cache miss", call_at + 5 * unit, {"key": "product:2"})
    reserve = span(
        call,
        "inventory",
        "POST /reserve/{id}",
        call_at + 2 * unit,
        call_for - 4 * unit,
        KIND_SERVER,
        error="product 2 is sold out" if fails else "",
        events=(
            missed,
            *(
                (
                    EventRecord(
                        "exception",
                        call_at + call_for - 5 * unit,
                        {
                            "exception.type": "inventory.OutOfStock",
                            "exception.message": "product 2 is sold out",
                            "exception.stacktrace": TRACEBACK,
                        },
                    ),
                )
                if fails
                else ()
            ),
        ),
        http__request__method="POST",
        http__route="/reserve/{id}",
        http__response__status_code=409 if fails else 200,
    )
    query_at = call_at + 6 * unit
    for _ in range(3):
        length = took(4, 9)
        span(
            reserve,
            "inventory",
            "SELECT products",
            query_at,
            length,
            KIND_CLIENT,
            db__system__name="postgresql",
            db__namespace="shop",
            db__query__text=STATEMENT,
            server__address="db.internal",
            server__port=5432,
        )
        query_at += length + unit
    span(reserve, "inventory", "price", query_at, took(3, 5), code__function__name="inventory.price")
    if fails:
        return
    paid_at = at + total - 16 * unit
    span(
        root,
        "storefront",
        "POST",
        paid_at,
        took(6, 9),
        KIND_CLIENT,
        http__request__method="POST",
        url__full="https://api.payments.example/charge",
        server__address="api.payments.example",
        http__response__status_code=200,
    )
    sent = span(
        root,
        "storefront",
        "orders publish",
        at + total - 4 * unit,
        took(1, 2),
        KIND_PRODUCER,
        messaging__system="rabbitmq",
        messaging__destination__name="orders",
    )
    mailed = Made(traces.trace_id(), 0)
    link = LinkRecord(sent.trace, sent.span, 1, "", {"messaging.message.id": "42"})
    mail = span(
        mailed,
        "mail",
        "orders process",
        at + total + 3 * unit,
        took(20, 30),
        KIND_CONSUMER,
        links=(link,),
        messaging__system="rabbitmq",
        messaging__destination__name="orders",
    )
    span(mail, "mail", "render", at + total + 5 * unit, took(8, 12))


def shop(traces: Traces, now: int) -> None:
    """An hour of a small shop, some of it failing, some of it slow; ends with one that failed."""
    random_ = traces.random
    for index in range(70):
        at = now - int(3600 * SECOND * (1 - index / 70)) + int(random_.uniform(0, 30) * SECOND)
        unit = int(MS * random_.choice((0.3, 0.5, 0.5, 0.6, 0.8, 4.0)) * random_.uniform(0.8, 1.3))
        if index % 3:
            trace = traces.trace_id()
            found = index % 10
            root = traces.span(
                Made(trace, 0),
                "storefront",
                "GET /products/{id}",
                at,
                30 * unit,
                KIND_SERVER,
                http__request__method="GET",
                http__route="/products/{id}",
                http__response__status_code=200 if found else 404,
            )
            call = traces.span(
                root,
                "storefront",
                "GET",
                at + 2 * unit,
                24 * unit,
                KIND_CLIENT,
                http__request__method="GET",
                server__address="inventory",
            )
            inner = traces.span(
                call,
                "inventory",
                "GET /stock/{id}",
                at + 4 * unit,
                20 * unit,
                KIND_SERVER,
                http__request__method="GET",
                http__route="/stock/{id}",
            )
            traces.span(
                inner,
                "inventory",
                "SELECT products",
                at + 6 * unit,
                12 * unit,
                KIND_CLIENT,
                db__system__name="postgresql",
                db__namespace="shop",
                db__query__text=STATEMENT,
                server__address="db.internal",
            )
        else:
            order(traces, traces.trace_id(), at, unit, fails=index % 12 == 0)
    order(traces, WORKED, now - 90 * SECOND, MS, fails=False)
    order(traces, FAILED, now - 60 * SECOND, MS, fails=True)


def large(traces: Traces, now: int, size: int = 10_000) -> None:
    """One trace of `size` spans, twelve services, up to ten deep."""
    random_ = traces.random
    names = ("GET /item/{id}", "SELECT items", "render", "cache.get", "validate", "POST /score")
    total = 8 * SECOND
    start = now - 20 * SECOND
    root = traces.span(Made(LARGE, 0), "gateway", "GET /report", start, total, KIND_SERVER)
    waiting = [(root, start, total, 1)]
    made = 1
    while made < size:
        parent, at, room, depth = waiting.pop(0)
        width = 40 if depth == 1 else random_.randint(2, 9)
        step = room // (width + 1)
        for index in range(min(width, size - made)):
            begins, takes = at + step // 4 + index * step, int(step * random_.uniform(0.4, 0.98))
            service = f"worker-{random_.randrange(11)}" if random_.random() < 0.4 else "gateway"
            failed = "gave up" if random_.random() < 0.004 else ""
            child = traces.span(
                parent, service, random_.choice(names), begins, takes, error=failed, item=made
            )
            made += 1
            if depth < 10:
                waiting.append((child, begins, takes, depth + 1))


def many_services(traces: Traces, now: int, size: int = 200) -> None:
    """Calls among `size` services, in layers."""
    random_ = traces.random
    names = [
        f"{random_.choice(('order', 'stock', 'user', 'price', 'mail'))}-{index:03}" for index in range(size)
    ]
    for index in range(size):
        at = now - 600 * SECOND + index * SECOND
        made = traces.span(Made(traces.trace_id(), 0), names[index % 5], "GET /", at, 200 * MS, KIND_SERVER)
        position = index % 5
        for depth in range(1, 6):
            position = min(size - 1, position * 2 + random_.randrange(1, 9) + index % 7)
            room = (200 - 30 * depth) * MS
            call = traces.span(made, "", "GET", at + depth * 10 * MS, room, KIND_CLIENT)
            # The client's half belongs to the caller.
            caller = traces.spans[-2]
            traces.spans[-1] = traces.spans[-1]._replace(resource=caller.resource)
            failed = "unavailable" if random_.random() < 0.03 else ""
            made = traces.span(
                call,
                names[position],
                "GET /",
                at + depth * 10 * MS + MS,
                room - 2 * MS,
                KIND_SERVER,
                error=failed,
            )
            if position == size - 1:
                break


def hostile(traces: Traces, now: int) -> None:
    """Text that would be a script if anything took it for more than text."""
    at = now - 30 * SECOND
    parent = traces.span(Made(HOSTILE, 0), XSS[0], XSS[1], at, 50 * MS, KIND_SERVER)
    for index, text in enumerate(XSS):
        event = EventRecord(text, at + MS, {text: text, "exception.stacktrace": text})
        link = LinkRecord(HOSTILE, parent.span, 1, "", {text: text})
        made = traces.span(
            parent,
            text,
            text,
            at + index * MS,
            20 * MS,
            KIND_CLIENT,
            error=text,
            events=(event,),
            links=(link,),
            db__query__text=f"SELECT '{text}'",
            url__full=text,
        )
        attributes = {**traces.spans[-1].attributes, text: text, "server.address": text}
        traces.spans[-1] = traces.spans[-1]._replace(attributes=attributes)
        parent = made if index % 2 else parent


def odd(traces: Traces, now: int) -> None:
    """What real traces come to: lost parents, clocks apart, long names, other scripts, one span only."""
    span, at = traces.span, now - 120 * SECOND
    span(Made(ALONE, 0), "cron", "sweep", at, 3 * MS)

    broken = span(Made(BROKEN, 0), "edge", "GET /cart", at + SECOND, 80 * MS, KIND_SERVER)
    call = span(broken, "edge", "GET", at + SECOND + 10 * MS, 60 * MS, KIND_CLIENT)
    span(call, "cart", "GET /cart/{id}", at + SECOND - 5 * MS, 50 * MS, KIND_SERVER)
    for index in range(3):
        lost = Made(BROKEN, 0x1057 + index)
        orphan = span(lost, "prices", f"price {index}", at + SECOND + (15 + index * 12) * MS, 9 * MS)
        span(orphan, "prices", "SELECT prices", at + SECOND + (17 + index * 12) * MS, 4 * MS, KIND_CLIENT)
    span(broken, "edge", "still running", at + SECOND + 40 * MS, None)

    service = "a-service-that-somebody-named-after-its-team-and-its-region-and-its-cluster.eu-central-1"
    name = "GET /api/v2/organisations/{organisation}/projects/{project}/environments/{environment}/runs"
    parent = span(Made(LONG, 0), service, name, at + 2 * SECOND, 900 * MS, KIND_SERVER)
    for depth in range(1, 40):
        parent = span(
            parent,
            service if depth % 3 else f"{service}-{depth}",
            f"{name}/{depth}",
            at + 2 * SECOND + depth * 5 * MS,
            (880 - depth * 20) * MS,
            KIND_CLIENT,
            error="connection refused: " + "nobody answers at this address " * 12 if depth == 39 else "",
            url__full="https://example.org/" + "a-path-without-an-end/" * 40,
            tags=[f"value {index}" for index in range(60)],
        )

    root = span(Made(WORLD, 0), "注文サービス", "POST /注文/{番号}", at + 3 * SECOND, 40 * MS, KIND_SERVER)
    span(root, "在庫", "在庫を確認する", at + 3 * SECOND + 2 * MS, 20 * MS, 商品="緑茶 🍵", 倉庫="東京")
    span(root, "מלאי", "בדיקת מלאי", at + 3 * SECOND + 24 * MS, 10 * MS, error="אזל המלאי")

    sent = [
        span(Made(traces.trace_id(), 0), "till", "sale publish", at + index * SECOND, MS, KIND_PRODUCER)
        for index in range(5)
    ]
    links = tuple(LinkRecord(made.trace, made.span, 1, "", {}) for made in sent)
    span(Made(BATCH, 0), "books", "sales process", at + 8 * SECOND, 30 * MS, KIND_CONSUMER, links=links)


KINDS: dict[str, Callable[[Traces, int], None]] = {
    "shop": shop,
    "large": large,
    "services": many_services,
    "hostile": hostile,
    "odd": odd,
}


def batches(*kinds: str) -> Iterator[list[SpanRecord]]:
    for seed, kind in enumerate(kinds, 1):
        traces = Traces(seed)
        KINDS[kind](traces, time.time_ns())
        yield traces.spans


def write(home: Path | str, *kinds: str) -> None:
    """Put `kinds` of traces into the store under `home`."""
    writer = Writer(f"{home}/traces.db", 1 << 30, 1e9)
    try:
        for spans in batches(*kinds):
            left_out = writer.write(spans, time.monotonic() + 60)
            assert left_out == 0, f"{left_out} spans could not be stored"
    finally:
        writer.close()


if __name__ == "__main__":
    write(sys.argv[1], *(sys.argv[2:] or KINDS))
