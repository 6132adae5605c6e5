"""Traces as Zipkin senders make them: joined spans, lost parents, ids of both lengths, what is optional."""

from __future__ import annotations

import random
from typing import Any

SERVICES = ("Frontend", "cart", "Billing", "stock", "mail")
REMOTE = ("postgres", "Redis", "kafka", "cart", "mail")
NAMES = ("GET /Cart", "get", "POST /pay", "query", "send", "")
KINDS = ("CLIENT", "SERVER", "PRODUCER", "CONSUMER", None)
ANNOTATIONS = ("cache.miss", "retry", "a|b|c", "Grüße", "http.path")


def traces(seed: int, count: int, end: int) -> list[list[dict[str, Any]]]:
    """Random traces, one a second back from `end`, in microseconds since the epoch."""
    chance = random.Random(seed)
    return [_trace(chance, end - number * 1_000_000 - chance.randrange(400_000)) for number in range(count)]


def _trace(chance: random.Random, start: int) -> list[dict[str, Any]]:
    digits = chance.choice((16, 32))
    trace_id = f"{chance.getrandbits(4 * digits) | 1 << (4 * digits - 1):0{digits}x}"
    spans: list[dict[str, Any]] = []
    for number in range(chance.randrange(1, 9)):
        parent = chance.choice(spans) if spans and chance.random() < 0.95 else None
        span = _span(chance, trace_id, start + number * 1000)
        if parent is not None:
            span["parentId"] = parent["id"]
        elif number and chance.random() < 0.5:
            span["parentId"] = f"{chance.getrandbits(64):016x}"
        spans.append(span)
        if span.get("kind") == "CLIENT" and chance.random() < 0.5:
            server = _span(chance, trace_id, start + number * 1000 + 200)
            server.update(id=span["id"], kind="SERVER", shared=True)
            if "parentId" in span:
                server["parentId"] = span["parentId"]
            spans.append(server)
    return spans


def _span(chance: random.Random, trace_id: str, start: int) -> dict[str, Any]:
    span: dict[str, Any] = {
        "traceId": trace_id,
        "id": f"{chance.getrandbits(63) + 1:016x}",
        "name": chance.choice(NAMES),
        "timestamp": start,
        "localEndpoint": {"serviceName": chance.choice(SERVICES)},
    }
    kind = chance.choice(KINDS)
    if kind:
        span["kind"] = kind
    if chance.random() < 0.9:
        span["duration"] = chance.choice((1, 500, 20_000, 300_000, 2_000_000))
    if chance.random() < 0.3:
        span["localEndpoint"].update(ipv4="10.0.0.7", port=8080)
    if chance.random() < 0.5:
        span["remoteEndpoint"] = chance.choice(
            (
                {"serviceName": chance.choice(REMOTE)},
                {"serviceName": chance.choice(REMOTE), "ipv4": "10.1.2.3", "port": 5432},
                {"ipv6": "2001:db8::1"},
                {"serviceName": chance.choice(REMOTE), "ipv4": "10.1.2.3", "ipv6": "2001:db8::1"},
            )
        )
    if chance.random() < 0.4:
        span["annotations"] = [
            {"timestamp": start + offset, "value": chance.choice(ANNOTATIONS)}
            for offset in chance.sample(range(1000), chance.randrange(1, 4))
        ]
    if chance.random() < 0.7:
        span["tags"] = {
            chance.choice(("http.path", "http.method", "Env", "empty")): chance.choice(
                ("/a", "GET", "prod", "")
            )
            for _ in range(3)
        }
    if chance.random() < 0.2:
        span.setdefault("tags", {})["error"] = chance.choice(("", "true", "timeout"))
    if chance.random() < 0.1:
        span["debug"] = True
    return span
