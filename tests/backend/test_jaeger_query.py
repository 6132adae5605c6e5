"""Jaeger's query API, row by row of its documentation, as scripts written for Jaeger use it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from query_server import QueryServer, fetch, query_server

from autotrace.backend.query import jaeger_search
from autotrace.store.records import (
    FLAG_SAMPLED,
    FLAG_SHARED,
    KIND_CLIENT,
    KIND_SERVER,
    STATUS_ERROR,
    STATUS_OK,
    STATUS_UNSET,
    EventRecord,
    LinkRecord,
    ResourceRecord,
    ScopeRecord,
    SpanRecord,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = int(time.time()) * 1_000_000_000 - 3600 * 10**9
TRACE = 0xFF00AA11BB22CC330123456789ABCDEF
SHOP = ResourceRecord({"service.name": "shop", "host.name": "h"})
CART = ResourceRecord({"service.name": "cart/v 2%"})
SCOPE = ScopeRecord("lib", "1.0", {"scope.key": "s"})


def span(
    span_id: int, parent_id: int = 0, trace_id: int = TRACE, start: int = NOW, **fields: Any
) -> SpanRecord:
    return SpanRecord(
        trace_id,
        span_id,
        parent_id,
        "GET /a",
        KIND_SERVER,
        start,
        1_500_000,
        STATUS_UNSET,
        "",
        FLAG_SAMPLED,
        "",
        {},
        (),
        (),
        0,
        0,
        0,
        SHOP,
        SCOPE,
    )._replace(**fields)


SPANS = [
    span(
        0xA1,
        attributes={
            "n": -1,
            "big": 2**53,
            "r": 0.5,
            "b": b"\x00",
            "list": ("a", 1),
            "ip": 0x0A000001,
            "ok": True,
        },
        events=(EventRecord("late", NOW + 9000, {}), EventRecord("cache.miss", NOW + 5000, {"key": "k1"})),
        links=(LinkRecord(0xAB, 0xCD, 0, "", {"why": "batch"}), LinkRecord(0, 0, 0, "", {})),
        status=STATUS_ERROR,
        status_message="no",
    ),
    span(0xA2, 0xA1, name="call", kind=KIND_CLIENT, duration=20_000_000, attributes={"http.route": "/x:y"}),
    span(0xA2, 0xA1, name="serve", flags=FLAG_SAMPLED | FLAG_SHARED, resource=CART, status=STATUS_OK),
    span(0xA3, 0xA2, name="query", kind=KIND_CLIENT, resource=CART),
    span(0xB1, 0xBAD, trace_id=0xB, start=NOW - 10**9, name="late"),
    span(0xC1, trace_id=0xC, start=NOW - 100 * 3600 * 10**9, name="old"),
]


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryServer]:
    with query_server(tmp_path_factory.mktemp("store")) as server:
        for path in ("services", "operations?service=a", "traces?service=a", "dependencies"):
            assert server.get(f"/api/{path}") == (200, data([])), "no store yet"
        server.store([*SPANS, SPANS[0]])
        yield server


def data(data: Any, total: int = 0, errors: Any = None) -> dict[str, Any]:
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}


def refused(status: int, text: str) -> tuple[int, dict[str, Any]]:
    return status, data(None, errors=[{"code": status, "msg": text}])


def test_names(jaeger: QueryServer) -> None:
    assert jaeger.get("/api/services") == (200, data(["cart/v 2%", "shop"], 2))
    for quoted in ("cart%2Fv%202%25", "cart%252Fv%25202%2525"):
        assert jaeger.get(f"/api/services/{quoted}/operations") == (200, data(["query", "serve"], 2))
    assert jaeger.get("/api/services/nobody/operations") == (200, data([]))
    both = [{"name": "query", "spanKind": "client"}, {"name": "serve", "spanKind": "server"}]
    assert jaeger.get("/api/operations?service=cart/v%202%25") == (200, data(both, 2))
    assert jaeger.get("/api/operations?service=cart/v%202%25&spanKind=client") == (200, data(both[:1], 1))
    assert jaeger.get("/api/operations") == refused(400, "parameter 'service' is required")


def test_a_trace_in_full(jaeger: QueryServer) -> None:
    status, answer = jaeger.get("/api/traces/ff00aa11bb22cc330123456789abcdef")
    assert (status, answer["total"], answer["errors"]) == (200, 0, None)
    (trace,) = answer["data"]
    trace_id = "ff00aa11bb22cc330123456789abcdef"
    first = trace["spans"][0]
    assert first == {
        "traceID": trace_id,
        "spanID": "00000000000000a1",
        "flags": 1,
        "operationName": "GET /a",
        "references": [
            {"refType": "FOLLOWS_FROM", "traceID": "00000000000000ab", "spanID": "00000000000000cd"}
        ],
        "startTime": NOW // 1000,
        "duration": 1500,
        "tags": [
            {"key": "b", "type": "binary", "value": "AA=="},
            {"key": "big", "type": "int64", "value": "9007199254740992"},
            {"key": "error", "type": "bool", "value": True},
            {"key": "ip", "type": "string", "value": "10.0.0.1"},
            {"key": "list", "type": "string", "value": '["a",1]'},
            {"key": "n", "type": "int64", "value": -1},
            {"key": "ok", "type": "bool", "value": True},
            {"key": "otel.scope.name", "type": "string", "value": "lib"},
            {"key": "otel.scope.version", "type": "string", "value": "1.0"},
            {"key": "otel.status_code", "type": "string", "value": "ERROR"},
            {"key": "otel.status_description", "type": "string", "value": "no"},
            {"key": "r", "type": "float64", "value": 0.5},
            {"key": "span.kind", "type": "string", "value": "server"},
        ],
        "logs": [
            {
                "timestamp": NOW // 1000 + 5,
                "fields": [
                    {"key": "event", "type": "string", "value": "cache.miss"},
                    {"key": "key", "type": "string", "value": "k1"},
                ],
            },
            {"timestamp": NOW // 1000 + 9, "fields": [{"key": "event", "type": "string", "value": "late"}]},
        ],
        "processID": "p1",
        "warnings": None,
    }
    assert trace["processes"] == {
        "p1": {"serviceName": "shop", "tags": [{"key": "host.name", "type": "string", "value": "h"}]},
        "p2": {"serviceName": "cart/v 2%", "tags": []},
    }
    parents = {each["operationName"]: (each["spanID"], each["references"]) for each in trace["spans"][1:]}

    def child_of(parent: str) -> list[dict[str, str]]:
        return [{"refType": "CHILD_OF", "traceID": trace_id, "spanID": parent}]

    assert parents == {
        "call": ("00000000000000a2", child_of("00000000000000a1")),
        "serve": ("0000000000000001", child_of("00000000000000a2")),
        "query": ("00000000000000a3", child_of("0000000000000001")),
    }


def test_a_raw_trace_is_as_it_was_stored(jaeger: QueryServer) -> None:
    (trace,) = jaeger.get(f"/api/traces/{TRACE:032x}?raw=true")[1]["data"]
    assert len(trace["spans"]) == len(SPANS) - 1
    assert [tag["key"] for tag in trace["spans"][0]["tags"]][:3] == ["n", "big", "r"]
    assert len(trace["spans"][0]["references"]) == 2


def test_a_span_without_its_parent_is_there_with_a_warning(jaeger: QueryServer) -> None:
    (trace,) = jaeger.get("/api/traces/b")[1]["data"]
    assert trace["traceID"] == "000000000000000b"
    (late,) = trace["spans"]
    assert late["references"][0]["spanID"] == "0000000000000bad"
    assert late["warnings"] == ["invalid parent span IDs=0000000000000bad; skipping clock skew adjustment"]


def test_ids_that_are_unknown_or_none(jaeger: QueryServer) -> None:
    assert jaeger.get("/api/traces/123") == refused(404, "trace not found")
    assert jaeger.get("/api/traces/xyz") == refused(400, 'strconv.ParseUint: parsing "xyz": invalid syntax')
    long = "1" * 33
    assert jaeger.get(f"/api/traces/{long}") == refused(
        400, f"TraceID cannot be longer than 32 hex characters: {long}"
    )
    status, answer = jaeger.get("/api/traces?traceID=b&traceID=0B&traceID=99")
    assert status == 200
    assert [trace["traceID"] for trace in answer["data"]] == ["000000000000000b"]
    assert answer["errors"] == [{"msg": "trace not found", "traceID": "0000000000000099"}]


FOUND: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [TRACE, 0xB]),
    ({"operation": "late"}, [0xB]),
    ({"operation": "nothing"}, []),
    ({"start": 0}, [TRACE, 0xB, 0xC]),
    ({"start": 0, "limit": 1}, [TRACE]),
    ({"start": 0, "end": (NOW - 10**9) // 1000}, [0xB, 0xC]),
    ({"minDuration": "1.6ms"}, [TRACE]),
    ({"maxDuration": "1500us", "minDuration": ""}, [TRACE, 0xB]),
    ({"minDuration": "1m2s"}, []),
    ({"tag": "http.route:/x:y"}, [TRACE]),
    ({"tags": '{"http.route":"/x:y"}'}, [TRACE]),
    ({"tags": '{"http.route":"/x:y","n":"-1"}'}, []),
    ({"tags": '{"n":"-1","r":"0.5"}', "tag": 'list:["a",1]'}, [TRACE]),
    ({"tag": "host.name:h"}, [TRACE, 0xB]),
    ({"tag": "resource.host.name:h"}, [TRACE, 0xB]),
    ({"tag": "resource.n:-1"}, []),
    ({"tag": "scope.key:s"}, [TRACE, 0xB]),
    ({"tag": "scope.name:lib"}, [TRACE, 0xB]),
    ({"tag": "scope.version:2"}, []),
    ({"tag": "key:k1"}, [TRACE]),
    ({"tag": "why:batch"}, [TRACE]),
    ({"tag": "error:true"}, [TRACE]),
    ({"tag": "error:false"}, []),
    ({"tag": "error:false", "service": "cart/v 2%"}, [TRACE]),
    ({"tag": "span.kind:client"}, [TRACE]),
    ({"tag": "span.kind:server", "operation": "call"}, []),
    ({"tag": "span.status:UNSET"}, [TRACE, 0xB]),
    ({"lookback": "1h", "maxDuration": ""}, [TRACE, 0xB]),
]


@pytest.mark.parametrize(("asked", "found"), FOUND)
def test_searches(jaeger: QueryServer, asked: dict[str, Any], found: list[int]) -> None:
    status, answer = jaeger.get(f"/api/traces?{urlencode({'service': 'shop', **asked})}")
    assert (status, answer["total"], answer["errors"]) == (200, 0, None)
    assert [int(trace["traceID"], 16) for trace in answer["data"]] == found


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("", "parameter 'service' is required"),
        (
            "start=abc&service=a",
            "unable to parse param 'start': strconv.ParseInt: parsing \"abc\": invalid syntax",
        ),
        (
            "limit=x&service=a",
            "unable to parse param 'limit': strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        (
            "limit=3000000000&service=a",
            "unable to parse param 'limit': strconv.ParseInt: parsing \"3000000000\": value out of range",
        ),
        ("limit=0&service=a", "search depth must be greater than 0 and less than max traces"),
        (
            "minDuration=5&service=a",
            "unable to parse param 'minDuration': time: missing unit in duration \"5\"",
        ),
        (
            "maxDuration=1d&service=a",
            "unable to parse param 'maxDuration': time: invalid duration \"1d\"",
        ),
        ("minDuration=2s&maxDuration=1s&service=a", "'maxDuration' should be greater than 'minDuration'"),
        ("tag=abc&service=a", "malformed 'tag' parameter, expecting key:value, received: abc"),
        (
            "tags=abc&service=a",
            "malformed 'tags' parameter, cannot unmarshal JSON: expecting an object of strings",
        ),
        ("raw=x&service=a", "unable to parse param 'raw': strconv.ParseBool: parsing \"x\": invalid syntax"),
        ("traceID=x", 'cannot parse traceID param: strconv.ParseUint: parsing "x": invalid syntax'),
    ],
)
def test_refusals(jaeger: QueryServer, asked: str, text: str) -> None:
    assert jaeger.get(f"/api/traces?{asked}") == refused(400, text)


def test_dependencies(jaeger: QueryServer) -> None:
    def calls(asked: str = "") -> list[tuple[str, str, int]]:
        status, answer = jaeger.get(f"/api/dependencies{asked}")
        assert (status, answer["total"]) == (200, 0)
        return sorted((link["parent"], link["child"], link["callCount"]) for link in answer["data"])

    within = [("cart/v 2%", "cart/v 2%", 1), ("shop", "cart/v 2%", 1), ("shop", "shop", 1)]
    assert calls() == calls(f"?endTs={NOW // 10**6 + 60_000}&lookback=120000") == within
    assert calls("?service=shop") == [("shop", "cart/v 2%", 1), ("shop", "shop", 1)]
    assert calls(f"?endTs={NOW // 10**6 - 1}") == []
    assert calls(f"?endTs={-(2**63)}&lookback={2**63 - 1}") == []
    assert calls(f"?endTs={2**63 - 1}&lookback={2**63 - 1}") == within
    text = "unable to parse param 'endTs': strconv.ParseInt: parsing \"x\": invalid syntax"
    assert jaeger.get("/api/dependencies?endTs=x") == refused(400, text)


def test_transform_shows_otlp_without_keeping_it(jaeger: QueryServer) -> None:
    sent = {
        "traceId": f"{0xE:032x}",
        "spanId": "00000000000000e1",
        "name": "otlp",
        "startTimeUnixNano": str(NOW),
        "endTimeUnixNano": str(NOW + 1_000_000),
    }
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [sent]}]}]}).encode()
    status, _, answer = fetch(f"{jaeger.url}/api/transform", body)
    (trace,) = json.loads(answer)["data"]
    assert (status, trace["spans"][0]["operationName"], trace["spans"][0]["duration"]) == (200, "otlp", 1000)
    status, _, answer = fetch(f"{jaeger.url}/api/transform", b"{")
    assert status == 400
    assert json.loads(answer)["errors"][0]["msg"].startswith("cannot unmarshal OTLP : ")
    assert jaeger.get("/api/traces/e")[0] == 404


def test_archive_metrics_and_what_does_not_exist(jaeger: QueryServer) -> None:
    for trace_id, expected in (("b", (200, data([]))), ("99", refused(404, "trace not found"))):
        status, _, body = fetch(f"{jaeger.url}/api/archive/{trace_id}", b"")
        assert (status, json.loads(body)) == expected
    assert jaeger.get("/api/metrics/calls")[0] == 501
    assert jaeger.get("/api/sampling?service=a") == (404, b"404 page not found\n")


def test_how_an_answer_is_written(jaeger: QueryServer) -> None:
    status, headers, body = fetch(f"{jaeger.url}/api/services?prettyPrint=true")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert body == json.dumps(json.loads(body), indent=4).encode()
    for off in ("", "?prettyPrint=false", "?prettyPrint="):
        assert b"\n" not in fetch(f"{jaeger.url}/api/services{off}")[2]
    status, headers, body = fetch(f"{jaeger.url}/api/traces")
    assert (status, headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert body.endswith(b"}\n")


def test_an_answer_is_bounded_and_says_so(jaeger: QueryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaeger_search, "_MAX_SPANS", 3)
    status, answer = jaeger.get("/api/traces?service=shop")
    assert (status, len(answer["data"])) == (200, 1)
    assert answer["errors"] == [{"msg": jaeger_search.TOO_MANY_SPANS}]
    assert len(jaeger.get("/api/traces?service=shop&limit=1")[1]["data"]) == 1
