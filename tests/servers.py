"""Web servers started as users start them, and requests whose spans can be told apart."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import signal
import subprocess
import time
from collections import Counter
from contextlib import contextmanager
from typing import Any, NamedTuple

from programs import LAUNCHER

LONG = 60.0
"""Seconds after which a test gives up waiting."""

SHOP = """
import os, sqlite3, time
import flask

app = flask.Flask("shop")

@app.get("/users/<int:number>")
def user(number):
    connection = sqlite3.connect(":memory:")
    connection.execute("SELECT 1").fetchone()
    connection.close()
    return str(os.getpid())

@app.get("/stuck")
def stuck():
    time.sleep(600)
    return ""
"""
"""A Flask application that answers with its process id, after a query."""


def wait_until(condition: Any) -> Any:
    """What `condition` returns once it is true."""
    end = time.monotonic() + LONG
    while not (result := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return result


async def until(condition: Any) -> None:
    """As `wait_until`, while the event loop goes on."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.01)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Server:
    """A running server, in a process group of its own."""

    def __init__(self, process: Any, log: Any) -> None:
        self.process = process
        self._log = log
        self.port = 0
        self.sent: dict[str, tuple[str, int]] = {}
        """Of the requests answered with a process id: parent span and process by trace."""

    @property
    def log(self) -> str:
        """All that was written to stdout and stderr."""
        return self._log.read_text()

    @property
    def said(self) -> list[str]:
        """Our lines among it."""
        return [line for line in self.log.splitlines() if "autotrace: " in line]

    def find_port(self) -> int:
        """The port that the server says it listens on."""

        def said() -> Any:
            assert self.process.poll() is None, self.log
            return re.search(r"127\.0\.0\.1:(\d+)", self.log)

        self.port = int(wait_until(said)[1])
        return self.port

    def request(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def visit(self, count: int = 1) -> list[int]:
        """Requests of a remote trace each; the processes that have answered."""
        processes = []
        for _ in range(count):
            trace, parent = os.urandom(16).hex(), os.urandom(8).hex()
            answer = self.request("/users/7", traceparent=f"00-{trace}-{parent}-01")
            assert answer.status == 200, self.log
            processes.append(int(answer.body))
            self.sent[trace] = (parent, processes[-1])
        return processes

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(LONG)

    def check(self, arrivals: Any, name: str | None = "GET /users/<int:number>") -> None:
        """Each visit is one SERVER span with its query below it, of the process that has answered."""
        spans = [span for span in arrivals.spans if span.trace_id in self.sent]
        servers = [span for span in spans if span.kind == "SERVER"]
        assert Counter(span.trace_id for span in servers) == Counter(list(self.sent)), self.log
        assert name is None or {span.name for span in servers} == {name}
        by_trace = {span.trace_id: span for span in servers}
        for span in servers:
            assert (span.parent_id, span.resource["process.pid"]) == self.sent[span.trace_id]
        queries = [span for span in spans if span.kind == "CLIENT"]
        assert Counter(span.trace_id for span in queries) == Counter(list(self.sent))
        assert all(span.parent_id == by_trace[span.trace_id].span_id for span in queries)
        assert len({span.span_id for span in spans}) == 2 * len(self.sent)
        # Every process has an identity of its own.
        identities = {(span.resource["process.pid"], span.resource["service.instance.id"]) for span in spans}
        assert len(identities) == len({process for _, process in self.sent.values()})


@contextmanager
def serving(sandbox: Any, *words: str, **variables: str) -> Any:
    """Run a server under the launcher; whatever is left of it at the end is killed."""
    log = sandbox.directory / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [LAUNCHER, *words],
            env={**sandbox.environ, "PYTHONUNBUFFERED": "1", **variables},
            cwd=sandbox.directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(process, log)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(LONG)
