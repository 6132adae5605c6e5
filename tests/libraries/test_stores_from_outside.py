"""A program with several stores, started as a user starts it: what arrives at a backend."""

from __future__ import annotations

import pytest

PROGRAM = """
import asyncio, sys
import elasticsearch, opensearchpy, pymongo, redis, redis.asyncio, valkey
from opentelemetry import trace
from pymemcache.client import PooledClient

redis_url, memcached, mongodb, search_engine = sys.argv[1:]

def with_redis():
    with redis.Redis.from_url(redis_url) as client:
        client.set("a secret", "a secret", ex=1)
        client.pipeline().set("b", "a secret").get("b").delete("b").execute()

async def with_redis_asyncio():
    client = redis.asyncio.Redis.from_url(redis_url)
    await client.get("a secret")
    await client.aclose()

def with_valkey():
    with valkey.Valkey.from_url(redis_url) as client:
        client.get("a secret")

def with_pymemcache():
    client = PooledClient(memcached)
    client.set("a", "a secret")
    client.close()

def with_pymongo():
    with pymongo.MongoClient(mongodb) as client:
        client.shop.users.find_one({"name": "a secret"})

def with_search_engine(client):
    client.search(index="users", body={"query": {"match": {"name": "a secret"}}})
    client.transport.close()

with trace.get_tracer("app").start_as_current_span("request"):
    with_redis()
    asyncio.run(with_redis_asyncio())
    with_valkey()
    with_pymemcache()
    with_pymongo()
    with_search_engine(elasticsearch.Elasticsearch(search_engine))
    with_search_engine(opensearchpy.OpenSearch(search_engine))
print("done")
"""


@pytest.mark.slow
def test_every_store_in_one_trace(
    sandbox, arrivals, redis_url, memcached_address, mongodb_url, search_engine_url
):
    sandbox.write("app.py", PROGRAM)
    servers = (redis_url, memcached_address, mongodb_url, search_engine_url)
    done = sandbox.run("-W", "ignore", "app.py", *servers, **arrivals.environ)
    assert (done.code, done.out, done.err) == (0, "done\n", "")
    assert arrivals.tree.splitlines() == [
        "app app INTERNAL request",
        "  app autotrace.redis CLIENT SET",
        "  app autotrace.redis CLIENT MULTI",
        "  app autotrace.redis CLIENT GET",
        "  app autotrace.valkey CLIENT GET",
        "  app autotrace.pymemcache CLIENT set",
        "  app autotrace.pymongo CLIENT find users",
        "  app autotrace.elasticsearch CLIENT search users",
        "  app autotrace.opensearch CLIENT search users",
    ]
    assert b"a secret" not in arrivals.raw
