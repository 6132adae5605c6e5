"""Processes that take turns: one block of one agent, then the next agent, in a new order every cycle."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

from bench.agents import LAUNCHERS, PYTHON, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

Samples = dict[str, list[float]]
"""By agent, in the order of the cycles: the n-th values of all agents belong together."""


class Sink:
    """The process that receives the spans, and answers the outgoing calls."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [PYTHON, "-m", "bench.sink"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.ports: dict[str, int] = json.loads(self._process.stdout.readline())

    def count(self, agent: str) -> int:
        url = f"http://127.0.0.1:{self.ports['http']}/count/{agent}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return int(answer.read())

    def close(self) -> None:
        self._process.communicate()


class Worker:
    """A `bench.worker` under its agent's launcher; exporters are measured without."""

    def __init__(self, agent: str, job: str, env: dict[str, str]) -> None:
        launcher = [] if job.startswith("export ") else LAUNCHERS.get(agent, [])
        command = [*launcher, PYTHON, "-m", "bench.worker", agent, job]
        self.made = 0
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, count: int) -> dict[str, int]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{count}\n")
        process.stdin.flush()
        self.made += count
        answer = process.stdout.readline()
        if not answer:
            raise SystemExit(f"{process.args} ended with {process.wait()}")
        return json.loads(answer)

    def close(self) -> None:
        """Let it end by itself, so that what an agent does at exit happens."""
        self._process.communicate(timeout=60)


def in_turns(agents: list[str], cycles: int, measure: Callable[[str], Any]) -> dict[str, list[Any]]:
    """Call `measure` for every agent in every cycle."""
    order = list(agents)
    values: dict[str, list[Any]] = {agent: [] for agent in agents}
    for _ in range(cycles):
        random.shuffle(order)
        for agent in order:
            values[agent].append(measure(agent))
    return values


def cpu_of(command: list[str], env: dict[str, str]) -> float:
    """User and system time in ms of a program, from its start to its end."""
    process = subprocess.Popen(command, cwd="/", env=env, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1000
