"""The Node services of `integration_apps`, with the packages that their lock files name."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from required import missing

APPS = Path(__file__).parents[2] / "integration_apps"
INSTALL_TIMEOUT = 300
_OTEL = ("--require", "@opentelemetry/auto-instrumentations-node/register")


def installed(name: str) -> Path:
    """The directory of an app whose packages are there."""
    directory = APPS / name
    if shutil.which("npm") is None or shutil.which("node") is None:
        missing("Node is not installed")
    lock, done = directory / "package-lock.json", directory / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        run = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            check=False,
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT,
        )
        if run.returncode:
            missing(f"npm ci failed in {directory.name}: {run.stderr[-500:]}")
        done.touch()
    return directory


@contextmanager
def node_service(app: str, **variables: str) -> Any:
    """The URL of a running service."""
    directory = installed(app)
    with subprocess.Popen(
        ["node", *(_OTEL if app == "node_otel" else ()), "server.js"],
        cwd=directory,
        env={**os.environ, "PORT": "0", **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if line.startswith("http://"):
                    break
            else:
                raise AssertionError("".join(said))
            reader = threading.Thread(target=process.stdout.read)
            reader.start()
            yield line.strip()
            process.terminate()
            process.wait(30)
            reader.join()
        finally:
            process.kill()
