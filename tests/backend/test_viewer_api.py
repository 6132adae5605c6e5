"""The viewer's API, asked as the viewer asks it: over a real socket, of a real store."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from query_server import fetch
from viewer_server import CLIENT, MS, START, span, viewer_server

from autotrace.store import jaeger_json
from autotrace.store.reader import Reader
from autotrace.store.records import EventRecord, LinkRecord
from autotrace.store.removal import STEP_SPANS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from viewer_server import ViewerServer

US = START // 1000
TRACE = 0xABC


@pytest.fixture(scope="module")
def shop(tmp_path_factory: Any) -> Iterator[ViewerServer]:
    """A store with one checkout of three services, a failed request, and a slow old one."""
    with viewer_server(tmp_path_factory.mktemp("viewer")) as server:
        server.store(span(1, 1, 0, -60_000, 5000, "batch", "tidy", 1))
        server.store(
            span(
                TRACE,
                1,
                0,
                0,
                100,
                "shop",
                "GET /checkout",
                attributes={"http.route": "/checkout", "n": 2**60},
            ),
            span(TRACE, 2, 1, 10, 60, "shop", "POST", CLIENT, attributes={"server.address": "payments"}),
            span(TRACE, 3, 2, 20, 40, "payments", "POST /charge", error=True, status_message="no <money>"),
            span(TRACE, 4, 1, 75, 20, "shop", "SELECT", CLIENT, attributes={"db.system.name": "postgresql"}),
        )
        server.store(
            span(
                2,
                9,
                0xDEAD,
                500,
                1,
                "payments",
                "GET /health",
                events=(EventRecord("exception", START + 500 * MS, {"exception.type": "Oops"}),),
                links=(LinkRecord(TRACE, 3, 0, "", {"why": "same"}),),
            )
        )
        yield server


def test_names(shop: ViewerServer) -> None:
    assert shop.found("/services") == {
        "services": [
            {"name": "batch", "operations": 1},
            {"name": "payments", "operations": 2},
            {"name": "shop", "operations": 3},
        ]
    }
    assert shop.found("/operations?service=payments") == {
        "operations": [{"name": "GET /health", "kind": "server"}, {"name": "POST /charge", "kind": "server"}]
    }
    assert shop.found("/operations?service=nobody") == {"operations": []}


def test_listing_tells_what_each_service_did(shop: ViewerServer) -> None:
    assert shop.found("/traces?service=shop") == {
        "traces": [
            {
                "id": "0000000000000abc",
                "start": US,
                "duration": 100_000,
                "spans": 4,
                "errors": 1,
                "root": {"service": "shop", "name": "GET /checkout"},
                "services": [
                    {"name": "shop", "spans": 3, "errors": 0, "duration": 60_000},
                    {"name": "payments", "spans": 1, "errors": 1, "duration": 40_000},
                ],
            }
        ],
        "complete": True,
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["2", "abc", "1"]),
        ("limit=2", ["2", "abc"]),
        ("service=payments", ["2", "abc"]),
        ("service=payments&operation=POST /charge", ["abc"]),
        ("errors=true", ["abc"]),
        ("errors=false", ["2", "abc", "1"]),
        ("minDuration=100000", ["abc", "1"]),
        ("minDuration=100001", ["1"]),
        ("service=shop&maxDuration=20000", ["abc"]),
        ("service=shop&maxDuration=19999", []),
        (f"start={US}", ["2", "abc"]),
        (f"end={US}", ["abc", "1"]),
        ("tag=http.route=/checkout", ["abc"]),
        ("tag=http.route=/checkout&tag=db.system.name=postgresql", []),
        ("tag=n=1152921504606846976", ["abc"]),
        ("tag=exception.type=Oops", ["2"]),
        ("tag=why=same&tag=exception.type=Oops&service=payments", ["2"]),
        ("tag=service.name=batch", ["1"]),
        ("tag=http.route=/nowhere", []),
    ],
)
def test_search(shop: ViewerServer, query: str, found: list[str]) -> None:
    answer = shop.found("/traces?" + urllib.parse.quote(query, safe="=&"))
    assert [trace["id"].lstrip("0") for trace in answer["traces"]] == found
    assert answer["complete"] == ("limit=2" not in query)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/traces?limit=0", "limit"),
        ("/traces?limit=-3", "limit"),
        ("/traces?minDuration=1ms", "minDuration"),
        ("/traces?start=9&end=8", "end lies before start"),
        ("/traces?tag=novalue", "key=value"),
        ("/traces?errors=perhaps", "errors"),
        ("/traces/xyz", "hex"),
        ("/traces/" + "a" * 33, "hex"),
        ("/latency", "service is required"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(shop: ViewerServer, path: str, reason: str) -> None:
    status, answer = shop.get(path)
    assert status == 400
    assert reason in answer["error"]


def test_trace(shop: ViewerServer) -> None:
    trace = shop.found("/traces/ABC")
    spans = trace.pop("spans")
    assert trace == {
        "id": "0000000000000abc",
        "start": US,
        "duration": 100_000,
        "errors": 1,
        "services": ["shop", "payments"],
        "resources": [
            {"service": 0, "attributes": [["service.name", "shop"]]},
            {"service": 1, "attributes": [["service.name", "payments"]]},
        ],
        "scopes": [{"name": "autotrace", "version": "1", "attributes": []}],
        "linkedFrom": [
            {
                "trace": "0000000000000002",
                "span": "0000000000000009",
                "name": "GET /health",
                "service": "payments",
            }
        ],
    }
    assert [(each["name"], each["depth"], each["children"]) for each in spans] == [
        ("GET /checkout", 0, 2),
        ("POST", 1, 1),
        ("POST /charge", 2, 0),
        ("SELECT", 1, 0),
    ]
    assert spans[0] == {
        "id": "0000000000000001",
        "parent": "",
        "depth": 0,
        "children": 2,
        "name": "GET /checkout",
        "kind": "server",
        "service": 0,
        "resource": 0,
        "scope": 0,
        "start": 0.0,
        "duration": 100_000.0,
        "self": 20_000.0,
        "status": "unset",
        "message": "",
        "critical": [[0.0, 10_000.0], [70_000.0, 75_000.0], [95_000.0, 100_000.0]],
        "attributes": [["http.route", "/checkout"], ["n", "1152921504606846976"]],
        "events": [],
        "links": [],
        "note": "",
    }
    assert (spans[2]["status"], spans[2]["message"]) == ("error", "no <money>")


def test_trace_whose_parent_is_lost(shop: ViewerServer) -> None:
    (only,) = shop.found("/traces/2")["spans"]
    assert only["parent"] == "000000000000dead"
    assert only["note"] == "its parent 000000000000dead is not here"
    assert only["events"] == [{"time": 0.0, "name": "exception", "attributes": [["exception.type", "Oops"]]}]
    assert only["links"] == [
        {"trace": "0000000000000abc", "span": "0000000000000003", "attributes": [["why", "same"]]}
    ]


def test_trace_that_is_not_here(shop: ViewerServer) -> None:
    for path in ("/traces/77", "/traces/77/text", "/traces/77/otlp"):
        status, answer = shop.get(path)
        assert status == 404
        assert "no such trace" in answer["error"]


def test_map(shop: ViewerServer) -> None:
    answer = shop.found(f"/map?start={US}&end={US + 1_000_000}")
    assert answer["seconds"] == pytest.approx(1, abs=0.001)
    assert answer["services"] == [
        {"name": "payments", "spans": 2, "errors": 1, "traces": 2},
        {"name": "postgresql", "kind": "database", "spans": 1, "errors": 0, "traces": 1},
        {"name": "shop", "spans": 3, "errors": 0, "traces": 1},
    ]
    assert answer["edges"] == [
        {"from": "shop", "to": "payments", "calls": 1, "errors": 1, "p50": 40_000, "p95": 40_000},
        {"from": "shop", "to": "postgresql", "calls": 1, "errors": 0, "p50": 20_000, "p95": 20_000},
    ]
    near = shop.found(f"/map?start={US}&end={US + 1_000_000}&service=payments")
    assert [each["name"] for each in near["services"]] == ["payments", "shop"]


def test_latency(shop: ViewerServer) -> None:
    answer = shop.found(f"/latency?service=shop&start={US}&end={US + 1_000_000}")
    assert (answer["count"], answer["errors"], answer["p50"], answer["max"]) == (3, 0, 60_000, 100_000)
    assert answer["histogram"][0] == {"from": 20_000, "to": 50_000, "count": 1, "errors": 0}
    assert sum(step["count"] for step in answer["series"]) == 3
    one = shop.found(f"/latency?service=shop&operation=SELECT&start={US}&end={US + 1_000_000}")
    assert (one["count"], one["p99"]) == (1, 20_000)


def test_text(shop: ViewerServer) -> None:
    status, headers, body = fetch(f"{shop.url}/api/viewer/traces/abc/text")
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert "GET /checkout" in body.decode()


def test_status(shop: ViewerServer) -> None:
    status = shop.found("/status")
    assert status["store"].pop("bytes") > 0
    assert status["store"] == {
        "path": shop.path,
        "traces": 3,
        "spans": 6,
        "oldest": US - 60_000_000,
        "newest": US + 501_000,
    }


def test_empty_store(tmp_path: Path) -> None:
    """It may be asked before there is anything, and finds what comes later."""
    with viewer_server(tmp_path) as server:
        assert server.found("/services") == {"services": []}
        assert server.found("/traces?tag=a=b") == {"traces": [], "complete": True}
        assert server.found("/map")["services"] == []
        assert server.found("/latency?service=a")["count"] == 0
        assert server.found("/status")["store"]["spans"] == 0
        server.store(span(1, 1, 0, 0, 1))
        assert len(server.found("/traces")["traces"]) == 1


def post(url: str, data: bytes, **headers: str) -> tuple[int, Any]:
    status, _, body = fetch(url, data, {"Content-Type": "application/json", **headers})
    return status, json.loads(body)


def test_what_is_exported_can_be_imported(shop: ViewerServer, tmp_path: Path) -> None:
    """Jaeger's JSON and OTLP JSON come back as the same trace."""
    original = shop.found("/traces/abc")
    with Reader(shop.path) as reader:
        jaeger = json.dumps(jaeger_json.envelope([jaeger_json.trace(reader.trace(TRACE))])).encode()
    otlp = fetch(f"{shop.url}/api/viewer/traces/abc/otlp")[2]
    for name, content in {"jaeger": jaeger, "otlp": otlp}.items():
        (tmp_path / name).mkdir()
        with viewer_server(tmp_path / name) as server:
            assert post(f"{server.url}/api/viewer/import", content) == (
                200,
                {"traces": ["0000000000000abc"], "spans": 4},
            )
            assert server.found("/traces/abc") == {**original, "linkedFrom": []}


