"""Durations and times as people write and read them."""

from __future__ import annotations

import re

import pytest

from autotrace.store.quantities import count, format_duration, format_time, full_id, parse_duration, short_id


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("0", 0), ("100ms", 10**8), ("1.5s", 15 * 10**8), (".5us", 500), ("2µs", 2000),
     ("2μs", 2000), ("7ns", 7), ("2m30s", 150 * 10**9), ("1h", 3600 * 10**9), ("1d", 86400 * 10**9)],
)  # fmt: skip
def test_a_duration_is_read(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "5", "ms", "-1s", "1 s", "1sx", "1x", "\u0661s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(None, "?"), (0, "0"), (999, "999 ns"), (1_000, "1.00 µs"), (9_994, "9.99 µs"), (9_996, "10.0 µs"),
     (99_960, "100 µs"), (999_499, "999 µs"), (999_600, "1.00 ms"), (52_400_000, "52.4 ms"),
     (999_600_000, "1.00 s"), (59_940_000_000, "59.9 s"), (59_960_000_000, "1m 00s"), (125 * 10**9, "2m 05s"),
     (3599_600_000_000, "1h 00m"), (11_520 * 10**9, "3h 12m"),
     (200_000 * 10**9, "2d 07h"), (2**63 - 1, "106751d"), (-5_000_000, "-5.00 ms")],
)  # fmt: skip
def test_a_duration_is_written_in_three_digits(nanoseconds: int, text: str) -> None:
    assert format_duration(nanoseconds) == text


def test_a_time_is_local_and_has_milliseconds() -> None:
    assert re.fullmatch(r"2023-11-1[45] \d\d:\d\d:\d\d\.042", format_time(1_700_000_000_042_000_000))


@pytest.mark.parametrize("nanoseconds", [0, 2**63 - 1, -(2**63), 10**40])
def test_no_time_is_too_odd_to_be_written(nanoseconds: int) -> None:
    assert format_time(nanoseconds)


def test_ids_and_counts() -> None:
    assert full_id(0x463AC35C9F6413AD) == "463ac35c9f6413ad"
    assert full_id(1 << 64) == "00000000000000010000000000000000"
    assert short_id(0xABCDEF0123 << 88) == "abcdef01"
    assert [count(number, "span") for number in (0, 1, 2000)] == ["0 spans", "1 span", "2,000 spans"]
