"""redis-py, and its fork valkey-py, on real servers."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import socket
from importlib import import_module
from urllib.parse import urlsplit

import pytest
from alike import alike, names
from instrumented import instrumented

CLIENTS = [("redis", "Redis"), ("valkey", "Valkey")]
every_client = pytest.mark.parametrize(("library", "name"), CLIENTS, ids=[name for name, _ in CLIENTS])


def address(url):
    return {"server.address": "127.0.0.1", "server.port": urlsplit(url).port}


def told(traced):
    """Everything that the spans say."""
    events = [dict(event.attributes) for span in traced.spans for event in span.events]
    return repr(
        [(span.name, dict(span.attributes), span.status.description) for span in traced.spans] + events
    )


def client(library, name, url, **options):
    return getattr(import_module(library), name).from_url(url, **options)


@pytest.fixture
def server(redis_url):
    """Empty, and left so."""
    redis = import_module("redis")
    with redis.Redis.from_url(redis_url) as plain:
        plain.flushdb()
        yield redis_url
        plain.flushdb()


@every_client
def test_a_command(server, library, name):
    with instrumented(library) as traced, client(library, name, server) as one:
        one.set("user:7", "ada", ex=60)
    assert traced.span.name == "SET"
    assert traced.span.kind.name == "CLIENT"
    assert dict(traced.span.attributes) == {
        "db.system.name": library,
        "db.namespace": "0",
        "db.operation.name": "SET",
        "db.query.text": "SET ? ? ? ?",
        **address(server),
    }


def test_the_old_names_too(server):
    with instrumented("redis", OTEL_SEMCONV_STABILITY_OPT_IN="database/dup") as traced:
        client("redis", "Redis", server).get("user:7")
    old = {
        "db.system": "redis",
        "db.operation": "GET",
        "db.statement": "GET ?",
        "db.redis.database_index": 0,
        "net.peer.name": "127.0.0.1",
        "net.peer.port": urlsplit(server).port,
    }
    assert old.items() <= traced.span.attributes.items()


def application(library, name, url):
    """What a program does, and what it sees."""
    module = import_module(library)

    class Shop(getattr(module, name)):
        def execute_command(self, *args, **options):
            return super().execute_command(*args, **options)

    seen = []
    with Shop.from_url(url, decode_responses=True) as one:
        one.flushdb()
        one.script_flush()
        seen += [one.set("a", 1), one.incr("a"), one.get("a"), one.mset({f"k{i}": i for i in range(30)})]
        seen.append(sorted(one.scan_iter("k*", count=1000)))
        seen.append(one.register_script("return ARGV[1]")(args=["secret"]))
        seen.append(one.eval("return KEYS[1]", 1, "secret"))
        seen.append(one.execute_command("SET a secret"))
        seen.append(one.execute_command(b"GET", "a"))
        with one.lock("lock", timeout=5):
            seen.append(one.exists("lock"))
        pipeline = one.pipeline()
        seen += [len(pipeline), pipeline.execute()]
        seen.append(pipeline.set("a", 1).incr("a").get("a").execute())
        seen.append(one.pipeline(transaction=False).get("a").get("b").execute())
        seen.append(one.pipeline(transaction=False).get("a").execute())
        seen.append(one.pipeline().lpush("a", "secret").set("b", 2).execute(raise_on_error=False)[1:])
        seen.append(one.transaction(lambda pipe: pipe.multi() or pipe.set("a", 5), "a"))
        for refused in (
            lambda: one.lpush("a", "secret"),
            lambda: one.pipeline().set("b", "secret").lpush("a", "secret) of pipeline").execute(),
            lambda: one.execute_command("NOSUCH", "secret"),
            one.execute_command,
            lambda: one.set("a", object()),
        ):
            try:
                refused()
            except Exception as error:
                seen.append((type(error).__qualname__, str(error).partition(" object ")[0]))
                seen.append(len(pickle.dumps(error)) > 0)
        with one.pipeline() as watching:
            watching.watch("a")
            one.set("a", "changed")
            watching.multi()
            watching.get("a")
            try:
                watching.execute()
            except module.WatchError as error:
                seen.append(str(error))
        seen += [isinstance(one, getattr(module, name)), one.blpop("nothing", timeout=0.01)]
    return seen


@every_client
def test_a_program_sees_no_difference_and_tells_no_secret(server, library, name):
    traced = alike(library, application, library, name, server)
    assert "secret" not in told(traced)
    texts = {span.attributes["db.query.text"] for span in traced.spans if "db.query.text" in span.attributes}
    assert {"SET ? ?", "GET ?", "MSET" + " ?" * 20 + " ...", "SCAN ? ? ? ? ?", "EVAL ? ? ?"} <= texts
    batches = [
        (span.name, span.attributes.get("db.operation.batch.size"))
        for span in traced.spans
        if span.name.startswith(("MULTI", "PIPELINE"))
    ]
    expected = [("MULTI", 3), ("PIPELINE GET", 2), ("MULTI", 2), ("MULTI SET", None), ("MULTI", 2)]
    assert batches == [*expected, ("MULTI GET", None)]
    failed = [
        (span.name, span.attributes.get("db.response.status_code"), span.attributes["error.type"])
        for span in traced.spans
        if span.status.status_code.name == "ERROR"
    ]
    assert failed == [
        *[("EVALSHA", "NOSCRIPT", f"{library}.exceptions.NoScriptError")] * 2,  # the lock's, too
        ("LPUSH", "WRONGTYPE", f"{library}.exceptions.ResponseError"),
        ("MULTI", "WRONGTYPE", f"{library}.exceptions.ResponseError"),
        ("NOSUCH", "ERR", f"{library}.exceptions.ResponseError"),
        ("SET", None, f"{library}.exceptions.DataError"),
        ("MULTI GET", None, f"{library}.exceptions.WatchError"),
    ]


async def async_application(library, name, url):
    module = import_module(f"{library}.asyncio")
    seen = []
    one = getattr(module, name).from_url(url, decode_responses=True)
    await one.flushdb()
    seen += [await one.set("a", 1), await one.incr("a"), await one.get("a")]
    seen += [[key async for key in one.scan_iter("a*")]]
    async with one.pipeline() as pipeline:
        seen.append(await pipeline.set("a", 1).get("a").execute())
    async with one.pipeline(transaction=False) as pipeline:
        seen.append(await pipeline.get("a").get("b").execute())
        await pipeline.watch("a")
        seen.append(await pipeline.get("a"))
        pipeline.multi()
        seen.append(await pipeline.set("a", "secret").execute())
    try:
        await one.lpush("a", "secret")
    except module.ResponseError as error:
        seen.append(str(error))
    blocked = asyncio.ensure_future(one.blpop("nothing"))
    await until_blocked(url)
    blocked.cancel()
    try:
        await blocked
    except asyncio.CancelledError:
        seen.append("cancelled")
    seen.append(await asyncio.gather(*(one.get("a") for _ in range(3))))
    seen.append(inspect.iscoroutinefunction(module.client.Pipeline.execute))
    await getattr(one, "aclose", one.close)()  # since redis-py 5.0.1
    return seen


async def until_blocked(url):
    """Wait, without any client that is traced, until the server has one that waits."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    listed = b""
    while b"cmd=blpop" not in listed:
        writer.write(b"CLIENT LIST\r\n")
        listed = await reader.readexactly(int((await reader.readline())[1:]) + 2)
    writer.close()
    await writer.wait_closed()


