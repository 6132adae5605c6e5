"""`autotrace ui` as users start it, on ports that are free."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autotrace.backend.ports import PORTS, VIEWER
from autotrace.store.errors import StoreMissingError
from autotrace.store.reader import Reader
from autotrace.store.search import Query

COMMAND = str(Path(sys.executable).with_name("autotrace"))
TIMEOUT = 60.0


def option(key: str) -> str:
    """That sets the port `key`."""
    return "--port" if key == VIEWER else f"--{key}-port"


class UserInterface:
    """A running `autotrace ui`."""

    def __init__(self, process: subprocess.Popen[str], home: Path) -> None:
        self.process = process
        self.home = home
        self.lines = [process.stdout.readline().rstrip("\n") for _ in range(2 + len(PORTS))]
        """What it said at start: a title, a line for each port, and how to end it."""
        self._rest: tuple[str, str] | None = None

    def port(self, key: str) -> int:
        """Where it listens."""
        (line,) = [line for port, line in zip(PORTS, self.lines[1:-1]) if port.key == key]
        return int(line.rpartition("127.0.0.1:")[2].partition("/")[0])

    def request(
        self, key: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port(key), timeout=TIMEOUT)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return response.status, named, response.read()
        finally:
            connection.close()

    def stored(self, service: str, count: int) -> list[Any]:
        """The spans of `service` in the store, once they are `count`."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            spans = stored_in(self.home, service)
            if len(spans) >= count:
                assert len(spans) == count
                return spans
            assert time.monotonic() < deadline, f"{len(spans)} of {count} spans arrived"
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """Exit code and what else was said on stdout and stderr, after a signal."""
        if self._rest is None:
            self.process.send_signal(number)
            self._rest = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, *self._rest


def stored_in(home: Path, service: str) -> list[Any]:
    """All spans of `service` in the store under `home`."""
    try:
        with Reader(str(home / "traces.db")) as reader:
            found = reader.search(Query(service=service, limit=1_000_000))
            spans = [span for trace in found for span in reader.trace(trace.trace_id)]
            return [span for span in spans if span.resource.service == service]
    except StoreMissingError:
        return []


@contextmanager
def user_interface(home: Path, *options: str, **variables: str) -> Any:
    """Started on free ports but for those that `options` name; ended at the end."""
    free = [word for port in PORTS if option(port.key) not in options for word in (option(port.key), "0")]
    environ = {
        name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "AUTOTRACE_"))
    }
    with subprocess.Popen(
        [COMMAND, "ui", "--home", str(home), *free, *options],
        env={**environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            started = UserInterface(process, home)
            yield started
            started.stop()
        finally:
            process.kill()
