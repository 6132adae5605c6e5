"""Many processes write at once, are killed, and fork."""

from __future__ import annotations

import os
import random
import stat
import time
from typing import TYPE_CHECKING

import pytest
from stores import ask, child, fill, finish, is_sound, record

if TYPE_CHECKING:
    from pathlib import Path

WRITE = """
import sys
from stores import record, soon, writer

path, me, batches = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sys.stdin.read()  # until all are ready
one = writer(path)
for batch in range(batches):
    records = [record(trace_id=(me << 64) + batch // 4 + 1, span_id=batch * 10 + n + 1) for n in range(5)]
    assert one.write(records, soon(50)) == 0
one.close()
"""


def test_nothing_is_lost_when_many_write_at_once(tmp_path: Path) -> None:
    """They also create the store at once, in a directory that does not exist."""
    path = tmp_path / "state" / "autotrace" / "traces.db"
    old = os.umask(0)
    try:
        writers = [child(WRITE, path, me, 40) for me in range(1, 6)]
    finally:
        os.umask(old)
    for one in writers:
        assert one.stdin is not None
        one.stdin.close()
        one.stdin = None  # communicate() must not close it again
    for one in writers:
        finish(one)

    assert is_sound(path)
    assert ask(path, "SELECT count(*), count(DISTINCT trace || '-' || span_id) FROM spans") == [(1000, 1000)]
    assert ask(path, "SELECT count(*), min(spans), max(spans), sum(spans) FROM traces") == [
        (50, 20, 20, 1000)
    ]
    assert ask(path, "SELECT count(*) FROM resources") == [(1,)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["traces.db"]


WRITE_FOR_EVER = """
import sys
from stores import record, soon, writer

one, number = writer(sys.argv[1]), int(sys.argv[2])
while True:
    number += 1
    batch = [record(trace_id=number, span_id=n + 1, attributes={"text": "x" * 1000}) for n in range(20)]
    one.write(batch, soon())
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_whole_batches(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    acknowledged = 0
    for run in range(1, 5):
        with child(WRITE_FOR_EVER, path, run * 1_000_000) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(random.uniform(0.01, 0.06))  # anywhere in the middle of it
            process.kill()
            acknowledged += 1 + len(process.stdout.read().splitlines())
        assert is_sound(path)

    assert ask(path, "SELECT min(spans), max(spans) FROM traces") == [(20, 20)]
    ((stored,),) = ask(path, "SELECT count(*) FROM traces")
    assert acknowledged <= stored <= acknowledged + 4  # committed, and killed before it could say so
    assert ask(path, "SELECT count(*) FROM spans") == [(20 * stored,)]


FORK = """
import os, sys
from stores import record, soon, writer

path, one = sys.argv[1], writer(sys.argv[1])
one.write([record(trace_id=1)], soon())
for number in range(2, 8):
    if os.fork() == 0:
        inherited = one._holder.connection
        one.write([record(trace_id=number, span_id=n + 1) for n in range(3)], soon())
        one.write([record(trace_id=number, span_id=9)], soon())
        os._exit(0 if inherited is None else 1)
    one.write([record(trace_id=1, span_id=number)], soon())
for number in range(2, 8):
    assert os.wait()[1] == 0
one.write([record(trace_id=1, span_id=100)], soon())
one.close()
"""


def test_parent_and_children_write_across_forks(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    finish(child(FORK, path))
    assert is_sound(path)
    assert ask(path, "SELECT spans, count(*) FROM traces GROUP BY spans") == [(4, 6), (8, 1)]


FORK_IN_THE_MIDDLE = """
import os, sys, threading
from autotrace.store.errors import StoreError
from stores import record, soon, writer

one = writer(sys.argv[1])
one.write([record(trace_id=1)], soon())
with one._holder.lock:  # as a write holds it that hangs in a slow disk
    pid = os.fork()
    if pid == 0:
        for again in (one, writer(sys.argv[1])):
            try:
                again.write([record(trace_id=2)], soon())
                os._exit(1)
            except StoreError as error:
                assert error.reason == "store was in use when this process was forked"
        os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
one.write([record(trace_id=3)], soon())
one.close()
"""


def test_a_child_forked_in_the_middle_of_a_write_stays_away(tmp_path: Path) -> None:
    """It could not write safely, not even through a connection of its own."""
    path = tmp_path / "traces.db"
    finish(child(FORK_IN_THE_MIDDLE, path))
    assert is_sound(path)
    assert ask(path, "SELECT count(*) FROM traces") == [(2,)]


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    fill(path, record())
    process = child(
        """
import sys
from autotrace.store.connection import open_writer
from stores import soon
connection = open_writer(sys.argv[1], soon())
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE traces SET spans = 77")
print("locked", flush=True)
sys.stdin.read()
""",
        path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    begin = time.monotonic()
    assert ask(path, "SELECT spans FROM traces") == [(1,)]
    assert time.monotonic() - begin < 1
    finish(process)


@pytest.mark.parametrize("leftover", [".new", ".new-wal", "-wal", "-shm"])
def test_leftovers_of_a_killed_process_do_not_disturb(tmp_path: Path, leftover: str) -> None:
    """A WAL without its database would be replayed into the new one."""
    path = tmp_path / "traces.db"
    (tmp_path / f"traces.db{leftover}").write_bytes(b"\x37\x7f\x06\x82" * 1000)
    fill(path, record())
    assert is_sound(path)
    assert ask(path, "SELECT count(*) FROM spans") == [(1,)]


def test_an_empty_file_is_no_store_yet(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    path.touch()
    fill(path, record())
    assert ask(path, "SELECT count(*) FROM spans") == [(1,)]
