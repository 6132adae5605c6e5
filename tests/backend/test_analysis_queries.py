"""`autotrace.analysis` for scripts: the same answers from the store, our Jaeger API, and a real Zipkin."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from query_server import QueryServer, fetch, query_server
from zipkin_server import ZipkinServer, zipkin_server

from autotrace import analysis
from autotrace.decoding import zipkin_json
from autotrace.store.errors import StoreError
from autotrace.store.files import database_in

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("zipkin_server",)

NOW = int(time.time()) * 1_000_000 - 60_000_000
SLOW = "cafe000000000002cafe000000000002"
QUICK = "beef000000000002beef000000000002"
MILLISECOND = 1_000_000


def span(trace_id: str, span_id: str, name: str, service: str, start: int, duration: int, **more: Any) -> Any:
    return {
        "traceId": trace_id,
        "id": span_id * 16,
        "name": name,
        "timestamp": NOW + start,
        "duration": duration,
        "localEndpoint": {"serviceName": service},
        **more,
    }


SPANS = [
    span(QUICK, "1", "get /cart", "scripted-front", -5_000_000, 20_000, kind="SERVER"),
    span(SLOW, "a", "get /cart", "scripted-front", 0, 900_000, kind="SERVER", tags={"http.route": "/cart"}),
    span(SLOW, "b", "get", "scripted-front", 100_000, 700_000, kind="CLIENT", parentId="a" * 16),
    span(SLOW, "c", "get /items", "scripted-items", 200_000, 500_000, kind="SERVER", parentId="b" * 16),
    span(
        SLOW,
        "d",
        "select items",
        "scripted-items",
        250_000,
        400_000,
        kind="CLIENT",
        parentId="c" * 16,
        tags={"error": "timeout", "db.system.name": "postgresql"},
    ),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def ours(home: Path) -> Iterator[QueryServer]:
    directory = Path(database_in(str(home), {})).parent
    directory.mkdir(exist_ok=True)
    with query_server(directory) as server:
        server.store(zipkin_json.decode(json.dumps(SPANS).encode()).spans)
        yield server


@pytest.fixture(scope="module")
def places(home: Path, ours: QueryServer, zipkin_server: ZipkinServer) -> dict[str, dict[str, str]]:
    """By kind of source, the keywords that name it."""
    url = f"http://127.0.0.1:{zipkin_server.port}"
    body = json.dumps(SPANS).encode()
    assert fetch(f"{url}/api/v2/spans", body, {"Content-Type": "application/json"})[0] == 202
    return {"local": {"home": str(home)}, "jaeger": {"source": ours.url}, "zipkin": {"source": url}}


@pytest.fixture(params=["local", "jaeger", "zipkin"])
def where(request: Any, places: dict[str, dict[str, str]]) -> dict[str, Any]:
    return places[request.param]


def test_queries(where: dict[str, Any]) -> None:
    def ids(**asked: Any) -> list[str]:
        return [trace.trace_id for trace in analysis.query_traces(**asked, **where)]

    assert ids(service="scripted-front") == [SLOW, QUICK]
    assert ids(service="scripted-front", limit=1) == [SLOW]
    assert ids(service="scripted-items", operation="get /items") == [SLOW]
    assert ids(service="scripted-front", max_duration="100ms", operation="get /cart") == [QUICK]
    assert ids(service="scripted-front", min_duration=timedelta(milliseconds=800)) == [SLOW]
    assert ids(service="scripted-items", errors=True) == [SLOW]
    assert ids(service="scripted-front", errors=True) == []
    assert ids(service="scripted-front", tags={"http.route": "/cart"}) == [SLOW]
    assert ids(service="scripted-front", last="1h") == [SLOW, QUICK]
    assert ids(service="scripted-nobody") == []


def test_slow_traces(where: dict[str, Any]) -> None:
    found = analysis.find_slow_traces("scripted-front", "10ms", **where)
    assert [(trace.trace_id, trace.duration) for trace in found] == [
        (SLOW, 900 * MILLISECOND),
        (QUICK, 20 * MILLISECOND),
    ]
    assert [trace.trace_id for trace in analysis.find_slow_traces("scripted-front", **where)] == [SLOW]


def test_where_the_time_of_a_trace_went(where: dict[str, Any]) -> None:
    trace = analysis.get_trace(SLOW, **where)
    assert trace is not None
    assert (trace.root.name, trace.errors) == ("get /cart", 1)
    assert trace.services == ("scripted-front", "scripted-items")
    times = [(each.span.name, each.time // MILLISECOND) for each in trace.self_times()]
    assert times == [("get /cart", 200), ("get", 200), ("get /items", 100), ("select items", 400)]
    path = [(each.span.name, each.time // MILLISECOND) for each in trace.critical_path()]
    assert path == times
    assert "get /cart" in repr(trace)
    assert analysis.get_trace("ffff" * 8, **where) is None


def test_dependencies(where: dict[str, Any]) -> None:
    found = {
        (each.caller.name, each.called.name): (each.calls, each.errors, each.p50 // MILLISECOND)
        for each in analysis.dependencies("scripted-items", last="1h", **where)
    }
    assert found == {
        ("scripted-front", "scripted-items"): (1, 0, 500),
        ("scripted-items", "postgresql"): (1, 1, 400),
    }


def test_without_a_store_nothing_is_found(tmp_path: Path) -> None:
    assert analysis.query_traces(home=str(tmp_path)) == []
    assert analysis.get_trace("abc", home=str(tmp_path)) is None
    assert analysis.dependencies(home=str(tmp_path)) == []


def test_what_cannot_be_asked_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not answer"):
        analysis.query_traces(source="http://127.0.0.1:9")
    with pytest.raises(ValueError, match="not a duration"):
        analysis.query_traces(min_duration="soon", home=str(tmp_path))
