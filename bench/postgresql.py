"""A PostgreSQL of the benchmark's own, on a free port, where Debian's packages are installed."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 60.0


@contextmanager
def postgresql() -> Iterator[str]:
    """Its URL, with a table `item` of a hundred rows."""
    (programs, *_) = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True) or [""]
    if not programs:
        raise SystemExit(
            "PostgreSQL is not installed: `make services` does it; or leave the row out with --rows"
        )
    # It refuses to be run by root.
    nobody: dict[str, Any] = {"user": "nobody"} if os.getuid() == 0 else {}
    directory = tempfile.mkdtemp()
    try:
        if nobody:
            shutil.chown(directory, "nobody")
        quiet: dict[str, Any] = {
            "cwd": directory,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            **nobody,
        }
        data = f"{directory}/data"
        initdb = [f"{programs}/initdb", f"--pgdata={data}", "--auth=trust", "--username=tester", "--no-sync"]
        subprocess.run(initdb, check=True, **quiet)
        port = _free_port()
        url = f"postgresql://tester@127.0.0.1:{port}/postgres"
        settings = ["-c", "fsync=off", "-c", "max_connections=20"]
        server = [f"{programs}/postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", directory]
        with subprocess.Popen([*server, *settings], **quiet) as process:
            try:
                _fill([f"{programs}/psql", "--no-psqlrc", url, "-c"], quiet)
                yield url
            finally:
                process.send_signal(signal.SIGINT)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _fill(psql: list[str], quiet: dict[str, Any]) -> None:
    table = (
        "CREATE TABLE IF NOT EXISTS item AS SELECT n AS id, 'item ' || n AS name, n * 10 AS price"
        " FROM generate_series(0, 99) n"
    )
    deadline = time.monotonic() + _PATIENCE
    while subprocess.run([*psql, table], check=False, **quiet).returncode:
        if time.monotonic() > deadline:
            raise SystemExit("PostgreSQL did not start")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
