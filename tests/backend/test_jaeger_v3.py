"""Jaeger's newer query API, /api/v3, which answers in OTLP JSON."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from query_server import QueryServer, fetch, query_server
from test_jaeger_query import CART, NOW, SPANS, TRACE

from autotrace.backend.query.go_values import parse_time
from autotrace.decoding import otlp_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotrace.store.records import SpanRecord

HOUR = 3600 * 10**9


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryServer]:
    with query_server(tmp_path_factory.mktemp("store")) as server:
        assert server.get("/api/v3/services") == (200, {"services": []})
        server.store(SPANS)
        yield server


def at(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 10**9, timezone.utc).isoformat()


def spans_of(answer: Any) -> list[SpanRecord]:
    """As a collector would read them, whatever they are grouped by."""
    assert set(answer) == {"result"}
    return otlp_json.decode(json.dumps(answer["result"]).encode()).spans


def refused(status: int, text: str) -> tuple[int, Any]:
    return status, {"error": {"httpCode": status, "message": text}}


def test_names(jaeger: QueryServer) -> None:
    assert jaeger.get("/api/v3/services") == (200, {"services": ["cart/v 2%", "shop"]})
    both = [{"name": "query", "spanKind": "client"}, {"name": "serve", "spanKind": "server"}]
    of_cart = "/api/v3/operations?" + urlencode({"service": CART.attributes["service.name"]})
    assert jaeger.get(of_cart) == (200, {"operations": both})
    for name in ("spanKind", "span_kind"):
        assert jaeger.get(f"{of_cart}&{name}=server") == (200, {"operations": both[1:]})
    assert jaeger.get("/api/v3/operations") == (200, {"operations": []})


def test_a_trace_comes_as_its_services_would_have_sent_it(jaeger: QueryServer) -> None:
    status, answer = jaeger.get(f"/api/v3/traces/{TRACE:x}?startTime={at(NOW)[:19]}Z&rawTraces=true")
    assert status == 200
    sent = {(each.resource.service, each.name): each for each in SPANS if each.trace_id == TRACE}
    found = {(each.resource.service, each.name): each for each in spans_of(answer)}
    assert found.keys() == sent.keys()
    for key, record in found.items():
        same = (
            "span_id",
            "parent_id",
            "kind",
            "start",
            "duration",
            "status",
            "attributes",
            "events",
            "links",
        )
        assert [getattr(record, name) for name in same] == [getattr(sent[key], name) for name in same]


def test_ids_that_are_unknown_or_none(jaeger: QueryServer) -> None:
    assert jaeger.get("/api/v3/traces/abc") == refused(404, "No traces found")
    assert jaeger.get("/api/v3/traces/xyz") == refused(
        400, 'malformed parameter trace_id: strconv.ParseUint: parsing "xyz": invalid syntax'
    )
    status, headers, _ = fetch(jaeger.url + "/api/v3/traces/abc")
    assert (status, headers["Content-Type"]) == (404, "text/plain; charset=utf-8")


NO_TIME = 'parsing time "yesterday" as "2006-01-02T15:04:05.999999999Z07:00": invalid'
RANGE = {"query.startTimeMin": at(NOW - HOUR), "query.startTimeMax": at(NOW + HOUR)}
OLDER = {"query.start_time_min": at(NOW - HOUR), "query.start_time_max": at(NOW + HOUR)}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, {TRACE, 0xB}),
        ({"query.serviceName": "shop"}, {TRACE, 0xB}),
        ({"query.serviceName": "cart/v 2%"}, {TRACE}),
        ({"query.serviceName": "shop", "query.operationName": "late"}, {0xB}),
        ({"query.serviceName": "shop", "query.durationMin": "15ms"}, {TRACE}),
        ({"query.durationMin": "1ms", "query.durationMax": "2ms", "query.operationName": "late"}, {0xB}),
        ({"query.attributes": '{"http.route": "/x:y"}'}, {TRACE}),
        ({"query.serviceName": "shop", "query.searchDepth": "1"}, {TRACE}),
        ({"query.serviceName": "shop", "query.num_traces": "1"}, {TRACE}),
        ({"query.serviceName": "shop", "query.search_depth": "1"}, {TRACE}),
    ],
)
@pytest.mark.parametrize("names", [RANGE, OLDER], ids=["Jaeger 2", "older"])
def test_searches(jaeger: QueryServer, names: dict[str, str], asked: dict[str, str], found: set[int]) -> None:
    status, answer = jaeger.get("/api/v3/traces?" + urlencode({**names, **asked}))
    assert (status, {each.trace_id for each in spans_of(answer)}) == (200, found)


def test_older_names(jaeger: QueryServer) -> None:
    asked = {
        **OLDER,
        "query.service_name": "shop",
        "query.operation_name": "late",
        "query.duration_min": "1ms",
    }
    status, answer = jaeger.get("/api/v3/traces?" + urlencode(asked))
    assert (status, [each.name for each in spans_of(answer)]) == (200, ["late"])


@pytest.mark.parametrize(
    ("asked", "status", "text"),
    [
        ({"query.startTimeMax": ""}, 400, "query.startTimeMin and query.startTimeMax are required"),
        ({"query.serviceName": "nobody"}, 404, "No traces found"),
        (
            {"query.durationMin": "5"},
            400,
            'malformed parameter query.durationMin: time: missing unit in duration "5"',
        ),
        (
            {"query.num_traces": "many"},
            400,
            'malformed parameter query.num_traces: strconv.ParseInt: parsing "many": invalid syntax',
        ),
        (
            {"query.attributes": '{"a": 1}'},
            400,
            "malformed parameter query.attributes: expecting an object of strings",
        ),
        (
            {"query.startTimeMin": "yesterday"},
            400,
            f"malformed parameter query.startTimeMin: {NO_TIME}",
        ),
    ],
)
def test_refusals(jaeger: QueryServer, asked: dict[str, str], status: int, text: str) -> None:
    assert jaeger.get("/api/v3/traces?" + urlencode({**RANGE, **asked})) == refused(status, text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.000000001Z", 10**9 + 1),
        ("1970-01-01T01:00:00.5+01:00", 5 * 10**8),
        ("1969-12-31T23:59:59.75Z", -25 * 10**7),
        ("9999-12-31T23:59:59Z", 2**63 - 1),
    ],
)
def test_times_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds


def test_whatever_else_is_asked_there_is_no_page(jaeger: QueryServer) -> None:
    assert jaeger.get("/api/v3/nothing") == (404, b"404 page not found\n")
