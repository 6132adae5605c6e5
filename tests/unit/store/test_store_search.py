"""Which traces a query finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from spans import START
from stores import fill, record, tell

from autotrace.store.errors import StoreError, StoreMissingError
from autotrace.store.reader import Reader
from autotrace.store.search import Query
from autotrace.tracing.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MS = 1_000_000
SECOND = 1000 * MS


def span(trace: int, number: int, service: str, name: str, at: int, milliseconds: int, **fields: Any) -> Any:
    start = START + at * SECOND
    return record(
        trace_id=trace,
        span_id=number,
        parent_id=number - 1,
        name=name,
        resource=Resource({"service.name": service}),
        start_time=start,
        end_time=start + milliseconds * MS,
        **fields,
    )


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    path = tmp_path / "traces.db"
    failed = {"status_code": StatusCode.ERROR}
    fill(path, span(1, 1, "shop", "GET /", 0, 100), span(1, 2, "stock", "SELECT", 0, 50))
    fill(path, span(2, 2, "stock", "SELECT", 10, 500, **failed), span(2, 1, "shop", "GET /", 9, 600))
    fill(path, span(3, 1, "stock", "tidy", 20, 5, kind=SpanKind.INTERNAL))
    with Reader(str(path)) as one:
        yield one


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), [3, 2, 1]),
        (Query(limit=1), [3]),
        (Query(service="shop"), [2, 1]),
        (Query(service="stock", limit=2), [3, 2]),
        (Query(service="nobody"), []),
        (Query(operation="SELECT"), [2, 1]),
        (Query(service="shop", operation="SELECT"), []),
        (Query(errors_only=True), [2]),
        (Query(service="shop", errors_only=True), []),
        (Query(service="stock", errors_only=True), [2]),
        (Query(min_duration=100 * MS), [2, 1]),
        (Query(min_duration=101 * MS), [2]),
        (Query(service="stock", min_duration=50 * MS, max_duration=50 * MS), [1]),
        (Query(max_duration=5 * MS), [3]),
        (Query(start=START + 10 * SECOND), [3, 2]),
        (Query(service="shop", start=START + 10 * SECOND), []),
        (Query(service="shop", end=START), [1]),
        (Query(end=START + 9 * SECOND), [2, 1]),
    ],
)
def test_one_span_meets_all_conditions(reader: Reader, query: Query, found: list[int]) -> None:
    assert [trace.trace_id for trace in reader.search(query)] == found


def test_names(reader: Reader) -> None:
    assert reader.services() == ["shop", "stock"]
    assert reader.operations("stock") == [("SELECT", 2), ("tidy", 1)]
    assert reader.operations("nobody") == []


def test_a_summary_covers_all_batches_of_a_trace(reader: Reader) -> None:
    """The root came last, and is the root all the same."""
    (_, second, _) = reader.search(Query())
    assert second == reader.summary(2)
    assert second.start == START + 9 * SECOND
    assert second.duration == 1500 * MS
    assert (second.spans, second.errors) == (2, 1)
    assert (second.root_service, second.root_name) == ("shop", "GET /")
    assert second.services == ("shop", "stock")
    assert reader.summary(99) is None


def test_a_trace_in_parts_is_one(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    for number in (3, 2, 1):
        fill(path, span(7, number, "shop", f"n{number}", number, 10))
    with Reader(str(path)) as reader:
        (only,) = reader.search(Query())
        assert [each.span_id for each in reader.trace(7)] == [3, 2, 1]
    assert (only.spans, only.root_name, only.start) == (3, "n1", START + SECOND)


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", 0),
        ("abc", 2),
        ("ABCD", 1),
        ("abce0", 1),
        ("b", 0),
        ("xyz", 0),
        ("ab ", 0),
        ("1" * 33, 0),
        ("%", 0),
    ],
)
def test_a_trace_is_found_by_its_first_digits(tmp_path: Path, prefix: str, found: int) -> None:
    path = tmp_path / "traces.db"
    fill(path, record(trace_id=0xABCD << 112), record(trace_id=0xABCE0 << 44))
    with Reader(str(path)) as reader:
        assert len(reader.find(prefix)) == found


def test_the_last_trace_is_the_one_that_arrived_last(reader: Reader, tmp_path: Path) -> None:
    assert reader.last() == 3
    fill(tmp_path / "traces.db", record(trace_id=9, start_time=1, end_time=2))
    assert reader.last() == 9


def test_no_store_is_told_from_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(StoreMissingError):
        Reader(str(tmp_path / "traces.db"))
    (tmp_path / "traces.db").write_text("this is not SQLite" * 100)
    with pytest.raises(StoreError, match="store is corrupt"):
        Reader(str(tmp_path / "traces.db"))


@pytest.mark.parametrize(
    ("pragma", "reason"),
    [
        ("user_version = 99", "store was made by a newer autotrace"),
        ("application_id = 1", "file is not an autotrace"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, pragma: str, reason: str) -> None:
    fill(tmp_path / "traces.db", record())
    tell(tmp_path / "traces.db", f"PRAGMA {pragma}")
    with pytest.raises(StoreError, match=reason):
        Reader(str(tmp_path / "traces.db"))
    with pytest.raises(StoreError, match=reason):
        fill(tmp_path / "traces.db", record())


def test_a_reader_cannot_write(reader: Reader) -> None:
    with pytest.raises(Exception, match="readonly"):
        reader._connection.execute("DELETE FROM spans")


def test_a_path_may_look_like_a_uri(tmp_path: Path) -> None:
    path = tmp_path / "50% off?#1" / "traces.db"
    fill(path, record())
    with Reader(str(path)) as reader:
        assert len(reader.search(Query())) == 1
