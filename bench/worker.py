"""One agent's process: runs the jobs it is told on its standard input, and answers with what they cost.

`python -m bench.worker AGENT JOB`, under the agent's launcher. Each line is a number of operations; the
answer is JSON: `cpu` of the process with the agent's export thread until all is sent and `thread` of the
caller alone, both in ns, and `rss` in KiB.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[int], Callable[[], None]]
    """Prepares a number of operations, and returns what is measured."""


def main() -> None:
    agent, name = sys.argv[1:]
    job, flush = _job(agent, name)
    for line in sys.stdin:
        run = job(int(line))
        cpu, thread = time.process_time_ns(), time.thread_time_ns()
        run()
        thread = time.thread_time_ns() - thread
        flush()
        cpu = time.process_time_ns() - cpu
        print(json.dumps({"cpu": cpu, "thread": thread, "rss": _resident()}), flush=True)


def _job(agent: str, name: str) -> tuple[Job, Callable[[], object]]:
    if name.startswith("export "):
        from bench import export_jobs

        return export_jobs.job(agent, name[len("export ") :]), lambda: None
    if name.startswith("span"):
        from bench import span_jobs

        return span_jobs.job(agent, name)
    if name.startswith("fastapi "):
        from bench import asgi_app, asgi_loop

        return asgi_loop.job(asgi_app.app, name[len("fastapi ") :]), flush_of_provider()
    from bench import apps, requests_loop

    if agent == "floor":
        from bench import floor

        flush: Callable[[], object] = floor.install(apps).flush
    else:
        flush = flush_of_provider()
    return requests_loop.job(apps.app, name), flush


def flush_of_provider() -> Callable[[], object]:
    """How to wait until the agent has sent everything; nothing to do without an agent."""
    if "opentelemetry.trace" not in sys.modules:
        return lambda: None
    from opentelemetry import trace

    return getattr(trace.get_tracer_provider(), "force_flush", lambda: None)


def _resident() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


if __name__ == "__main__":
    main()
