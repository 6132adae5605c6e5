"""pymongo on a server of the test's own."""

from __future__ import annotations

import asyncio
import socket

import pymongo
import pytest
from alike import alike, names
from instrumented import instrumented
from mongodb import mongodb
from pymongo import monitoring

LIBRARY = "pymongo"


@pytest.fixture
def server():
    with mongodb() as server:
        yield server


def url(server):
    return f"mongodb://127.0.0.1:{server.server_address[1]}/?serverSelectionTimeoutMS=20000"


def told(traced):
    """Everything that the spans say."""
    events = [dict(event.attributes) for span in traced.spans for event in span.events]
    return repr(
        [(span.name, dict(span.attributes), span.status.description) for span in traced.spans] + events
    )


def test_a_command(server):
    with instrumented(LIBRARY) as traced, pymongo.MongoClient(url(server)) as client:
        client.shop.users.insert_many([{"_id": 1}, {"_id": 2}])
    assert traced.span.name == "insert users"
    assert traced.span.kind.name == "CLIENT"
    assert dict(traced.span.attributes) == {
        "db.system.name": "mongodb",
        "db.namespace": "shop",
        "db.collection.name": "users",
        "db.operation.name": "insert",
        "db.operation.batch.size": 2,
        "server.address": "127.0.0.1",
        "server.port": server.server_address[1],
    }


def test_the_old_names_too(server):
    both = {"OTEL_SEMCONV_STABILITY_OPT_IN": "database/dup"}
    with instrumented(LIBRARY, **both) as traced, pymongo.MongoClient(url(server)) as client:
        client.shop.users.find_one()
    old = {
        "db.system": "mongodb",
        "db.name": "shop",
        "db.mongodb.collection": "users",
        "db.operation": "find",
    }
    assert old.items() <= traced.span.attributes.items()


class Listener(monitoring.CommandListener):
    """The application's own."""

    def __init__(self):
        self.heard = []

    def started(self, event):
        self.heard.append(event.command_name)

    def succeeded(self, event):
        self.heard.append("succeeded")

    def failed(self, event):
        self.heard.append("failed")


def test_a_program_sees_no_difference_and_tells_no_secret(server):
    def work():
        listener = Listener()
        with pymongo.MongoClient(url(server), event_listeners=[listener]) as client:
            users = client.shop.users
            seen = [users.insert_one({"_id": "secret"}).inserted_id]
            seen.append(users.insert_many([{"_id": number} for number in range(4)]).inserted_ids)
            seen.append([one["_id"] for one in users.find({})])
            for refused in (
                lambda: users.insert_one({"_id": "secret"}),
                lambda: users.insert_many([{"_id": "secret"}, {"_id": 9}], ordered=False),
                lambda: client.shop.command("nosuch", key="secret"),
            ):
                with pytest.raises(pymongo.errors.PyMongoError) as caught:
                    refused()
                seen.append((type(caught.value), caught.value.code))
            users.drop()
            seen += [client.admin.command("ping"), listener.heard]
        return seen

    traced = alike(LIBRARY, work)
    assert names(traced) == [
        *("insert users", "insert users", "find users", "getMore users"),
        *("insert users", "insert users", "nosuch", "drop users", "ping"),
    ]
    assert "secret" not in told(traced)
    failed = [span for span in traced.spans if span.status.status_code.name == "ERROR"]
    codes = [(span.attributes["error.type"], span.attributes["db.response.status_code"]) for span in failed]
    assert codes == [("11000", "11000"), ("11000", "11000"), ("pymongo.errors.OperationFailure", "59")]
    assert failed[2].status.description.startswith("no such command: {?}")


def test_an_async_program_sees_no_difference(server):
    async def work():
        server.holding.clear()
        async with pymongo.AsyncMongoClient(url(server)) as client:
            users = client.shop.users
            await users.insert_one({"_id": 1})
            seen = await asyncio.gather(*(users.find_one({"_id": 1}) for _ in range(3)))
            held = asyncio.ensure_future(client.shop.command("hold"))
            await asyncio.to_thread(server.holding.wait, 30)
            held.cancel()
            with pytest.raises(asyncio.CancelledError):
                await held
            await users.drop()
        return seen

    traced = alike(LIBRARY, lambda: asyncio.run(work()))
    # pymongo tells nobody that a command was cancelled.
    assert names(traced) == ["insert users", *["find users"] * 3, "drop users"]
    assert all("error.type" not in span.attributes for span in traced.spans)


def test_a_client_that_was_made_before_the_end_of_tracing_falls_silent(server):
    with instrumented(LIBRARY) as traced:
        client = pymongo.MongoClient(url(server))
        client.admin.command("ping")
    client.admin.command("ping")
    client.close()
    assert names(traced) == ["ping"]


def test_nobody_listens():
    with socket.socket() as nobody, instrumented(LIBRARY) as traced:
        nobody.bind(("127.0.0.1", 0))
        client = pymongo.MongoClient(*nobody.getsockname(), serverSelectionTimeoutMS=50)
        with pytest.raises(pymongo.errors.ServerSelectionTimeoutError):
            client.admin.command("ping")
        client.close()
    assert traced.spans == []
