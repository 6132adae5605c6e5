"""The local exporter: spans arrive in the file, and whatever the machine does comes back as a reason."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from spans import make_span

import autotrace
from autotrace import settings
from autotrace.export.local import LocalExporter, from_settings
from autotrace.store.reader import Reader
from autotrace.store.search import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATHS = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(autotrace.__file__).parents[1])])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "traces.db"


@pytest.fixture
def exporter(path: Path) -> Iterator[LocalExporter]:
    one = LocalExporter(str(path), 2**28, 86400.0)
    yield one
    one.shutdown()


def export(exporter: LocalExporter, *spans: Any, within: float = 20.0) -> dict[str, int]:
    return dict(exporter.export(spans or [make_span()], time.monotonic() + within))


def stored(path: Path) -> int:
    with Reader(str(path)) as reader:
        return sum(trace.spans for trace in reader.search(Query()))


def in_child(code: str, *arguments: object, before: str = "") -> str:
    """Run `code` in an interpreter of its own; its stderr follows its stdout."""
    begin = f"""
import os, sys, time
{before}
from autotrace.export.local import LocalExporter
from spans import make_span
def export(*spans):
    return dict(exporter.export(spans or [make_span()], time.monotonic() + 5))
exporter = LocalExporter(sys.argv[1], 2**28, 86400.0)
{code}
"""
    done = subprocess.run(
        [sys.executable, "-c", begin, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": _PATHS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_spans_arrive(exporter: LocalExporter, path: Path) -> None:
    assert export(exporter, make_span(), make_span(span_id=1), make_span(trace_id=2)) == {}
    assert export(exporter) == {}
    assert stored(path) == 4
    assert exporter.destination == str(path)


@pytest.mark.parametrize(
    ("home", "environ", "expected"),
    [
        ("/there", {"XDG_STATE_HOME": "/state"}, "/there/traces.db"),
        ("~/there", {}, "HOME/there/traces.db"),
        ("", {"XDG_STATE_HOME": "/state"}, "/state/autotrace/traces.db"),
        ("", {"XDG_STATE_HOME": "state"}, "HOME/.local/state/autotrace/traces.db"),
        ("", {}, "HOME/.local/state/autotrace/traces.db"),
    ],
)
def test_where_the_store_is(
    home: str, environ: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    for name, value in {"HOME": str(tmp_path), **environ}.items():
        monkeypatch.setenv(name, value)
    environ = {"AUTOTRACE_HOME": home} if home else {}
    assert from_settings(settings.parse(environ)).destination == expected.replace("HOME", str(tmp_path))


def test_the_store_does_not_pass_through_what_we_patch(
    exporter: LocalExporter, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the store would trace itself")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", refuse)
    assert export(exporter) == {}
    assert stored(path) == 1


def test_an_odd_span_costs_itself_alone(exporter: LocalExporter, path: Path) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError

    spans = [
        make_span(span_id=1),
        make_span(trace_id=2**128),
        make_span(span_id=2**64),
        make_span(attributes={"k": Hostile()}),
        make_span(kind=None),
        make_span(span_id=2, name="lone \ud800 surrogate", status_description=5, attributes={"k": object()}),
    ]
    assert export(exporter, *spans) == {"span could not be encoded": 4}
    assert stored(path) == 2
    assert export(exporter, make_span(kind=None)) == {"span could not be encoded": 1}


def test_a_locked_store_is_waited_for_until_the_deadline(exporter: LocalExporter, path: Path) -> None:
    export(exporter)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begin = time.monotonic()
    assert export(exporter, within=0.3) == {"store is busy": 1}
    assert 0.25 < time.monotonic() - begin < 2
    other.execute("ROLLBACK")
    other.close()
    assert export(exporter) == {}
    assert stored(path) == 2


@pytest.mark.parametrize("content", [b"no database " * 500, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_corrupt_store_is_kept_aside_and_a_new_one_begun(
    path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    (path.parent / "traces.db.corrupt-20200101T000000").touch()
    exporter = LocalExporter(str(path), 2**28, 86400.0)
    assert export(exporter) == export(exporter) == {}
    exporter.shutdown()
    assert stored(path) == 2
    (aside,) = path.parent.glob("traces.db.corrupt-*")
    assert aside.read_bytes() == content
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("autotrace: the trace store was corrupt; it is kept as ")
    assert str(aside) in line


def test_damage_in_the_middle_of_a_store_is_found_when_it_matters(
    exporter: LocalExporter, path: Path
) -> None:
    export(exporter, *(make_span(span_id=n + 1, attributes={"t": "x" * 500}) for n in range(500)))
    exporter.shutdown()
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
    assert export(exporter) == {}
    assert stored(path) == 1


def test_a_removed_store_is_made_again(exporter: LocalExporter, path: Path) -> None:
    """And neither what is left of the old one disturbs it, nor does closing the old one hurt it."""
    export(exporter)
    path.unlink()
    assert export(exporter) == {}
    assert stored(path) == 1
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    assert export(exporter) == export(exporter) == {}
    exporter.shutdown()
    assert stored(path) == 2


def test_a_newer_store_is_left_alone(exporter: LocalExporter, path: Path) -> None:
    export(exporter)
    exporter.shutdown()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    assert export(exporter) == {"store was made by a newer autotrace": 1}
    assert path.read_bytes() == before


@pytest.mark.parametrize("home", ["file", "/proc/autotrace", "x" * 300, "file/in/file"])
def test_a_home_that_cannot_be_made(tmp_path: Path, home: str) -> None:
    (tmp_path / "file").touch()
    exporter = LocalExporter(str(tmp_path / home / "traces.db"), 2**28, 86400.0)
    (reason,) = export(exporter)
    assert reason.startswith("store cannot be opened: ")
    exporter.shutdown()


def as_nobody(path: Path) -> str:
    """Code that drops root's rights, for which no permission counts; nothing for others."""
    os.chmod(path.parent, 0o555)
    for file in path.parent.iterdir():
        os.chmod(file, 0o444)
    return "" if os.geteuid() else "import autotrace.store.writer\nos.setgid(65534); os.setuid(65534)"


