"""Network servers started as operators start them, in a process group of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from programs import LAUNCHER, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 60
"""Seconds to wait for what takes one on an idle machine."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition: Any) -> Any:
    """What `condition` returns as soon as that is true."""
    deadline = time.monotonic() + PATIENCE
    while not (met := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return met


class Running:
    """A server that is up.

    Args:
        process: The first process; workers and reloaders are in its group.
        port: Where it listens.
        log: What all its processes say.
    """

    def __init__(self, process: Any, port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text()

    def get(self, path: str, **headers: str) -> str:
        """The body of the answer, whatever its status, on a connection of its own."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.read().decode()

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Tell the first process to end, as an orchestrator does; its exit code."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


@contextmanager
def running(sandbox: Sandbox, *command: str, **variables: str) -> Any:
    """Run `command`, in which `PORT` stands for a free port, under the launcher until it listens."""
    for attempt in range(3):
        port = free_port()
        log = sandbox.directory / f"log {attempt}"
        process = _start(sandbox, [word.replace("PORT", str(port)) for word in command], log, variables)
        try:
            if _is_up(process, port):
                yield Running(process, port, log)
                return
            assert "in use" in log.read_text(), log.read_text()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    raise AssertionError("no port stayed free")


def _start(sandbox: Sandbox, command: list[str], log: Path, variables: dict[str, str]) -> Any:
    with log.open("wb") as output:
        return subprocess.Popen(
            [LAUNCHER, *command],
            env={**sandbox.environ, **variables},
            cwd=sandbox.directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _is_up(process: Any, port: int) -> bool:
    wait_until(lambda: process.poll() is not None or _listens(port))
    return process.poll() is None


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
