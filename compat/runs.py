"""Runs one library's test suite from its source distribution, as it is and under autotrace."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.suites import Suite

ROOT = Path(__file__).resolve().parent.parent

TIMEOUT = 1800
"""Seconds for one run of a suite."""

Outcomes = dict[str, str]
"""What became of each test, by its name: passed, failed, error, skipped."""


class Place:
    """A library's source, and an interpreter that has what its tests need; kept from run to run."""

    def __init__(self, suite: Suite, cache: Path) -> None:
        self.suite = suite
        self.directory = cache / f"{suite.name}-{suite.version}"
        self.source = self.directory / "source"
        self.python = self.directory / "venv" / "bin" / "python"

    def prepare(self) -> None:
        """Download, unpack, install; what has been done is not done again."""
        ready = self.directory / "ready"
        if ready.exists():
            return
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self._download()
        _call(sys.executable, "-m", "venv", self.directory / "venv")
        self._pip("install", "--upgrade", "pip")
        self._pip("install", f"{self.source}{self.suite.extras}", *self.suite.needs)
        # In place: what is tested is what is there. One interpreter runs both, so what differs is us.
        self._pip("install", "--editable", ROOT)
        ready.touch()

    def _download(self) -> None:
        name, version = self.suite.name, self.suite.version
        sdist = f"{name}=={version}"
        _call(
            *(sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "--no-binary", name, sdist),
            *("--dest", self.directory),
        )
        (archive,) = self.directory.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(self.directory, filter="data")
        (self.directory / f"{name}-{version}").rename(self.source)

    def _pip(self, *words: object) -> None:
        _call(self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", *words)

    def run(self, label: str, traced: bool, **variables: str) -> Outcomes:
        """Run the suite once, with its report under `label`."""
        report = self.directory / f"{label}.xml"
        report.unlink(missing_ok=True)
        launcher = [self.python.with_name("autotrace-run")][:traced]
        options = ["-p", "no:cacheprovider", "-o", "junit_family=xunit1", f"--junitxml={report}"]
        with _redis(self.directory) if self.suite.redis else nullcontext([]) as server:
            command = [*launcher, self.python, "-m", "pytest", *self.suite.arguments, *options, *server]
            with (self.directory / f"{label}.log").open("w") as log:
                subprocess.run(
                    [str(word) for word in command],
                    check=False,  # some tests may fail without us too
                    cwd=self.source,
                    env={**_environment(), **variables},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=TIMEOUT,
                )
        return read(report)

    def last(self, label: str) -> Outcomes | None:
        """What came of the last run of that label."""
        report = self.directory / f"{label}.xml"
        return read(report) if report.exists() else None


def read(report: Path) -> Outcomes:
    """The outcome of every test; those of one name are told apart by their order."""
    found: Outcomes = {}
    for case in ET.parse(report).iter("testcase"):
        name = base = f"{case.get('file')}::{case.get('classname')}::{case.get('name')}"
        count = 1
        while name in found:
            count += 1
            name = f"{base} ({count})"
        kinds = [child.tag for child in case if child.tag in {"failure", "error", "skipped"}]
        found[name] = "+".join(kinds) or "passed"
    return found


def _environment() -> dict[str, str]:
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("OTEL_", "AUTOTRACE_", "PYTHON", "PYTEST_"))
        and not name.lower().endswith("_proxy")
    }
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def _redis(directory: Path) -> Iterator[list[str]]:
    """An empty Redis server; what pytest is to be told of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["redis-server", "--port", str(port), "--save", "", "--enable-debug-command", "yes"]
    with subprocess.Popen(words, cwd=directory, stdout=subprocess.DEVNULL) as server:
        try:
            while not _answers(port):
                assert server.poll() is None, "redis-server did not start"
                time.sleep(0.05)
            yield [f"--redis-url=redis://127.0.0.1:{port}/0"]
        finally:
            server.terminate()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _call(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True)