@every_client
def test_an_async_program_sees_no_difference(server, library, name):
    traced = alike(library, lambda: asyncio.run(async_application(library, name, server)))
    assert names(traced) == [
        *("FLUSHDB", "SET", "INCRBY", "GET", "SCAN"),
        *("MULTI", "PIPELINE GET", "WATCH", "GET", "MULTI SET", "LPUSH", "BLPOP", "GET", "GET", "GET"),
    ]
    assert [span.name for span in traced.spans if span.status.status_code.name == "ERROR"] == ["LPUSH"]
    assert "secret" not in told(traced)
    assert address(server).items() <= traced.by_name("LPUSH").attributes.items()


def test_what_a_connection_sends_for_itself_is_silent(server):
    options = {"health_check_interval": 0.001, "client_name": "shop", "protocol": 3, "db": 5}
    with client("redis", "Redis", server) as admin:
        admin.acl_setuser("ada", enabled=True, passwords=["+secret"], commands=["+@all"], keys=["*"])
    url = server.replace("127.0.0.1", "ada:secret@127.0.0.1").replace("/0", "/5")
    with instrumented("redis") as traced, client("redis", "Redis", url, **options) as one:
        one.get("a")
        one.get("a")
        one.auth("secret", "ada")
        with pytest.raises(Exception, match="invalid"):
            one.auth("secret-too", "ada")
        one.ping()
    assert names(traced) == ["GET", "GET", "AUTH", "AUTH", "PING"]
    assert traced.spans[0].attributes["db.namespace"] == "5"
    assert "secret" not in told(traced)
    assert traced.spans[3].attributes["error.type"] == "redis.exceptions.AuthenticationError"
    assert traced.spans[3].attributes["db.response.status_code"] == "WRONGPASS"


