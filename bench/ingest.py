"""How many spans a second `autotrace ui` takes in, and what that costs: `make bench-ingest`.

Senders in processes of their own post OTLP batches of 512 as fast as they are answered; each span has
ten attributes, each trace eight spans, all ids are new, and spans are as old as they are when services
send them. The time ends when the last span is in the store. Refusals (503) are retried after the second
that the answer asks for.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

BATCH = 512
SPANS_PER_TRACE = 8
COMMAND = str(Path(sys.executable).with_name("autotrace"))
OFF = (
    "--zipkin-port",
    "--jaeger-http-port",
    "--jaeger-compact-port",
    "--jaeger-binary-port",
    "--sampling-port",
)


_time = Struct("<Q")


class Template(NamedTuple):
    """An encoded batch, to be given new ids and times."""

    body: bytearray
    ids: list[int]
    """Where they are: 16 bytes of the trace's, then two, then 8."""
    made: int
    """When, in ns."""
    times: list[tuple[int, int]]
    """Starts and ends, and where they are."""

    def renew(self) -> bytes:
        """The batch as if it had been made now, of other traces."""
        chance = os.urandom(24 * BATCH)
        for index, place in enumerate(self.ids):
            trace = index - index % SPANS_PER_TRACE
            self.body[place : place + 16] = chance[trace * 16 : trace * 16 + 16]
            self.body[place + 18 : place + 26] = chance[16 * BATCH + index * 8 : 16 * BATCH + index * 8 + 8]
        age = time.time_ns() - self.made
        for place, then in self.times:
            _time.pack_into(self.body, place, then + age)
        return bytes(self.body)


def template(number: int) -> Template:
    """Spans of the second before."""
    from spans import make_span

    from autotrace.export import otlp_protobuf

    chance = random.Random(number)
    made = time.time_ns()
    spans = [
        make_span(
            trace_id=chance.getrandbits(127) | 1 << 127,
            span_id=chance.getrandbits(63) | 1 << 63,
            parent_id=0,
            name=f"GET /item/{chance.randrange(20)}",
            start_time=made - chance.randrange(10**8, 10**9),
            end_time=made - chance.randrange(10**8),
            attributes={
                "http.request.method": "GET",
                "url.path": f"/item/{chance.randrange(10_000)}",
                "url.scheme": "http",
                "server.address": "localhost",
                "server.port": 8080,
                "http.response.status_code": 200,
                "http.route": "/item/<id>",
                "user_agent.original": "python-requests/2.32",
                "network.protocol.version": "1.1",
                "client.address": f"10.0.0.{chance.randrange(255)}",
            },
        )
        for _ in range(BATCH)
    ]
    body = bytearray(otlp_protobuf.encode(spans))
    times = [
        (body.index(_time.pack(when)), when) for span in spans for when in (span.start_time, span.end_time)
    ]
    return Template(body, [body.index(span.trace_id.to_bytes(16, "big")) for span in spans], made, times)


def send(number: int, port: int, batches: int, results: Any) -> None:
    """Post `batches` batches; tell how many spans were taken, and how often we had to wait."""
    batch = template(number)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    taken = refused = 0
    for _ in range(batches):
        body = batch.renew()
        while True:
            connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
            response = connection.getresponse()
            answer = response.read()
            if response.status == 200 and not answer:
                taken += BATCH
                break
            assert response.status == 503, (response.status, answer)
            refused += 1
            time.sleep(float(response.headers["Retry-After"]))
    results.put((taken, refused))


def memory(pid: int) -> float:
    """Resident, in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def processor_time(pid: int) -> float:
    """Seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stored(path: Path) -> tuple[int, int]:
    """Spans in the store, and how many were ever written."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        count, newest = connection.execute("SELECT count(*), ifnull(max(id), 0) FROM spans").fetchone()
    return count, newest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spans", type=int, default=5_000_000)
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--store-mb", type=int, default=256, help="retention: the oldest traces go first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        run(options, Path(home))


def run(options: argparse.Namespace, home: Path) -> None:
    words = [word for option in ("--port", "--otlp-port", *OFF) for word in (option, "0")]
    environ = {**os.environ, "AUTOTRACE_STORE_MAX_MB": str(options.store_mb)}
    started = time.monotonic()
    with subprocess.Popen(
        [COMMAND, "ui", "--home", str(home), *words], env=environ, stdout=subprocess.PIPE, text=True
    ) as collector:
        lines = [collector.stdout.readline() for _ in range(9)]
        ports = [int(line.rpartition("127.0.0.1:")[2].partition("/")[0]) for line in lines[1:3]]
        page = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=60)
        page.request("GET", "/")
        page.getresponse().read()
        print(f"start to first page      {time.monotonic() - started:8.2f} s")
        measure(options, collector.pid, ports[1], home / "traces.db")
        stopping = time.monotonic()
        collector.terminate()
        collector.wait(60)
        print(f"end after SIGTERM        {time.monotonic() - stopping:8.2f} s")


def measure(options: argparse.Namespace, pid: int, port: int, database: Path) -> None:
    batches = max(options.spans // BATCH // options.senders, 1)
    results: Any = multiprocessing.Queue()
    senders = [
        multiprocessing.Process(target=send, args=(number, port, batches, results))
        for number in range(options.senders)
    ]
    total = batches * BATCH * options.senders
    begin, used = time.monotonic(), processor_time(pid)
    samples = []
    for sender in senders:
        sender.start()
    while any(sender.is_alive() for sender in senders):
        time.sleep(0.5)
        samples.append(memory(pid))
    told = [results.get() for _ in senders]
    while stored(database)[1] < total:
        time.sleep(0.01)
    seconds = time.monotonic() - begin
    count, written = stored(database)
    refused = sum(times for _, times in told)
    print(f"sent                     {total:8,} spans, {refused} batches were refused at first")
    print(f"written                  {written:8,} spans, lost {total - written}; {count:,} kept")
    print(f"throughput               {total / seconds:8,.0f} spans/s")
    print(f"processor time           {(processor_time(pid) - used) / total * 1e6:8.1f} us/span")
    early = (samples[len(samples) // 4 :] or samples)[0]
    print(
        f"memory after a quarter   {early:8.0f} MiB, {samples[-1]:.0f} at the end, {max(samples):.0f} at most"
    )


if __name__ == "__main__":
    main()
