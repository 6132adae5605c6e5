"""How fast `autotrace ui` finds traces among a million spans while more come in: `make bench-search`.

The spans are of the last hour, ten to a trace; a process posts 2,000 more a second over OTLP. Every kind of
search is asked over HTTP with changing values, first while the index is being built (unless the
machine is faster), then when it is complete.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import random
import sqlite3
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bench.ingest import BATCH, COMMAND, OFF, memory, stored, template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RATE = 2000
SERVICES = ("gateway", "shop", "stock", "payments", "mail")
HOUR = 3600 * 10**6
US = 1_000_000


def fill(database: Path, count: int) -> None:
    """Write `count` spans of the last hour, ten to a trace."""
    from autotrace.store import records
    from autotrace.store.writer import Writer

    chance = random.Random(1)
    hosts = {
        service: [
            records.ResourceRecord(
                {
                    "service.name": service,
                    "host.name": f"{service}-{number}",
                    "telemetry.sdk.language": "python",
                }
            )
            for number in range(4)
        ]
        for service in SERVICES
    }
    scope = records.ScopeRecord("autotrace", "1", {})
    writer = Writer(str(database), 2**34, 10 * 86400.0)
    begin = time.time_ns() - HOUR * 1000
    batch: list[records.SpanRecord] = []
    for number in range(count):
        if number % 10 == 0:
            trace, parents = chance.getrandbits(127) | 1 << 127, [0]
        failed = chance.random() < 0.01
        exception = {"exception.type": "ValueError", "exception.message": f"bad {chance.randrange(1000)}"}
        start = begin + number * (HOUR * 1000 // count)
        batch.append(
            records.SpanRecord(
                trace,
                chance.getrandbits(63) | 1,
                chance.choice(parents),
                f"operation {chance.randrange(8)}",
                records.KIND_SERVER if number % 2 else records.KIND_CLIENT,
                start,
                int(10 ** chance.uniform(5, 9)),
                records.STATUS_ERROR if failed else records.STATUS_UNSET,
                "",
                1,
                "",
                {
                    "http.request.method": chance.choice(["GET", "POST"]),
                    "http.route": f"/route/{chance.randrange(40)}",
                    "url.path": f"/item/{chance.randrange(100_000)}",
                    "http.response.status_code": 500 if failed else 200,
                    "server.address": "localhost",
                    "server.port": 8080,
                    "user.id": f"user-{chance.randrange(10**9)}",
                    "client.address": f"10.0.{chance.randrange(256)}.{chance.randrange(256)}",
                },
                (records.EventRecord("exception", start, exception),) if failed else (),
                (),
                0,
                0,
                0,
                chance.choice(hosts[chance.choice(SERVICES)]),
                scope,
            )
        )
        parents.append(batch[-1].span_id)
        if len(batch) == 5000 or number == count - 1:
            writer.write(batch, time.monotonic() + 60)
            batch = []
    writer.close()


def post(port: int) -> None:
    """Send `RATE` spans a second until the end."""
    batch = template(1)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    begin = time.monotonic()
    for number in range(10**9):
        body = batch.renew()
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        connection.getresponse().read()
        time.sleep(max(0.0, begin + (number + 1) * BATCH / RATE - time.monotonic()))


def kinds(chance: random.Random) -> dict[str, Callable[[], str]]:
    """What is asked, by its name in the table."""
    pick = chance.randrange

    def search(**fields: object) -> str:
        return "/api/viewer/traces?" + urlencode(fields, doseq=True)

    def at() -> dict[str, int]:
        start = int(time.time() * US) - pick(HOUR)
        return {"start": start, "end": start + 60 * US}

    def route() -> str:
        return f"http.route=/route/{pick(40)}"

    nothing = {"minDuration": 900_000, "maxDuration": 900_000}
    return {
        "latest": search,
        "service": lambda: search(service=chance.choice(SERVICES)),
        "operation": lambda: search(operation=f"operation {pick(8)}"),
        "errors": lambda: search(errors="true", service=chance.choice(SERVICES)),
        "duration": lambda: search(minDuration=pick(1_000_000)),
        "duration, none": lambda: search(**nothing),
        "service and duration, none": lambda: search(service=chance.choice(SERVICES), **nothing),
        "operation, errors, duration": lambda: search(
            operation=f"operation {pick(8)}", errors="true", minDuration=990_000
        ),
        "a minute of the hour": lambda: search(**at()),
        "errors in a minute": lambda: search(errors="true", **at()),
        "tag, frequent": lambda: search(tag=route()),
        "tag, rare": lambda: search(tag=f"url.path=/item/{pick(100_000)}"),
        "tag, none": lambda: search(tag=f"user.id=nobody-{pick(1000)}"),
        "tag of an event": lambda: search(tag=f"exception.message=bad {pick(1000)}"),
        "tag of the resource": lambda: search(tag=f"host.name=shop-{pick(4)}", service="shop"),
        "tag and duration, none": lambda: search(tag="http.request.method=GET", **nothing),
        "tags, none together": lambda: search(tag=[route(), f"url.path=/item/{pick(10**5)}"]),
        "tag in a minute": lambda: search(tag=route(), **at()),
        "everything": lambda: search(
            tag=[route(), "http.request.method=GET"],
            service="shop",
            operation=f"operation {pick(8)}",
            errors="true",
            minDuration=pick(1_000_000),
            **at(),
        ),
        "map of the hour": lambda: f"/api/viewer/map?start={int(time.time() * US) - HOUR}",
        "latency over the hour": lambda: (
            "/api/viewer/latency?" + urlencode({"service": chance.choice(SERVICES)})
        ),
    }


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[float, int]:
    """Milliseconds, and how many traces were found."""
    begin = time.perf_counter()
    connection.request("GET", path)
    answer = json.loads(connection.getresponse().read())
    assert "error" not in answer, (path, answer)
    return (time.perf_counter() - begin) * 1000, len(answer.get("traces", ()))


def measure(port: int, times: int) -> None:
    """Print a table; each kind is asked `times` times, all kinds in turn."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    asked = kinds(random.Random(2))
    samples: dict[str, list[tuple[float, int]]] = {name: [] for name in asked}
    for _ in range(times):
        for name, path in asked.items():
            samples[name].append(ask(connection, path()))
    print("| search | p50, ms | p95, ms | max, ms | found |\n|---|---:|---:|---:|---:|")
    for name, each in samples.items():
        print(_line(name, each))
    print(_line("**all searches**", [one for name in list(samples)[:-2] for one in samples[name]]))


