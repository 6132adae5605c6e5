"""A store in a temporary directory, and child processes that write to one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spans import make_span

import autotrace
from autotrace.export.records import Records
from autotrace.store.writer import Writer

if TYPE_CHECKING:
    from autotrace.store.records import SpanRecord

_records = Records()
LARGE = 256 * 2**20
WEEK = 7 * 86400.0
TESTS = Path(__file__).parents[2]
_PATHS = os.pathsep.join([str(TESTS), str(Path(__file__).parent), str(Path(autotrace.__file__).parents[1])])


def soon(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


def record(**fields: Any) -> SpanRecord:
    return _records.of(make_span(**fields))


def writer(path: Path, max_bytes: int = LARGE, max_age: float = WEEK) -> Writer:
    return Writer(str(path), max_bytes, max_age)


def fill(path: Path, *records: SpanRecord) -> None:
    """Write the records in one batch."""
    one = writer(path)
    assert one.write(records, soon()) == 0
    one.close()


def ask(path: Path, query: str) -> list[tuple[Any, ...]]:
    """What SQLite itself says."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def tell(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


def is_sound(path: Path) -> bool:
    return ask(path, "PRAGMA integrity_check") == [("ok",)]


def child(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    """A real interpreter that runs `code`, and sees the tests' helpers."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": _PATHS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process: subprocess.Popen[str], text: str = "") -> str:
    """Its stdout; it must end well."""
    out, err = process.communicate(text, timeout=60)
    assert process.returncode == 0, err
    return out
