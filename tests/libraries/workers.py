"""Workers and producers of jobs, each started as its users do, and the trace that both of them make."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
import time
from contextlib import contextmanager


def until(condition, seconds=60):
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def worker(sandbox, environ, *command, ready):
    """A worker that has said that it is ready, and is asked to end after the block."""
    log = sandbox.directory / "worker.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["autotrace-run", *command],
            env={**environ, "OTEL_SERVICE_NAME": "worker"},
            cwd=sandbox.directory,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        until(lambda: ready in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield log
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        assert process.returncode in (0, -signal.SIGTERM), log.read_text()
        assert "autotrace: " not in log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def produce(sandbox, environ, code, traced=True):
    """Run a program to its end, which says nothing."""
    sandbox.write("producer.py", textwrap.dedent(code))
    done = sandbox.run("producer.py", traced=traced, **{**environ, "OTEL_SERVICE_NAME": "client"})
    assert (done.code, done.out, done.err, done.said) == (0, "", "", [])


def shape(spans, parent="", indent=""):
    """The tree with siblings in order of their names: which of two processes is first is left to them."""
    assert len({span.span_id for span in spans}) == len(spans)
    ids = {span.span_id for span in spans}
    roots = (span for span in spans if (span.parent_id == parent if parent else span.parent_id not in ids))
    lines = [
        f"{indent}{span.service} {span.kind} {span.name}{' ERROR' * span.failed}\n"
        + shape(spans, span.span_id, indent + "  ")
        for span in roots
    ]
    return "".join(sorted(lines))
