"""Searching and writing a store of 200,000 spans. The bounds are generous; the printed figures are not."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from spans import START
from stores import record, soon, writer

from autotrace.store.reader import Reader
from autotrace.store.search import Query
from autotrace.tracing.resource import Resource

if TYPE_CHECKING:
    from pathlib import Path

SPANS, BATCH, PER_TRACE = 200_000, 500, 10
SERVICES = [Resource({"service.name": f"service-{number}"}) for number in range(5)]
MS = 1_000_000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_search_in_a_large_store(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    one = writer(path)
    dice = random.Random(1)
    spent = 0.0
    for first in range(0, SPANS, BATCH):
        batch = [
            record(
                trace_id=number // PER_TRACE + 1,
                span_id=number + 1,
                parent_id=0 if number % PER_TRACE == 0 else number,
                name=f"GET /resource-{number % 40}/{{id}}",
                kind=SpanKind.SERVER,
                start_time=START + number * MS,
                end_time=START + number * MS + int(dice.expovariate(1 / 20)) * MS,
                resource=SERVICES[number % len(SERVICES)],
                status_code=StatusCode.ERROR if number % 997 == 0 else StatusCode.UNSET,
                attributes={
                    "http.request.method": "GET",
                    "url.path": f"/resource-{number % 40}/{number}",
                    "url.scheme": "http",
                    "server.address": "localhost",
                    "server.port": 8080,
                    "http.response.status_code": 200,
                    "user_agent.original": "python-requests/2.32",
                },
            )
            for number in range(first, first + BATCH)
        ]
        begin = time.perf_counter()
        assert one.write(batch, soon()) == 0
        spent += time.perf_counter() - begin
    one.close()
    print(f"\nwrite: {spent / SPANS * 1e6:.1f} us per span, {path.stat().st_size / SPANS:.0f} bytes per span")
    assert spent < SPANS / 5000

    queries = {
        "latest": Query(),
        "service": Query(service="service-1"),
        "operation": Query(service="service-1", operation="GET /resource-1/{id}"),
        "errors of a service": Query(service="service-1", errors_only=True),
        "errors": Query(errors_only=True),
        "slow": Query(service="service-1", min_duration=150 * MS),
        "no span so slow": Query(service="service-1", min_duration=10**12),
        "no span anywhere so slow": Query(min_duration=10**12),
        "an old hour": Query(service="service-1", end=START + 1000 * MS),
        "no such operation": Query(operation="nothing"),
    }
    with Reader(str(path)) as reader:
        for name, query in queries.items():
            begin = time.perf_counter()
            found = reader.search(query)
            taken = time.perf_counter() - begin
            print(f"{name:>26}: {len(found):3} found in {taken * 1e3:6.1f} ms")
            assert taken < 1, name
            assert bool(found) != name.startswith("no"), name
