"""A payload, and interpreters and environments that have never heard of autotrace."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest
from programs import PYTHON
from required import missing

SERVED = os.environ.get("AUTOTRACE_TEST_PYTHONS", "3.11").split()
AUTOTRACE = str(Path(PYTHON).with_name("autotrace"))


def write_payload(directory: Path, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [AUTOTRACE, "payload", str(directory)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        timeout=110,
    )


@pytest.fixture(scope="session")
def payload(tmp_path_factory) -> Path:
    """As a stranger's container sees it: no bytecode may be written beside it."""
    directory = tmp_path_factory.mktemp("payload") / "autoinstrumentation"
    done = write_payload(directory)
    assert done.returncode == 0, done.stderr
    return directory


def interpreter(version: str) -> str:
    """The path of CPython `version`; skips where there is none. CI has all that autotrace serves."""
    found = _interpreter(version)
    if found is None:
        reason = f"no Python {version}"
        missing(reason) if version in SERVED else pytest.skip(reason)
    return found


@cache
def _interpreter(version: str) -> str | None:
    installed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [str(path) for path in installed.glob(f"{version}.*/bin/python")]
    candidates += [path for name in (f"python{version}",) if (path := shutil.which(name))]
    for candidate in candidates:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([candidate, "-c", code], check=False, capture_output=True, text=True)
        if done.stdout.strip() == version:
            return candidate
    return None


@cache
def environment(python: str, *packages: str) -> str:
    """The interpreter of a new virtual environment with `packages`; one for all tests that name the same."""
    directory = Path(tempfile.mkdtemp(prefix="autotrace-tests-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    subprocess.run([python, "-m", "venv", "--without-pip", str(directory)], check=True)
    inside = str(directory / "bin" / "python")
    if packages:
        pip = [python, "-m", "pip", "--python", inside, "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True, timeout=110)
    return inside


def mapped(text: str, places: dict[str, object]) -> str:
    """A container's text, its paths and addresses replaced by those of this machine."""
    return re.sub("|".join(map(re.escape, places)), lambda found: str(places[found[0]]), text)
