"""pymemcache on a real server."""

from __future__ import annotations

import socket

import pytest
from alike import Rows, alike, names
from instrumented import instrumented
from pymemcache.client import Client, HashClient, MemcacheError, PooledClient, RetryingClient

LIBRARY = "pymemcache"


def address(text):
    host, port = text.split(":")
    return {"server.address": host, "server.port": int(port)}


def test_an_operation(memcached_address):
    with instrumented(LIBRARY) as traced:
        client = Client(memcached_address)
        client.set("user:7", "ada", expire=60)
        client.close()
    assert traced.span.name == "set"
    assert traced.span.kind.name == "CLIENT"
    assert dict(traced.span.attributes) == {
        "db.system.name": "memcached",
        "db.operation.name": "set",
        "db.query.text": "set ? ?",
        **address(memcached_address),
    }


@pytest.mark.parametrize(
    "make",
    [
        Client,
        PooledClient,
        lambda server: HashClient([server]),
        lambda server: RetryingClient(Client(server)),
    ],
    ids=["plain", "pooled", "hashing", "retrying"],
)
def test_a_program_sees_no_difference_and_tells_no_secret(memcached_address, make):
    def work():
        client = make(memcached_address)
        client.flush_all(noreply=False)
        client.set("a", "secret")
        seen = [
            client.get("a"),
            client.get(key="a"),
            client.get("b", "none"),
            client.set_many({"c": 1, "d": 2}),
        ]
        seen += [client.get_many(Rows("c", "d")), client.get_many(["c"]), client.incr("c", 2)]
        value, token = client.gets("a")
        seen += [value, client.cas("a", "secret", token), client.add("a", "secret", noreply=False)]
        seen += [client.delete("a", noreply=False), client.touch("c", 5, noreply=False)]
        with pytest.raises(MemcacheError) as caught:
            client.incr("c", "secret")
        client.close()
        return [*seen, str(caught.value)]

    traced = alike(LIBRARY, work)
    assert names(traced) == [
        *("flush_all", "set", "get", "get", "get", "set_many", "get_many", "get_many", "incr"),
        *("gets", "cas", "add", "delete", "touch", "incr"),
    ]
    sizes = [span.attributes.get("db.operation.batch.size") for span in traced.spans[5:8]]
    assert sizes[0] == 2
    assert sizes[2] is None
    assert all(address(memcached_address).items() <= span.attributes.items() for span in traced.spans)
    failed = traced.spans[-1]
    assert failed.attributes["error.type"] == "pymemcache.exceptions.MemcacheIllegalInputError"
    assert failed.status.description == "value must be integer, got bad value: ?"
    told = [
        (dict(span.attributes), [dict(event.attributes) for event in span.events]) for span in traced.spans
    ]
    assert "secret" not in repr(told)


def test_a_key_that_is_refused(memcached_address):
    with instrumented(LIBRARY) as traced, pytest.raises(MemcacheError, match="whitespace"):
        Client(memcached_address).get("a secret")
    assert traced.span.status.description == "Key contains whitespace: ?"
    assert "a secret'" not in repr([dict(event.attributes) for event in traced.span.events])


def test_the_attempts_of_a_retrying_client_are_one():
    with socket.socket() as nobody, instrumented(LIBRARY) as traced:
        nobody.bind(("127.0.0.1", 0))
        client = RetryingClient(Client(nobody.getsockname()), attempts=3)
        with pytest.raises(ConnectionRefusedError):
            client.get("a")
    assert traced.span.name == "get"
    assert traced.span.attributes["error.type"] == "ConnectionRefusedError"
