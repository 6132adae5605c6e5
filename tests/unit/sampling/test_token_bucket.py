"""So many per second, on a clock of the test's."""

from __future__ import annotations

import threading

import pytest

from autotrace.sampling import token_bucket
from autotrace.sampling.token_bucket import TokenBucket


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(token_bucket, "monotonic", clock)
    return clock


def granted(bucket, times=1000):
    return sum(bucket.grant() for _ in range(times))


def test_grants_a_second_worth_at_once_and_then_as_time_passes(clock):
    bucket = TokenBucket(5, full=True)
    assert granted(bucket) == 5
    clock.now += 1
    assert granted(bucket) == 5
    clock.now += 0.2
    assert granted(bucket) == 1


def test_holds_no_more_than_a_second_worth(clock):
    bucket = TokenBucket(5, full=True)
    clock.now += 3600
    assert granted(bucket) == 5


def test_a_rate_below_one(clock):
    bucket = TokenBucket(0.1, full=True)
    assert granted(bucket) == 1
    clock.now += 9.9
    assert granted(bucket) == 0
    clock.now += 0.2
    assert granted(bucket) == 1


def test_a_rate_of_nothing_never_grants(clock):
    bucket = TokenBucket(0, full=True)
    clock.now += 1e6
    assert granted(bucket) == 0


def test_buckets_do_not_all_begin_full(clock):
    begun = [granted(TokenBucket(100)) for _ in range(50)]
    assert all(0 <= count <= 100 for count in begun)
    assert len(set(begun)) > 10


def test_a_change_keeps_the_share_that_is_left(clock):
    bucket = TokenBucket(10, full=True)
    assert granted(bucket, 5) == 5
    bucket.change(100)
    assert granted(bucket) == 50
    bucket.change(0.5)
    clock.now += 2.1
    assert granted(bucket) == 1


def test_threads_share_what_there_is(clock):
    bucket = TokenBucket(1000, full=True)
    counts = []
    threads = [threading.Thread(target=lambda: counts.append(granted(bucket))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 1000
