"""`python -m bench.soak`: what autotrace costs a program, and how much memory, while nobody takes its spans.

Starts programs under `autotrace-run` against backends that are dead in different ways, and prints Markdown.
The black hole is given ten million spans; the program's memory is read after each million.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

from bench.agents import LAUNCHERS, PYTHON, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    Reply = Callable[[socket.socket], None]

LAUNCHER = LAUNCHERS["ours"]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
UNAVAILABLE = b"HTTP/1.1 503 Because\r\ncontent-length: 0\r\n\r\n"

PROGRAM = """
import json, os, sys, time
from opentelemetry import trace

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

tracer, rounds, count = trace.get_tracer("bench"), int(sys.argv[1]), int(sys.argv[2])
sizes, times = [], []
for _ in range(rounds):
    begin = time.thread_time()
    for number in range(count):
        attributes = {"number": number, "text": f"{number:040}", "c": True, "d": 1.5, "e": "constant"}
        tracer.start_span("step", attributes=attributes).end()
    times.append((time.thread_time() - begin) / count * 1e6)
    sizes.append(resident())
print(json.dumps({"sizes": sizes, "us": min(times), "end": time.time()}))
"""
"""Spans as fast as one thread makes them; the CPU time of that thread alone."""

KILLED = """
import sys, time
from opentelemetry import trace

tracer = trace.get_tracer("bench")
tracer.start_span("first").end()
time.sleep(1)  # the exporter is there
for _ in range(int(sys.argv[1])):
    tracer.start_span("step").end()
    print(time.time(), flush=True)
    time.sleep(float(sys.argv[2]))
"""


class Peer:
    """A backend in threads of this process, which does `reply` with each request and notes when it came."""

    def __init__(self, reply: Reply) -> None:
        self.arrived: list[float] = []
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                length = 0
                while line := stream.readline().strip():
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                body = stream.read(length)
                self.arrived += [time.time()] * body.count(b"\x2a\x04step")  # a name in OTLP
                try:
                    self._reply(connection)
                except OSError:
                    return


def nothing(_connection: socket.socket) -> None:
    threading.Event().wait()


def environment(url: str, **variables: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "AUTOTRACE_"))}
    return {
        **kept,
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "AUTOTRACE_DIAGNOSTICS": "true",
        **variables,
    }


def soak(url: str, rounds: int, count: int, **variables: str) -> tuple[dict[str, Any], str]:
    """Run the program; what it printed, with the seconds it took to end, and what we said at its end."""
    command = [*LAUNCHER, PYTHON, "-c", PROGRAM, str(rounds), str(count)]
    environ = environment(url, **variables)
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    result["exit"] = time.time() - result["end"]
    counts = re.findall(r"\d+ made, \d+ sent, \d+ dropped.*", done.stderr)
    return result, counts[0] if counts else ""


def backends() -> dict[str, str]:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    return {
        "takes everything": Peer(lambda connection: connection.sendall(OK)).url,
        "refuses": closed,
        "black hole": Peer(nothing).url,
        "always 503": Peer(lambda connection: connection.sendall(UNAVAILABLE)).url,
        "unknown name": "http://collector.invalid:4318",
    }


def ratios(rounds: int, count: int) -> None:
    print("| backend | us of the program's thread per span | seconds to exit | counts |\n|---|---|---|---|")
    no_exporter, _ = soak("", rounds, count, OTEL_TRACES_EXPORTER="none")
    print(f"| no exporter | {no_exporter['us']:.2f} | {no_exporter['exit']:.2f} | |")
    for name, url in backends().items():
        result, counts = soak(url, rounds, count)
        ratio = result["us"] / no_exporter["us"]
        print(f"| {name} | {result['us']:.2f} ({ratio:.2f}) | {result['exit']:.2f} | {counts} |", flush=True)


def memory(millions: int) -> None:
    result, counts = soak(Peer(nothing).url, millions, 1_000_000)
    sizes = " ".join(f"{size:.1f}" for size in result["sizes"])
    print(f"\nMemory after each million spans against a black hole, MiB: {sizes}\n\n{counts}")


def delays(count: int) -> None:
    """How long a span waits at low traffic: what a kill at the worst moment costs."""
    peer = Peer(lambda connection: connection.sendall(OK))
    command = [*LAUNCHER, PYTHON, "-c", KILLED, str(count), "0.37"]
    environ = environment(peer.url)
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    ended = [float(line) for line in done.stdout.split()]
    waits = [arrived - end for end, arrived in zip(ended, peer.arrived)]
    print(
        f"\nFrom the end of a span to its arrival at low traffic, {len(waits)} spans:"
        f" median {statistics.median(waits):.2f} s, longest {max(waits):.2f} s"
    )


def killed(times: int) -> None:
    """Lost at SIGKILL: the time between the last span that arrived and the kill."""
    losses = []
    for number in range(times):
        peer = Peer(lambda connection: connection.sendall(OK))
        command = [*LAUNCHER, PYTHON, "-c", KILLED, "1000", "0.02"]
        environ = environment(peer.url)
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        time.sleep(2.5 + number * 0.037)
        process.send_signal(signal.SIGKILL)
        moment = time.time()
        out, _ = process.communicate()
        ended = [float(line) for line in out.split("\n")[:-1]]
        time.sleep(0.1)
        losses.append(moment - ended[min(len(peer.arrived), len(ended) - 1)])
    print(
        f"\nLost at `kill -9` with 50 spans a second, {times} times: what ended in the last"
        f" {statistics.median(losses):.2f} s (median), {max(losses):.2f} s (longest)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--millions", type=int, default=10, help="spans against the black hole")
    parser.add_argument("--quick", action="store_true", help="a look in half a minute")
    arguments = parser.parse_args()
    ratios(3, 20_000 if arguments.quick else 100_000)
    memory(1 if arguments.quick else arguments.millions)
    delays(10 if arguments.quick else 40)
    killed(3 if arguments.quick else 12)


if __name__ == "__main__":
    main()
