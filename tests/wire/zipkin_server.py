"""A real Zipkin server, the judge of what we call Zipkin JSON."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from required import missing

ARTIFACT = "io.zipkin:zipkin-server:3.6.1:jar:exec"
JAR = "zipkin-server-3.6.1-exec.jar"
CACHE = Path(__file__).parents[2] / ".cache"
START_TIMEOUT = 90.0


class ZipkinServer:
    """Its answers, over its own query API."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/api/v2/spans"

    def get(self, path: str) -> tuple[int, Any]:
        """Status and decoded body; status 0 while nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except OSError:
            return 0, None
        finally:
            connection.close()
        return response.status, json.loads(body) if body[:1] in (b"[", b"{") else body

    def trace(self, trace_id: str, spans: int) -> list[dict[str, Any]]:
        """The trace, once all its spans are stored."""
        deadline = time.monotonic() + 10
        found: Any = []
        while time.monotonic() < deadline:
            status, found = self.get(f"/api/v2/trace/{trace_id}")
            if status == 200 and len(found) >= spans:
                return found
            time.sleep(0.02)
        raise AssertionError(f"trace {trace_id} is not there: {found!r}")


@pytest.fixture(scope="session")
def zipkin_server() -> Any:
    """Started once a session on a free port; skipped without Java or Maven, unless the tests are required."""
    jar = _jar()
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    environment = {**os.environ, "QUERY_PORT": str(port), "UI_ENABLED": "false"}
    command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar", str(jar)]
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            server = ZipkinServer(port)
            deadline = time.monotonic() + START_TIMEOUT
            while server.get("/health")[0] != 200:
                assert process.poll() is None, f"the Zipkin server ended with {process.returncode}"
                assert time.monotonic() < deadline, "the Zipkin server does not become healthy"
                time.sleep(0.1)
            yield server
        finally:
            process.kill()


def _jar() -> Path:
    for program in ("java", "mvn"):
        if shutil.which(program) is None and not (program == "mvn" and (CACHE / JAR).exists()):
            missing(f"{program} is not installed: no real Zipkin server")
    if not (CACHE / JAR).exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:  # others may be at it
            options = [f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={scratch}"]
            command = ["mvn", "-q", "dependency:copy", *options]
            run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if run.returncode != 0:
                missing(f"Maven cannot fetch {ARTIFACT}: {run.stdout[-500:]}")
            (Path(scratch) / JAR).replace(CACHE / JAR)
    return CACHE / JAR
