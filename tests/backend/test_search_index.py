"""The index finds what looking at every span finds, whatever happens to it or to the store."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from viewer_server import MS, START, span, write

from autotrace.backend.archive import Archive
from autotrace.backend.search import bits, indexer
from autotrace.backend.search.finder import Finder
from autotrace.backend.search.indexer import Indexer
from autotrace.backend.search.side_file import SideFile
from autotrace.store import files
from autotrace.store.reader import Reader
from autotrace.store.records import EventRecord, LinkRecord, ResourceRecord
from autotrace.store.search import Query
from autotrace.store.tags import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotrace.store.records import SpanRecord

HOSTS = [
    ResourceRecord({"service.name": service, "host.name": f"node{number}", "process.pid": number})
    for service in ("shop", "payments", "mail")
    for number in range(3)
]
VALUES: list[Any] = [
    "GET",
    "",
    "true",
    True,
    False,
    7,
    2**60,
    0.5,
    1.0,
    1e-5,
    b"ab",
    ("a", 1),
    "ünï\ud800",
    None,
]


def random_spans(count: int, seed: int = 1, at: float = 0) -> list[SpanRecord]:
    rnd = random.Random(seed)
    spans = []
    for number in range(count):
        fields: dict[str, Any] = {
            "attributes": {
                "user": f"u{rnd.randrange(count)}",
                "route": f"/r{rnd.randrange(9)}",
                "value": rnd.choice(VALUES),
            }
        }
        if rnd.random() < 0.02:
            fields["events"] = (EventRecord("exception", START, {"exception.type": f"E{rnd.randrange(5)}"}),)
        if rnd.random() < 0.02:
            fields["links"] = (LinkRecord(1, 2, 0, "", {"why": f"w{rnd.randrange(3)}"}),)
        spans.append(
            span(
                (seed << 64) + number // 5 + 1,
                number + 1,
                0,
                at + number,
                None if rnd.random() < 0.02 else rnd.uniform(0.001, 100),
                rnd.choice(HOSTS),
                f"op{rnd.randrange(4)}",
                error=rnd.random() < 0.1,
                **fields,
            )
        )
    return spans


QUERIES = [
    Query(tags=(("route", "/r3"),)),
    Query(tags=(("route", "/r3"), ("host.name", "node1"))),
    Query(tags=(("route", "/r3"),), service="mail", operation="op2", errors_only=True),
    Query(tags=(("host.name", "node1"),), min_duration=99 * MS),
    Query(tags=(("host.name", "node1"),), max_duration=MS // 100),
    Query(tags=(("route", "/r1"),), min_duration=50 * MS, max_duration=51 * MS),
    Query(tags=(("route", "/r1"),), start=START + 2000 * MS, end=START + 2100 * MS),
    Query(tags=(("exception.type", "E2"),)),
    Query(tags=(("why", "w1"), ("service.name", "shop"))),
    Query(tags=(("process.pid", "2"),), limit=100_000),
    Query(tags=(("user", "u77"),)),
    Query(tags=(("user", "nobody"),)),
    Query(tags=(("route", "/r3"), ("route", "/r4"))),
    Query(operation="op1", errors_only=True, min_duration=98 * MS),
    Query(max_duration=MS // 500),
    *(Query(tags=(("value", text_of(value)),), limit=50) for value in VALUES),
]


class Store:
    """A store, and its index, which is brought up to date when asked."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.index = f"{path}.index"
        self.finder = Finder(self.path, self.index)

    def write(self, spans: list[SpanRecord]) -> None:
        for low in range(0, len(spans), 5000):
            write(self.path, spans[low : low + 5000])

    def build(self, chunks: int) -> None:
        """Let an indexer run until that many chunks are there."""
        one = Indexer(self.path, self.index)
        try:
            deadline = time.monotonic() + 60
            while self.indexed() < chunks:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            one.close()

    def indexed(self) -> int:
        """How many chunks there are; 0 also while the indexer throws the file away under us."""
        identity = files.identity(self.path)
        assert identity is not None
        if files.identity(self.index) is None:
            return 0
        with suppress(sqlite3.OperationalError), closing(SideFile(self.index, identity)) as side:
            return len(list(side.chunks(0, 2**63 - 1)))
        return 0

    def agrees(self) -> None:
        """What the index finds is what looking at every span finds."""
        with Reader(self.path) as reader:
            for query in QUERIES:
                found = self.finder.find(reader, query)
                if query.tags:  # without, the store goes by start
                    assert found == reader.matching(query), query
                else:
                    assert set(found) == set(reader.matching(query)) or len(found) == query.limit, query


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexer, "_REST", 0.0)
    monkeypatch.setattr(indexer, "_IDLE", 0.05)