def test_import_of_what_is_here_adds_nothing(shop: ViewerServer, tmp_path: Path) -> None:
    """Also when the times were rounded to microseconds on the way; what is missing is added."""
    with Reader(shop.path) as reader:
        spans = [each._replace(start=each.start + 123) for each in reader.trace(TRACE)]
    file = json.dumps(jaeger_json.envelope([jaeger_json.trace(spans)])).encode()
    with viewer_server(tmp_path) as server:
        server.store(*spans[:3])
        url = f"{server.url}/api/viewer/import"
        for new in (1, 0):
            assert post(url, file) == (200, {"traces": ["0000000000000abc"], "spans": new})
            assert len(server.found("/traces/abc")["spans"]) == 4


def test_import_from_zipkin(tmp_path: Path) -> None:
    one = {
        "traceId": "00000000000000ab",
        "id": "0000000000000001",
        "name": "get",
        "timestamp": US,
        "duration": 5,
    }
    with viewer_server(tmp_path) as server:
        url = f"{server.url}/api/viewer/import"
        assert post(url, json.dumps([one]).encode())[1]["traces"] == ["00000000000000ab"]
        two = {**one, "traceId": "00000000000000ac"}
        assert post(url, json.dumps([[one], [two]]).encode())[1] == {
            "traces": ["00000000000000ab", "00000000000000ac"],
            "spans": 1,  # the first is here already
        }


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"data": 5}', b'{"data": [{"spans": [{"spanID": 1}]}]}', b"[[]]", b"3"],
)
def test_import_of_something_else_is_refused(shop: ViewerServer, content: bytes) -> None:
    status, answer = post(f"{shop.url}/api/viewer/import", content)
    assert status == 400
    assert answer["error"]


