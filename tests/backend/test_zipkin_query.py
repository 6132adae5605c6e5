"""Zipkin's query API against the real server: the same spans, the same questions, the same answers."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from query_server import fetch
from ui_process import user_interface
from zipkin_server import ZipkinServer, zipkin_server
from zipkin_traces import NAMES, REMOTE, SERVICES, traces

from autotrace.backend.ports import ZIPKIN

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("zipkin_server",)

pytestmark = pytest.mark.slow

SEED = 20261
END = int(time.time()) * 1_000_000 - 60_000_000
TRACES = traces(SEED, 300, END)
END_MS = END // 1000


class Both:
    """The real server and `autotrace ui`, with the same spans."""

    def __init__(self, real: ZipkinServer, ours: ZipkinServer) -> None:
        self.real = real
        self.ours = ours

    def ask(self, path: str) -> tuple[Any, Any]:
        """What both answer."""
        return self.real.get(path), self.ours.get(path)


@pytest.fixture(scope="module")
def both(zipkin_server: ZipkinServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with user_interface(tmp_path_factory.mktemp("ui")) as running:
        both = Both(zipkin_server, ZipkinServer(running.port(ZIPKIN)))
        body = json.dumps([span for trace in TRACES for span in trace]).encode()
        for server in (both.real, both.ours):
            status, _, _ = fetch(server.url, body, {"Content-Type": "application/json"})
            assert status == 202
            server.trace(TRACES[-1][0]["traceId"], len(TRACES[-1]))  # the last that is stored
        yield both


def canonical(traces: Any) -> Any:
    """Traces in their order, with the spans of each in one: the server has none for them."""
    return [sorted(json.dumps(span, sort_keys=True) for span in trace) for trace in traces]


def searches(seed: int, count: int) -> list[str]:
    """Random questions to /traces, some of them narrow, each over all of the time."""
    chance = random.Random(seed)
    paths = []
    for _ in range(count):
        asked: dict[str, Any] = {"limit": 1000, "endTs": END_MS + 60_000, "lookback": 3_600_000}
        if chance.random() < 0.8:
            asked["serviceName"] = chance.choice((*SERVICES, "nobody", ""))
        if chance.random() < 0.3:
            asked["spanName"] = chance.choice((*NAMES, "all", "nothing"))
        if chance.random() < 0.3:
            asked["remoteServiceName"] = chance.choice((*REMOTE, "nobody"))
        if chance.random() < 0.4:
            asked["annotationQuery"] = chance.choice(CLAUSES)
        if chance.random() < 0.3:
            asked["minDuration"] = chance.choice((1, 500, 20_000, 300_001))
            if chance.random() < 0.5:
                asked["maxDuration"] = asked["minDuration"] + chance.choice((0, 1000, 1_000_000))
        if chance.random() < 0.2:
            asked["endTs"] = END_MS - chance.randrange(300_000)
        if chance.random() < 0.2:
            asked["lookback"] = chance.randrange(1, 200_000)
        paths.append(f"/api/v2/traces?{urlencode(asked)}")
    return paths


CLAUSES = (
    "error",
    "cache.miss",
    "a|b|c",
    "Grüße",
    "http.path",
    "http.path=/a",
    "http.path=/a and error",
    "http.path=/a and http.path=GET",
    "http.path=/a and http.path",
    "Env=prod and cache.miss",
    "empty=",
    " error = true ",
    "nothing",
)


def test_every_trace_comes_back_as_from_the_server(both: Both) -> None:
    for trace in TRACES:
        (status, real), (our_status, ours) = both.ask(f"/api/v2/trace/{trace[0]['traceId']}")
        assert (our_status, canonical([ours])) == (status, canonical([real]))


def test_searches_find_what_the_server_finds(both: Both) -> None:
    found = 0
    for path in searches(SEED, 160):
        (status, real), (our_status, ours) = both.ask(path)
        assert our_status == status == 200, path
        assert sorted(canonical(ours)) == sorted(canonical(real)), path
        found += bool(real)
    assert found > 60


def test_the_newest_come_first_and_no_more_than_asked_for(both: Both) -> None:
    for limit in (1, 2, 7, 10):
        for more in ("", "&serviceName=frontend&spanName=query", "&annotationQuery=error"):
            path = f"/api/v2/traces?limit={limit}&endTs={END_MS + 60_000}&lookback=3600000{more}"
            (_, real), (_, ours) = both.ask(path)
            assert canonical(ours) == canonical(real), path
            assert len(ours) == limit


def test_names(both: Both) -> None:
    paths = ["/api/v2/services", "/api/v2/autocompleteKeys", "/api/v2/autocompleteValues?key=env"]
    for service in (*SERVICES, "nobody", ""):
        paths += [f"/api/v2/{what}?serviceName={service}" for what in ("spans", "remoteServices")]
    for path in paths:
        real, ours = both.ask(path)
        assert ours == real, path


def test_dependencies(both: Both) -> None:
    for asked in (f"endTs={END_MS + 60_000}", f"endTs={END_MS}&lookback=90000", f"endTs={END_MS}&lookback=1"):
        (status, real), (our_status, ours) = both.ask(f"/api/v2/dependencies?{asked}")
        assert our_status == status == 200
        assert _by_pair(ours) == _by_pair(real), asked


def _by_pair(links: Any) -> Any:
    return sorted(links, key=lambda link: (link["parent"], link["child"]))


def questions() -> list[str]:
    """Odd ones, and such as are refused."""
    known, other = TRACES[0][0]["traceId"], TRACES[1][0]["traceId"]
    return [
        f"/api/v2/traceMany?traceIds={known},{other}",
        f"/api/v2/traceMany?traceIds={known},abc",
        f"/api/v2/traceMany?traceIds={known},{known}",
        f"/api/v2/traceMany?traceIds={known}",
        "/api/v2/traceMany?traceIds=",
        "/api/v2/traceMany",
        "/api/v2/trace/abc",
        f"/api/v2/trace/{'0' * 33}1",
        "/api/v2/trace/xyz",
        f"/api/v2/trace/{known.upper()}",
        f"/api/v2/trace/{'0' * (32 - len(known))}{known}",
        "/api/v2/spans",
        "/api/v2/remoteServices",
        "/api/v2/autocompleteValues",
        "/api/v2/dependencies",
        "/api/v2/dependencies?endTs=0",
        "/api/v2/dependencies?endTs=abc",
        "/api/v2/dependencies?endTs=1&lookback=0",
        "/api/v2/traces?limit=0",
        "/api/v2/traces?limit=-1",
        "/api/v2/traces?limit=abc",
        "/api/v2/traces?limit=3000000000",
        "/api/v2/traces?endTs=0",
        "/api/v2/traces?lookback=0",
        "/api/v2/traces?minDuration=0",
        "/api/v2/traces?maxDuration=5",
        "/api/v2/traces?minDuration=10&maxDuration=5",
        "/api/v2/traces?minDuration=1.5",
        "/api/v2/traces?minDuration=",
        "/api/v2/traces?limit=",
        "/api/v2/traces?lookback=&serviceName=&endTs=",
        "/api/v2/dependencies?endTs=",
        "/api/v2/trace/0",
        "/api/v2/trace/",
        f"/api/v2/traces?endTs={2**63 - 1}",
        f"/api/v2/traces?endTs=1&lookback={2**63 - 1}",
        "/api/v2/nothing",
    ]


@pytest.mark.parametrize("path", questions())
def test_odd_questions_are_answered_alike(both: Both, path: str) -> None:
    (status, real), (our_status, ours) = both.ask(path)
    if status == 200 and "trace/" in path:
        real, ours = canonical([real]), canonical([ours])
    elif status == 200:
        real, ours = canonical(real), canonical(ours)
    assert (our_status, ours) == (status, real)


def test_headers_are_those_of_the_server(both: Both) -> None:
    for path in ("services", "spans?serviceName=cart", "traces?limit=1", "traces?limit=0", "trace/abc"):
        for sent in ({}, {"Origin": "http://example.org"}):
            seen = []
            for server in (both.real, both.ours):
                url = f"http://127.0.0.1:{server.port}/api/v2/{path}"
                status, headers, _ = fetch(url, headers=sent)
                kind = headers["Content-Type"] if status == 200 else headers["Content-Type"].partition("/")[0]
                seen.append((status, kind, headers["Cache-Control"], headers["Access-Control-Allow-Origin"]))
            assert seen[1] == seen[0]


def test_health_and_what_the_viewer_asks_for(both: Both) -> None:
    (_, real), (_, ours) = both.ask("/health")
    assert ours["status"] == real["status"] == "UP"
    (_, real), (_, ours) = both.ask("/info")
    assert ours["zipkin"].keys() == real["zipkin"].keys()
    assert both.ours.get("/config.json") == both.ours.get("/zipkin/config.json")
    assert both.ours.get("/zipkin/api/v2/services") == both.real.get("/zipkin/api/v2/services")