@pytest.fixture(scope="module")
def spans() -> list[SpanRecord]:
    return random_spans(2 * bits.CHUNK + 2000)


@pytest.fixture
def store(tmp_path: Path, spans: list[SpanRecord]) -> Iterator[Store]:
    one = Store(tmp_path / "traces.db")
    one.write(spans)
    yield one
    one.finder.close()


def test_it_finds_what_a_scan_finds(store: Store) -> None:
    store.agrees()  # none yet
    store.build(2)
    assert store.indexed() == 2
    store.agrees()
    store.write(random_spans(3000, seed=2, at=50_000))  # not indexed
    store.agrees()
    assert Path(store.index).stat().st_mode & 0o777 == 0o600


def test_evicted_spans_are_not_found(store: Store) -> None:
    store.build(2)
    with Reader(store.path) as reader:
        (before,) = store.finder.find(reader, Query(tags=(("user", user_of(reader)),), limit=1))
    delete(store, f"id <= {bits.CHUNK + 100}")
    store.agrees()
    with Reader(store.path) as reader:
        assert store.finder.find(reader, Query(tags=(("route", "/r3"),), limit=10**6))
    assert before
    one = Indexer(store.path, store.index)
    try:
        deadline = time.monotonic() + 30
        while store.indexed() > 1:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        one.close()
    store.agrees()


def user_of(reader: Reader) -> str:
    with reader.snapshot() as connection:
        (user,) = connection.execute(
            "SELECT json_extract(attributes, '$.user') FROM spans LIMIT 1"
        ).fetchone()
    return str(user)


def delete(store: Store, condition: str) -> None:
    connection = sqlite3.connect(store.path)
    with connection:
        connection.execute(f"DELETE FROM spans WHERE {condition}")
    connection.close()


def test_a_store_that_was_emptied_is_indexed_anew(store: Store) -> None:
    store.build(2)
    delete(store, "true")
    store.write(random_spans(3000, seed=3))
    store.agrees()
    store.write(random_spans(bits.CHUNK, seed=4))
    store.agrees()
    store.build(1)
    store.agrees()


def test_ids_that_are_given_anew_after_a_deletion(store: Store) -> None:
    """The newest spans are deleted through the archive, and others get their ids."""
    last = random_spans(bits.CHUNK, seed=6)
    store.write([each._replace(trace_id=1) for each in last])
    store.build(3)
    archive = Archive(store.path)
    try:
        assert asyncio.run(archive.remove(1)) == 1
    finally:
        archive.close()
    store.write(random_spans(bits.CHUNK, seed=7))
    store.agrees()
    store.build(2)
    store.agrees()


def test_another_store_in_its_place_is_indexed_anew(store: Store, tmp_path: Path) -> None:
    store.build(2)
    store.agrees()
    aside = tmp_path / "aside"
    Path(store.path).rename(aside)
    store.write(random_spans(bits.CHUNK + 2000, seed=5))
    store.agrees()
    store.build(1)
    store.agrees()


@pytest.mark.parametrize("content", [b"no database at all" * 1000, b""])
def test_a_damaged_index_is_made_anew(store: Store, content: bytes) -> None:
    store.build(2)
    store.agrees()
    store.finder.close()
    for suffix in ("-wal", "-shm"):
        Path(store.index + suffix).unlink(missing_ok=True)
    Path(store.index).write_bytes(content)
    store.agrees()
    store.build(2)
    store.agrees()


def test_two_processes_may_build_it(store: Store) -> None:
    one, two = Indexer(store.path, store.index), Indexer(store.path, store.index)
    store.build(2)
    one.close()
    two.close()
    assert store.indexed() == 2
    store.agrees()


@pytest.mark.parametrize("members", [[], [0], [8191], [1, 5, 8000], list(range(600)), list(range(8192))])
def test_sets_survive_being_stored(members: list[int]) -> None:
    assert bits.unpacked(bits.packed(members)) == bits.of(members)
    assert bits.unpacked(bits.packed_bits(bits.of(members))) == bits.of(members)
    assert list(bits.positions(bits.of(members))) == members[::-1]
