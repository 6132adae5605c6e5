"""One unit of work for each client of a store without SQL."""

from __future__ import annotations

from scenarios.scenario import START, Scenario

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def ask_redis(library: str, name: str) -> Any:
    def work(url: str) -> Any:
        from importlib import import_module

        module = import_module(library)
        with getattr(module, name).from_url(url) as client:
            client.delete("user:7")
            client.set("user:7", "ada")
            try:
                client.lpush("user:7", "bob")
            except module.ResponseError as error:
                refused = str(error)
            found = client.pipeline().get("user:7").get("user:8").execute()[0].decode()
        return [found, refused]

    return work


def ask_redis_asyncio(library: str, name: str) -> Any:
    def work(url: str) -> Any:
        import asyncio
        from importlib import import_module

        module = import_module(f"{library}.asyncio")

        async def ask() -> Any:
            client = getattr(module, name).from_url(url)
            await client.delete("user:7")
            await client.set("user:7", "ada")
            try:
                await client.lpush("user:7", "bob")
            except module.ResponseError as error:
                refused = str(error)
            found = await client.pipeline().get("user:7").get("user:8").execute()
            await getattr(client, "aclose", client.close)()  # since redis-py 5.0.1
            return [found[0].decode(), refused]

        return asyncio.run(ask())

    return work


def of_redis(work: Any, library: str) -> Scenario:
    return Scenario(
        work,
        f"""
        autotrace.{library} CLIENT DEL
        autotrace.{library} CLIENT SET
        autotrace.{library} CLIENT LPUSH ERROR
        autotrace.{library} CLIENT MULTI GET
        """,
        before=START,
        after=("autotrace.tracing.span:Span.end",),
        server="redis_url",
    )


def ask_memcached(address: str) -> Any:
    from pymemcache.client import HashClient, MemcacheError

    client = HashClient([address])
    client.set("user:7", "ada", noreply=False)
    found = [client.get("user:7").decode(), sorted(client.get_many(["user:7", "user:8"]))]
    try:
        client.incr("user:7", 1)
    except MemcacheError as error:
        refused = str(error)
    client.close()
    return [found, refused]


def ask_mongodb(url: str) -> Any:
    import pymongo

    with pymongo.MongoClient(url) as client:
        users = client.shop.users
        users.insert_one({"_id": 7, "name": "ada"})
        try:
            users.insert_one({"_id": 7, "name": "bob"})
        except pymongo.errors.DuplicateKeyError as error:
            refused = error.code
        try:
            client.shop.command("nosuch")
        except pymongo.errors.OperationFailure as error:
            unknown = error.code
        found = users.find_one({"_id": 7})["name"]
        users.drop()
    return [found, refused, unknown]


def ask_search_engine(module: str, name: str) -> Any:
    def work(url: str) -> Any:
        from importlib import import_module

        client = getattr(import_module(module), name)(url)
        found = client.search(index="users")["hits"]
        try:
            client.get(index="users", id="8")
        except import_module(module).NotFoundError as error:
            refused = str(error)
        client.transport.close()
        return [found, refused]

    return work


def of_search_engine(module: str, name: str, library: str, without: str) -> Scenario:
    return Scenario(
        ask_search_engine(module, name),
        f"""
        autotrace.{library} CLIENT search users
        autotrace.{library} CLIENT get users ERROR
        """,
        without=without,
        before=START,
        after=("autotrace.tracing.span:Span.end",),
        server="search_engine_url",
    )


SCENARIOS = {
    "elasticsearch._otel": of_search_engine(
        "elasticsearch",
        "Elasticsearch",
        "elasticsearch",
        # The client's own.
        """
        elasticsearch-api INTERNAL search
          autotrace.urllib3 CLIENT POST
        elasticsearch-api INTERNAL get ERROR
          autotrace.urllib3 CLIENT GET ERROR
        """,
    ),
    "opensearchpy": of_search_engine(
        "opensearchpy",
        "OpenSearch",
        "opensearch",
        """
        autotrace.urllib3 CLIENT POST
        autotrace.urllib3 CLIENT GET ERROR
        """,
    ),
    "pymongo.monitoring": Scenario(
        ask_mongodb,
        """
        autotrace.pymongo CLIENT insert users
        autotrace.pymongo CLIENT insert users ERROR
        autotrace.pymongo CLIENT nosuch ERROR
        autotrace.pymongo CLIENT find users
        autotrace.pymongo CLIENT drop users
        """,
        before=START,
        after=("autotrace.tracing.span:Span.end",),
        server="mongodb_url",
    ),
    "pymemcache.client": Scenario(
        ask_memcached,
        """
        autotrace.pymemcache CLIENT set
        autotrace.pymemcache CLIENT get
        autotrace.pymemcache CLIENT get_many
        autotrace.pymemcache CLIENT incr ERROR
        """,
        before=START,
        after=("autotrace.tracing.span:Span.end",),
        server="memcached_address",
    ),
    "redis": of_redis(ask_redis("redis", "Redis"), "redis"),
    "redis.asyncio": of_redis(ask_redis_asyncio("redis", "Redis"), "redis"),
    "valkey": of_redis(ask_redis("valkey", "Valkey"), "valkey"),
    "valkey.asyncio": of_redis(ask_redis_asyncio("valkey", "Valkey"), "valkey"),
}
"""By the module that a row patches."""