def test_another_site_cannot_import(shop: ViewerServer) -> None:
    status, _ = post(f"{shop.url}/api/viewer/import", b"[]", Origin="http://evil.example")
    assert status == 403


def delete(server: ViewerServer, path: str, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(f"{server.url}/api/viewer{path}", headers=headers, method="DELETE")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def listed(server: ViewerServer) -> list[str]:
    return sorted(trace["id"].lstrip("0") for trace in server.found("/traces")["traces"])


def test_delete_one(tmp_path: Path) -> None:
    with viewer_server(tmp_path) as server:
        server.store(span(1, 1, 0, 0, 1), span(2, 1, 0, 0, 1), span(3, 1, 0, 0, 1, "other"))
        assert delete(server, "/traces/2") == (200, {"removed": 1})
        assert listed(server) == ["1", "3"]
        assert delete(server, "/traces/2")[0] == 404
        assert delete(server, "/traces/no")[0] == 400
        server.store(span(2, 2, 0, 0, 1))  # goes on, and is a new one
        assert len(server.found("/traces/2")["spans"]) == 1


def test_delete_all(tmp_path: Path) -> None:
    """Also a trace that is too large for one step; the names go with the spans."""
    with viewer_server(tmp_path) as server:
        assert delete(server, "/traces") == (200, {"removed": 0})
        assert not Path(server.path).exists()
        server.store(*(span(1, number, 0, 0, 1) for number in range(1, 2 * STEP_SPANS)))
        server.store(*(span(trace, 1, 0, 0, 1, f"service {trace}") for trace in range(2, 500)))
        assert delete(server, "/traces") == (200, {"removed": 499})
        assert listed(server) == []
        assert server.found("/services") == {"services": []}
        assert server.found("/status")["store"]["spans"] == 0
        server.store(span(7, 1, 0, 0, 1))
        assert listed(server) == ["7"]


def test_delete_while_programs_write(tmp_path: Path) -> None:
    """Nothing of theirs is refused, and what comes later stays."""
    with viewer_server(tmp_path) as server:
        server.store(*(span(trace, 1, 0, 0, 1) for trace in range(1, 5000)))
        writers = [
            threading.Thread(
                target=lambda first=first: [server.store(span(first + n, 1, 0, 0, 1)) for n in range(50)]
            )
            for first in (10_000, 20_000)
        ]
        for writer in writers:
            writer.start()
        status, answer = delete(server, "/traces")
        for writer in writers:
            writer.join()
        assert status == 200
        assert server.found("/status")["store"]["traces"] == 4999 + 100 - answer["removed"]


def test_another_site_cannot_delete(shop: ViewerServer) -> None:
    for path in ("/traces", "/traces/abc"):
        assert delete(shop, path, Origin="http://evil.example")[0] == 403
    assert shop.get("/traces/abc")[0] == 200


def test_delete_of_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "traces.db").write_bytes(b"not a database" * 1000)
    with viewer_server(tmp_path) as server:
        assert delete(server, "/traces") == (503, {"error": "store is corrupt"})


def test_live(shop: ViewerServer, tmp_path: Path) -> None:
    with viewer_server(tmp_path) as server:
        server.store(span(1, 1, 0, 0, 1))
        with urllib.request.urlopen(f"{server.url}/api/viewer/live?service=shop", timeout=30) as stream:
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            assert event(stream) == ("hello", {})
            server.store(span(2, 1, 0, 0, 1), span(3, 1, 0, 0, 1, "other"))
            name, data = event(stream)
            assert name == "traces"
            assert [trace["id"] for trace in data["traces"]] == ["0000000000000002"]
            server.store(span(2, 2, 1, 0, 1, "other"))  # does not match itself, but changes what was told
            assert [trace["spans"] for trace in event(stream)[1]["traces"]] == [2]


def event(stream: Any) -> tuple[str, Any]:
    lines = []
    while (line := stream.readline().strip()) or not lines:
        if line and not line.startswith(b":"):
            lines.append(line.decode())
    return lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))
