"""What a follower of the store takes for new."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from stores import fill, record

from autotrace.store.arrivals import Mark
from autotrace.store.connection import open_reader
from autotrace.store.removal import remove

if TYPE_CHECKING:
    from pathlib import Path


def store(path: Path, *traces: int) -> None:
    fill(path, *(record(trace_id=trace, span_id=trace) for trace in traces))


def look(mark: Mark, path: Path) -> tuple[int, int]:
    with closing(open_reader(str(path))) as connection:
        return mark.advance(connection)


def test_what_came_since_is_new(tmp_path: Path) -> None:
    path, mark = tmp_path / "traces.db", Mark()
    store(path, 1, 2)
    assert look(mark, path) == (0, 2)
    assert look(mark, path) == (2, 2)
    store(path, 3)
    assert look(mark, path) == (2, 3)


def test_what_is_left_when_the_newest_are_deleted_is_not(tmp_path: Path) -> None:
    path, mark = tmp_path / "traces.db", Mark()
    store(path, 1, 2, 3)
    look(mark, path)
    remove(str(path), 3)
    assert look(mark, path) == (2, 2)
    store(path, 4)
    assert look(mark, path) == (2, 3)


def test_an_emptied_store_begins_anew(tmp_path: Path) -> None:
    path, mark = tmp_path / "traces.db", Mark()
    store(path, 1, 2, 3)
    look(mark, path)
    remove(str(path), None)
    store(path, 4)
    assert look(mark, path) == (0, 1)