def test_a_store_that_may_not_be_written() -> None:
    home = Path(tempfile.mkdtemp())  # not tmp_path: that lies under a directory of root's alone
    try:
        path = home / "traces.db"
        exporter = LocalExporter(str(path), 2**28, 86400.0)
        export(exporter)
        exporter.shutdown()
        keeper = sqlite3.connect(path)  # keeps the WAL files in being, which a reader needs
        keeper.execute("SELECT count(*) FROM spans").fetchone()
        code = as_nobody(path) + "\nprint(export())"
        assert in_child(code, path) == "{'store is read-only': 1}\n"
        keeper.close()
    finally:
        os.chmod(home, 0o755)
        shutil.rmtree(home)


def test_a_full_disk(path: Path) -> None:
    """A limit on file sizes stands in for it: SQLite hears of both from the same system call."""
    out = in_child(
        """
import resource, signal
assert export() == {}
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
losses, begin = [], time.monotonic()
for batch in range(30):
    spans = [make_span(trace_id=batch + 9, span_id=n + 1, attributes={"t": "x" * 900}) for n in range(40)]
    losses.append(export(*spans))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert losses[0] == {} and losses[-1] != {}, losses
assert {reason for loss in losses for reason in loss} <= {"disk full", "disk error"}, losses
assert time.monotonic() - begin < 5
assert export() == {}  # once there is room again
print(40 * losses.count({}) + 2)
exporter.shutdown()
""",
        path,
    )
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT count(*) FROM spans").fetchall() == [(int(out),)]
    connection.close()


def test_an_interpreter_without_sqlite(path: Path) -> None:
    out = in_child(
        "print(export(), export(make_span(), make_span())); exporter.shutdown()",
        path,
        before="sys.modules['sqlite3'] = sys.modules['_sqlite3'] = None",
    )
    notice, losses = out.splitlines()
    assert notice.startswith("autotrace: no sqlite3 in this interpreter: ")
    reason = "no sqlite3 in this interpreter"
    assert losses == f"{{'{reason}': 1}} {{'{reason}': 2}}"


def test_importing_the_exporter_imports_no_sqlite(path: Path) -> None:
    before = "import autotrace.export.local, autotrace.export.console; print('sqlite3' in sys.modules)"
    assert in_child("", path, before=before) == "False\n"
