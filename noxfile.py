"""The suite on every CPython from 3.9 up that can be found; `make test` runs it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

sys.path[:0] = [str(Path(__file__).parent / directory) for directory in (".", "tests")]

from matrix import MATRIX  # noqa: E402

from autotrace.instrumentation.hooks import HOOKS  # noqa: E402

OLDEST = 9
NEWEST = 14
FULL = "3.11"
"""The interpreter that runs the slow parts too, and has every library that we trace."""

# Its generated classes are a reference of the wire tests; it pins an SDK from before they parted.
JAEGER_CLASSES = "opentelemetry-exporter-jaeger-thrift==1.21.0"
# Asks for a redis-py before 6, and works with later ones.
ARQ = "arq>=0.26"

# What the tests of any library use.
TEST_TOOLS = (
    "pytest>=8",
    "pytest-timeout>=2.3",
    "opentelemetry-proto",
    "opentelemetry-instrumentation",
)

MOVED_ON = ("django", "quart", "djangorestframework", "gunicorn", "uvicorn")
"""Django 6 and Quart 0.23 ask for Python 3.12; and what their tests are served by."""

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True


def put_interpreters_on_path() -> None:
    """Put what pyenv has installed before its shims, which answer for one version only."""
    installed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    directories = sorted(str(path) for path in installed.glob("3.*/bin"))
    path = [entry for entry in os.environ["PATH"].split(os.pathsep) if "/shims" not in entry]
    os.environ["PATH"] = os.pathsep.join([*path, *directories])


put_interpreters_on_path()
FOUND = [f"3.{minor}" for minor in range(OLDEST, NEWEST + 1) if shutil.which(f"python3.{minor}")]
REQUIRED = os.environ.get("AUTOTRACE_TEST_PYTHONS", FULL).split()


@nox.session(python=False)
def interpreters(session: nox.Session) -> None:
    """Fail when an interpreter that must be tested is missing."""
    missing = [version for version in REQUIRED if version not in FOUND]
    if missing:
        session.error(f"no interpreter found for Python {', '.join(missing)}")


@nox.session(python=FOUND)
def tests(session: nox.Session) -> None:
    """All tests on one interpreter; the slow ones, and those of the many libraries, on a single version."""
    session.install("--quiet", "--upgrade", "pip")
    full = session.python == FULL
    session.install("--quiet", "--editable", ".[test,libraries,docs]" if full else ".[test]")
    if full and shutil.which("mariadb_config"):
        session.install("--quiet", "--editable", ".[mysqlclient]")
    session.install("--quiet", "--no-deps", JAEGER_CLASSES, *([ARQ] if full else []))
    chosen = [] if full else ["-m", "not slow", "--ignore", "tests/libraries"]
    # Half of the time is spent waiting for child processes. A file's tests stay together: they share servers.
    session.run("python", "-m", "pytest", "-n", "2", "--dist", "loadfile", *chosen, *session.posargs)


@nox.session(python=FOUND[-1:])
def newest(session: nox.Session) -> None:
    """Libraries of which `FULL` is too old for the newest versions, on the newest interpreter."""
    session.install("--quiet", "--editable", ".", *TEST_TOOLS, *MOVED_ON)
    files = ("tests/libraries/test_django.py", "tests/libraries/test_quart.py")
    session.run("python", "-m", "pytest", *files, *session.posargs)


OLDEST_OF_ALL = [
    nox.param(oldest.python, library, id=library, tags=[library]) for library, oldest in MATRIX.items()
]
"""An environment for each library, in its oldest version; the tag is its name."""


@nox.session(default=False)
@nox.parametrize(["python", "library"], OLDEST_OF_ALL)
def matrix(session: nox.Session, library: str) -> None:
    """The tests of one library, with the oldest version of it that we promise to trace."""
    oldest = MATRIX[library]
    rows = [hook for hook in HOOKS if hook.library == library]
    pinned = f"{rows[0].distribution}=={oldest.version}"
    session.install("--quiet", "--editable", ".", *TEST_TOOLS, pinned, *oldest.companions.split())
    files = oldest.tests.split()
    chosen = " or ".join([*(hook.module for hook in rows), *(Path(file).name for file in files)])
    if oldest.skipped:
        chosen = f"({chosen}) and not ({' or '.join(oldest.skipped)})"
    # Old versions use what newer interpreters warn of.
    run = ("python", "-m", "pytest", "-p", "no:cacheprovider", "-W", "ignore")
    session.run(*run, "tests/contract/test_hooks.py", *files, "-k", chosen, *session.posargs)
