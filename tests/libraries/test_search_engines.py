"""The clients of Elasticsearch and OpenSearch, on a server of the test's own."""

from __future__ import annotations

import asyncio
import inspect
import socket
from importlib import import_module

import pytest
from alike import alike, names
from instrumented import instrumented
from search_engine import search_engine

from autotrace.instrumentation.opensearch import operation_of

CLIENTS = [
    ("elasticsearch", "elasticsearch", "Elasticsearch"),
    ("opensearch", "opensearchpy", "OpenSearch"),
]
HTTP = ("urllib3", "http.client", "requests", "aiohttp-client")
every_client = pytest.mark.parametrize(
    ("library", "module", "name"), CLIENTS, ids=[name for *_, name in CLIENTS]
)


@pytest.fixture
def engine():
    with search_engine() as engine:
        yield engine


def make(module, name, engine, **options):
    return getattr(import_module(module), name)(engine.url, max_retries=2, retry_on_status=[503], **options)


def indexed(library):
    """The keyword that takes a document."""
    return "document" if library == "elasticsearch" else "body"


def program(library, module, name, engine):
    client = make(module, name, engine)
    document = {indexed(library): {"name": "ada"}}
    seen = [client.index(index="users", id="7", **document)["result"], client.info()["version"]["number"]]
    seen.append(client.get(index="users", id="7")["_source"])
    seen.append(bool(client.exists(index="users", id="8")))
    seen.append(client.search(index="users,shops")["hits"])
    try:
        client.get(index="users", id="8")
    except Exception as error:
        seen.append((type(error).__qualname__, str(error)))
    seen.append(bool(client.ping()))
    client.transport.close()
    return seen


@every_client
def test_a_program_sees_no_difference(engine, library, module, name):
    traced = alike(library, program, library, module, name, engine)
    assert names(traced)[0] == "index users"
    assert (
        dict(traced.spans[2].attributes).items()
        >= {
            "db.system.name": library,
            "db.operation.name": "get",
            "db.collection.name": "users",
            "http.request.method": "GET",
            "server.address": "127.0.0.1",
            "server.port": engine.server_address[1],
        }.items()
    )
    expected = ["index users", "info", "get users", "exists users", "search", "get users", "ping"]
    assert names(traced) == expected
    assert {span.kind.name for span in traced.spans} == {"CLIENT"}
    failed = [span for span in traced.spans if span.status.status_code.name == "ERROR"]
    assert [span.name for span in failed] == ["get users"]
    assert failed[0].attributes["db.response.status_code"] == "404"
    assert failed[0].attributes["error.type"].endswith(".NotFoundError")


@every_client
def test_there_is_no_twin_of_http_and_one_span_for_all_attempts(engine, library, module, name):
    with instrumented(library, *HTTP) as traced:
        client = make(module, name, engine)
        client.search(index="busy")
        client.transport.close()
    assert engine.was_busy
    assert traced.span.name == "search busy"
    assert all("traceparent" not in headers for headers in engine.headers_seen)


@every_client
def test_where_nothing_is_sampled_there_is_no_twin_either(engine, library, module, name):
    with instrumented(library, *HTTP, OTEL_TRACES_SAMPLER="always_off") as traced:
        client = make(module, name, engine)
        client.search(index="users")
        client.transport.close()
    assert traced.spans == []


@every_client
def test_an_async_program_sees_no_difference(engine, library, module, name):
    async def work():
        client = make(module, f"Async{name}", engine)
        document = {indexed(library): {"name": "ada"}}
        seen = [(await client.index(index="users", id="7", **document))["result"]]
        seen.append(await asyncio.gather(*(client.exists(index="users", id="7") for _ in range(2))))
        engine.holding.clear()
        held = asyncio.ensure_future(client.search(index="hold"))
        await asyncio.to_thread(engine.holding.wait, 30)
        held.cancel()
        with pytest.raises(asyncio.CancelledError):
            await held
        await client.close()
        return [str(one) for one in seen]

    plain = asyncio.run(work())
    with instrumented(library, *HTTP) as traced:
        assert asyncio.run(work()) == plain
    assert names(traced) == ["index users", "exists users", "exists users", "search hold"]
    assert all("error.type" not in span.attributes for span in traced.spans)
    assert all(span.attributes["server.port"] == engine.server_address[1] for span in traced.spans)


@every_client
def test_nobody_listens(library, module, name):
    with socket.socket() as nobody, instrumented(library, *HTTP) as traced:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        client = getattr(import_module(module), name)(f"http://127.0.0.1:{port}", max_retries=1)
        with pytest.raises(Exception, match="refused"):
            client.search(index="users")
        client.transport.close()
    assert traced.span.attributes["error.type"].endswith(".ConnectionError")
    assert traced.span.attributes["server.port"] == port


def test_the_setting_of_elasticsearch_holds(engine, monkeypatch):
    monkeypatch.setenv("OTEL_PYTHON_INSTRUMENTATION_ELASTICSEARCH_ENABLED", "false")
    with instrumented("elasticsearch") as traced:
        client = make("elasticsearch", "Elasticsearch", engine)
        client.search(index="users")
        client.transport.close()
    assert traced.spans == []


def test_what_is_a_coroutine_stays_one():
    with instrumented("opensearch"):
        module = import_module("opensearchpy")
        assert inspect.iscoroutinefunction(module.AsyncTransport.perform_request)
        assert not inspect.iscoroutinefunction(module.Transport.perform_request)


@pytest.mark.parametrize(
    ("method", "path", "operation", "index"),
    [
        ("GET", "/", "info", ""),
        ("HEAD", "/", "ping", ""),
        ("PUT", "/users", "indices.create", "users"),
        ("PUT", "/users/_doc/7?refresh=true", "index", "users"),
        ("DELETE", "/users/_doc/7", "delete", "users"),
        ("POST", "/users/_update/secret", "update", "users"),
        ("GET", "/users,shops/_search", "search", ""),
        ("POST", "/_bulk", "bulk", ""),
        ("GET", "/_cluster/health/users", "cluster.health", ""),
        ("GET", "/_cat/indices", "cat.indices", ""),
        ("GET", "/_nodes/7f3a/stats", "nodes", ""),
        ("PUT", "/_plugins/_security/api/internalusers/ada", "plugins.security", ""),
        ("PUT", "/users/type/7", "PUT", "users"),
    ],
)
def test_the_operation_of_a_path(method, path, operation, index):
    assert operation_of(method, path) == (operation, index)