def _line(name: str, samples: list[tuple[float, int]]) -> str:
    ordered = sorted(milliseconds for milliseconds, _ in samples)
    p50, p95 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95))
    found = sum(number for _, number in samples) / len(samples)
    return f"| {name} | {p50:.1f} | {p95:.1f} | {ordered[-1]:.1f} | {found:.1f} |"


def indexed(database: Path) -> int:
    """Spans in the index."""
    try:
        with sqlite3.connect(f"file:{database}.index?mode=ro", uri=True) as connection:
            (chunks,) = connection.execute("SELECT count(*) FROM chunks").fetchone()
    except sqlite3.Error:
        return 0
    return int(chunks) * 8192


@contextmanager
def viewer(home: Path) -> Iterator[tuple[int, int, int]]:
    """Process id and the ports of viewer and OTLP receiver."""
    words = [word for option in ("--port", "--otlp-port", *OFF) for word in (option, "0")]
    environ = {**os.environ, "AUTOTRACE_STORE_MAX_MB": "4096"}
    with subprocess.Popen(
        [COMMAND, "ui", "--home", str(home), *words], env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            lines = [process.stdout.readline() for _ in range(9)]
            ports = [int(line.rpartition("127.0.0.1:")[2].partition("/")[0]) for line in lines[1:3]]
            yield process.pid, ports[0], ports[1]
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=30, help="that each search is asked")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        database = home / "traces.db"
        fill(database, options.spans)
        with viewer(home) as (pid, port, otlp_port):
            sender = multiprocessing.Process(target=post, args=(otlp_port,), daemon=True)
            sender.start()
            begin, before = time.monotonic(), stored(database)[1]
            print(f"\nWhile the index is being built, {indexed(database):,} spans of it at first\n")
            measure(port, 2)
            while stored(database)[1] - indexed(database) > 2 * 8192 + BATCH:
                time.sleep(0.5)
            print(f"\nWith the index, complete {time.monotonic() - begin:.0f} s after the start\n")
            measure(port, options.times)
            rate = (stored(database)[1] - before) / (time.monotonic() - begin)
            sizes = [Path(f"{database}{suffix}").stat().st_size / 2**20 for suffix in ("", ".index")]
            print(
                f"\n{stored(database)[0]:,} spans at the end, {rate:,.0f} a second came in;"
                f" store {sizes[0]:.0f} MiB, index {sizes[1]:.0f} MiB;"
                f" memory of the process {memory(pid):.0f} MiB"
            )
            sender.terminate()


if __name__ == "__main__":
    main()