def test_messages_of_a_subscription_are_silent(server):
    with instrumented("redis") as traced, client("redis", "Redis", server) as one, one.pubsub() as channel:
        channel.subscribe("news")
        assert channel.get_message(timeout=10)["type"] == "subscribe"
        one.publish("news", "secret")
        assert channel.get_message(timeout=10)["data"] == b"secret"
    assert names(traced) == ["PUBLISH"]


@pytest.fixture
def free_port():
    """A port at which nobody listens, as long as it is held."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_nobody_listens(free_port):
    with instrumented("redis") as traced, client("redis", "Redis", f"redis://127.0.0.1:{free_port}/0") as one:
        with pytest.raises(Exception, match="refused"):
            one.get("a")
        with pytest.raises(Exception, match="refused"):
            one.pipeline().get("a").execute()
    assert names(traced) == ["GET", "MULTI GET"]
    for span in traced.spans:
        assert span.attributes["error.type"] == "redis.exceptions.ConnectionError"
        assert span.attributes["server.port"] == free_port


def keys_of(urls):
    """A key of each node of the cluster; the first has the lower half of the slots."""
    return {"bar": address(urls[0]), "foo": address(urls[1])}


@every_client
def test_a_cluster(redis_cluster, library, name):
    module = import_module(library)
    port = urlsplit(redis_cluster[0]).port

    def work():
        with getattr(module, f"{name}Cluster")(host="127.0.0.1", port=port) as one:
            seen = [one.set(key, "secret") for key in keys_of(redis_cluster)]
            pipeline = one.pipeline()
            seen.append(pipeline.get("foo").get("foo").execute())
            seen.append(one.dbsize())
            # As after a move of slots: the node that was asked points to the right one.
            slots = one.nodes_manager.slots_cache
            slots[one.keyslot("foo")] = slots[one.keyslot("bar")]
            seen.append(one.get("foo"))
            return seen

    traced = alike(library, work)
    assert names(traced) == ["SET", "SET", "PIPELINE GET", "DBSIZE", "GET"]
    assert all("error.type" not in span.attributes for span in traced.spans)
    for span, key in zip(traced.spans, ("bar", "foo", "foo")):
        assert keys_of(redis_cluster)[key].items() <= span.attributes.items()
    assert keys_of(redis_cluster)["foo"].items() <= traced.spans[4].attributes.items()
    assert "secret" not in told(traced)


@every_client
def test_an_async_cluster(redis_cluster, library, name):
    module = import_module(f"{library}.asyncio.cluster")
    port = urlsplit(redis_cluster[0]).port

    async def work():
        one = getattr(module, f"{name}Cluster")(host="127.0.0.1", port=port)
        seen = [await one.set(key, "secret") for key in keys_of(redis_cluster)]
        seen.append(await one.pipeline().get("foo").get("foo").execute())
        seen.append(await one.dbsize())
        await getattr(one, "aclose", one.close)()
        return seen

    traced = alike(library, lambda: asyncio.run(work()))
    assert names(traced) == ["SET", "SET", "PIPELINE GET", "DBSIZE"]
    for span, key in zip(traced.spans, ("bar", "foo", "foo")):
        assert keys_of(redis_cluster)[key].items() <= span.attributes.items()


def test_a_transaction_in_a_cluster(redis_cluster):
    redis = import_module("redis")

    def work():
        with redis.RedisCluster(host="127.0.0.1", port=urlsplit(redis_cluster[0]).port) as one:
            one.set("foo", 1)
            with one.pipeline(transaction=True) as pipeline:
                pipeline.watch("foo")
                seen = [pipeline.get("foo")]
                pipeline.multi()
                pipeline.set("foo", 2)
                pipeline.get("foo")
                return seen + pipeline.execute()

    traced = alike("redis", work)
    assert names(traced) == ["SET", "WATCH", "GET", "MULTI"]
    assert keys_of(redis_cluster)["foo"].items() <= traced.spans[3].attributes.items()


def test_the_master_that_a_sentinel_names(server, redis_sentinel):
    sentinel = import_module("redis.sentinel").Sentinel([("127.0.0.1", redis_sentinel)])
    with instrumented("redis") as traced:
        master = sentinel.master_for("shop")
        master.set("a", 1)
        master.get("a")
        master.close()
    assert names(traced) == ["SET", "GET"]
    for span in traced.spans:
        assert address(server).items() <= span.attributes.items()
    sentinel.close()
