"""The suite on every CPython from 3.9 up that can be found; `make test` runs it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nox

FULL = "3.11"
"""The interpreter that runs the slow parts too."""

# Its generated classes are a reference of the wire tests; it pins an SDK from before they parted.
JAEGER_CLASSES = "opentelemetry-exporter-jaeger-thrift==1.21.0"

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True


def interpreters() -> dict[str, str]:
    """Paths by version: what pyenv has installed, then what is on PATH."""
    found: dict[str, str] = {}
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for directory in sorted(versions.glob("3.*")):
        version = re.match(r"3\.\d+", directory.name)
        if version and (directory / "bin/python").exists():
            found[version[0]] = str(directory / "bin/python")
    for minor in range(9, 15):
        path = shutil.which(f"python3.{minor}")
        if path and ".pyenv" not in path:
            found.setdefault(f"3.{minor}", path)
    return {version: path for version, path in found.items() if int(version[2:]) >= 9}


FOUND = interpreters()
REQUIRED = os.environ.get("AUTOTRACE_TEST_PYTHONS", FULL).split()


@nox.session(python=False)
def found(session: nox.Session) -> None:
    """Fail when an interpreter that must be tested is missing."""
    missing = [version for version in REQUIRED if version not in FOUND]
    if missing:
        session.error(f"no interpreter found for Python {', '.join(missing)}")


@nox.session(python=[FOUND[version] for version in sorted(FOUND, key=lambda text: int(text[2:]))])
def tests(session: nox.Session) -> None:
    """All tests on one interpreter; the slow ones only on one of them."""
    version = session.run("python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])", silent=True).strip()
    session.install("--quiet", "--upgrade", "pip")
    session.install("--quiet", "--editable", ".[test]")
    session.install("--quiet", "--no-deps", JAEGER_CLASSES)
    chosen = [] if version == FULL else ["-m", "not slow"]
    session.run("python", "-m", "pytest", *chosen, *session.posargs)
