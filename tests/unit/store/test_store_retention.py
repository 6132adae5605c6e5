"""The store stays within its bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from stores import ask, fill, is_sound, record, soon, tell, writer

from autotrace.store.removal import STEP_SPANS
from autotrace.tracing.resource import Resource

if TYPE_CHECKING:
    from pathlib import Path

    from autotrace.store.writer import Writer

MIB = 2**20


def size(path: Path) -> int:
    """Of the database with what belongs to it."""
    return sum(each.stat().st_size for each in path.parent.iterdir() if each.suffix != ".db-shm")


def write_traces(one: Writer, first: int, count: int, attributes: int = 400) -> None:
    for start in range(first, first + count, 50):
        batch = [
            record(trace_id=number, span_id=n, name=f"op {number}", attributes={"text": "x" * attributes})
            for number in range(start, min(start + 50, first + count))
            for n in (1, 2)
        ]
        assert one.write(batch, soon()) == 0


def settle(one: Writer, path: Path) -> None:
    """Write until retention has nothing more to do."""
    before = None
    while (
        now := ask(path, "SELECT (SELECT count(*) FROM spans), (SELECT count(*) FROM operations)")
    ) != before:
        before = now
        one._retain(soon())


def test_the_oldest_traces_make_room(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    one = writer(path, max_bytes=MIB)
    largest = 0
    for start in range(1, 4001, 400):
        write_traces(one, start, 400)
        settle(one, path)
        largest = max(largest, ask(path, "PRAGMA page_count")[0][0] * 4096)
    one.close()

    assert largest <= MIB
    assert size(path) <= MIB
    assert is_sound(path)
    ((oldest, newest, traces),) = ask(path, "SELECT min(name), max(name), count(*) FROM operations")
    kept = [int(name.split()[1]) for (name,) in ask(path, "SELECT name FROM operations ORDER BY id")]
    assert kept == list(range(4001 - traces, 4001)), (oldest, newest)
    assert 400 < traces < 2000
    assert ask(path, "SELECT count(*), min(spans), max(spans) FROM traces") == [(traces, 2, 2)]


def test_a_trace_that_is_larger_than_a_step_goes_whole(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    one = writer(path, max_bytes=MIB)
    one.write(
        [record(trace_id=1, span_id=n + 1, attributes={"t": "x" * 300}) for n in range(3 * STEP_SPANS)],
        soon(),
    )
    write_traces(one, 2, 10)
    settle(one, path)
    one.close()
    assert ask(path, "SELECT count(*), sum(spans) FROM traces") == [(10, 20)]
    assert ask(path, "SELECT count(*) FROM spans") == [(20,)]


def test_aged_traces_go_and_the_file_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    one = writer(path)
    write_traces(one, 1, 1, attributes=1)
    write_traces(one, 2, 4000, attributes=1200)
    one.close()
    full = size(path)
    tell(path, "UPDATE traces SET written = written - 3601 WHERE id > 1")  # the first one still goes on

    one = writer(path, max_age=3600)
    write_traces(one, 9001, 1)
    settle(one, path)
    one.close()
    assert ask(path, "SELECT count(*) FROM traces") == [(2,)]
    assert ask(path, "SELECT count(*) FROM spans") == [(4,)]
    assert is_sound(path)
    assert full > 8 * MIB
    assert size(path) < 5 * MIB  # some free pages stay for what comes


def test_a_lower_limit_shrinks_the_file(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    one = writer(path)
    write_traces(one, 1, 2000, attributes=1200)
    one.close()
    assert size(path) > 4 * MIB
    one = writer(path, max_bytes=2 * MIB)
    write_traces(one, 3001, 1)
    settle(one, path)
    one.close()
    assert size(path) <= 2 * MIB
    assert is_sound(path)


def test_names_that_no_span_uses_any_more_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    fill(path, record(trace_id=1, name="gone", resource=Resource({"service.name": "gone"})))
    fill(path, record(trace_id=2, name="kept", resource=Resource({"service.name": "kept"})))
    tell(path, "UPDATE traces SET written = 0 WHERE id = 1")
    one = writer(path)
    one.write([record(trace_id=3, name="kept", resource=Resource({"service.name": "kept"}))], soon())
    one.close()
    for table in ("services", "operations"):
        assert ask(path, f"SELECT name FROM {table}") == [("kept",)]
    assert ask(path, "SELECT count(*) FROM resources") == [(1,)]
    assert ask(path, "SELECT count(*) FROM scopes") == [(1,)]


def test_an_evicted_trace_may_begin_again(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    fill(path, record(trace_id=1), record(trace_id=2))
    tell(path, "UPDATE traces SET written = 0")
    one = writer(path)
    one.write([record(trace_id=3)], soon())
    one.write([record(trace_id=1, span_id=5)], soon())
    one.close()
    assert ask(path, "SELECT hex(trace_id) LIKE '%1', spans FROM traces ORDER BY id") == [(0, 1), (1, 1)]


@pytest.mark.slow
def test_the_write_lock_is_never_held_long(tmp_path: Path) -> None:
    """One step of a full store, as measured by the writer that has to wait for it."""
    import time

    path = tmp_path / "traces.db"
    one = writer(path, max_bytes=64 * MIB)
    for batch in range(40):
        one.write([record(trace_id=batch * 100 + n % 100 + 1, span_id=n + 1) for n in range(1000)], soon())
    one._retention.max_bytes = MIB
    slowest = 0.0
    more = True
    while more:
        begin = time.perf_counter()
        more = one._locked(one._retention.step, soon())
        slowest = max(slowest, time.perf_counter() - begin)
    one.close()
    print(f"slowest step: {slowest * 1e3:.1f} ms")
    assert slowest < 0.5
