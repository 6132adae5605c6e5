"""From `put` to the exporter, with the real thread."""

from __future__ import annotations

import gc
import os
import threading
import time
import warnings
import weakref
from collections import Counter
from time import monotonic

import pytest
from forks import in_child
from opentelemetry import context as otel_context
from spans import make_span

from autotrace.export.pipeline import EXPORTER_FAILED, NOT_SENT_AT_EXIT, QUEUE_FULL, Pipeline
from autotrace.tracing.context import current, suppressed

SOON = 10.0
"""Seconds after which a test gives up waiting; nothing here takes as long."""


class Recorder:
    """Keeps what it is given, when, and on which thread; can be held up and can fail."""

    name = "recorder"
    destination = "memory"

    def __init__(self):
        self.batches = []
        self.deadlines = []
        self.times = []
        self.threads = set()
        self.suppressed = set()
        self.fails = 0
        self.losses = {}
        self.shut_down = 0
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self._news = threading.Condition()

    def export(self, spans, deadline):
        self.entered.set()
        self.go_on.wait(SOON)
        with self._news:
            self.deadlines.append(deadline)
            self.times.append(monotonic())
            self.threads.add(threading.current_thread().name)
            self.suppressed.add(suppressed(current()))
            if self.fails:
                self.fails -= 1
                self._news.notify_all()
                raise ConnectionError("backend is gone")
            self.batches.append([span.name for span in spans])
            self._news.notify_all()
        return self.losses

    def shutdown(self):
        self.shut_down += 1

    @property
    def names(self):
        return [name for batch in self.batches for name in batch]

    def wait_for(self, count):
        with self._news:
            assert self._news.wait_for(lambda: len(self.names) >= count, SOON), (
                f"{len(self.names)} of {count}"
            )


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def new_pipeline(recorder):
    """Makes pipelines to `recorder`, and ends them."""
    made = []

    def new(**arguments):
        pipeline = Pipeline("test", lambda: recorder, **arguments)
        made.append(pipeline)
        return pipeline

    yield new
    recorder.go_on.set()
    for pipeline in made:
        pipeline.shutdown()


def put(pipeline, *names, **fields):
    for name in names:
        pipeline.put(make_span(name=str(name), **fields))


def threads_of(pipeline):
    return [thread for thread in threading.enumerate() if thread.name == f"autotrace-{pipeline.name}"]


# Delivery.


def test_everything_is_delivered_in_order(new_pipeline, recorder):
    pipeline = new_pipeline(batch_size=10)
    put(pipeline, *range(95))
    assert pipeline.flush(SOON)
    assert recorder.names == [str(number) for number in range(95)]
    assert max(len(batch) for batch in recorder.batches) == 10
    assert pipeline.sent == 95
    assert pipeline.losses == {}


def test_there_is_no_thread_before_the_first_span(new_pipeline):
    pipeline = new_pipeline()
    assert threads_of(pipeline) == []
    assert pipeline.flush(SOON)
    assert threads_of(pipeline) == []
    put(pipeline, "a")
    (thread,) = threads_of(pipeline)
    assert thread.daemon


def test_the_exporter_is_made_by_the_worker_and_traces_nothing(recorder):
    made_by = []

    def make():
        made_by.append(threading.current_thread().name)
        return recorder

    pipeline = Pipeline("test", make)
    put(pipeline, "a")
    assert pipeline.flush(SOON)
    put(pipeline, "b")
    assert pipeline.flush(SOON)
    pipeline.shutdown()
    assert made_by == ["autotrace-test"]
    assert recorder.threads == {"autotrace-test"}
    assert recorder.suppressed == {True}
    assert recorder.shut_down == 1


def test_a_lonely_span_arrives_in_fractions_of_a_second(new_pipeline, recorder):
    pipeline = new_pipeline()
    for name in "abc":  # the first one starts the thread, the others wake it
        began = monotonic()
        put(pipeline, name)
        recorder.wait_for("abc".index(name) + 1)
        assert 0.1 < recorder.times[-1] - began < 0.5


def test_spans_of_one_moment_travel_together(new_pipeline, recorder):
    pipeline = new_pipeline()
    put(pipeline, *range(20))
    recorder.wait_for(20)
    assert len(recorder.batches) == 1


def test_a_full_batch_goes_at_once(new_pipeline, recorder):
    pipeline = new_pipeline(batch_size=5)
    put(pipeline, "warm up")
    recorder.wait_for(1)
    put(pipeline, 0)
    threading.Event().wait(0.05)  # awake by now, and gathering for 0.15 seconds more
    began = monotonic()
    put(pipeline, 1, 2, 3, 4)
    recorder.wait_for(6)
    assert recorder.times[-1] - began < 0.1


@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_smallest_batches(new_pipeline, recorder, batch_size):
    pipeline = new_pipeline(batch_size=batch_size, max_spans=2)
    put(pipeline, "a", "b")
    recorder.wait_for(2)
    assert recorder.names == ["a", "b"]


def test_a_shorter_delay_of_the_operator_is_kept(new_pipeline, recorder):
    pipeline = new_pipeline(delay=0.01)
    put(pipeline, "warm up")
    recorder.wait_for(1)
    began = monotonic()
    put(pipeline, "a")
    recorder.wait_for(2)
    assert recorder.times[-1] - began < 0.1


def test_many_threads_lose_nothing(new_pipeline, recorder):
    pipeline = new_pipeline(max_spans=100_000, batch_size=64)
    barrier = threading.Barrier(8)

    def work(worker):
        barrier.wait(SOON)
        put(pipeline, *(f"{worker}-{number}" for number in range(250)))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(threads_of(pipeline)) == 1, "one worker, whoever started it"
    assert pipeline.flush(SOON)
    assert Counter(recorder.names) == Counter(f"{w}-{n}" for w in range(8) for n in range(250))
    assert pipeline.sent == 2000


def test_an_idle_worker_is_woken_every_time(new_pipeline, recorder):
    """The hand-over between a worker going to sleep and a span that comes meanwhile."""
    pipeline = new_pipeline(delay=0.0)
    for number in range(300):
        put(pipeline, number)
        if number % 3:
            recorder.wait_for(number + 1)
    recorder.wait_for(300)


# Bounds.


def hold_up(pipeline, recorder):
    """Leave the worker inside of an export, with one span."""
    recorder.go_on.clear()
    put(pipeline, "held")
    assert recorder.entered.wait(SOON)


def test_a_full_queue_drops_and_counts(new_pipeline, recorder):
    pipeline = new_pipeline(max_spans=10, batch_size=5)
    hold_up(pipeline, recorder)
    put(pipeline, *range(25))
    assert pipeline.losses == {QUEUE_FULL: 15}
    recorder.go_on.set()
    assert pipeline.flush(SOON)
    assert recorder.names == ["held", *map(str, range(10))]
    put(pipeline, "room again")
    assert pipeline.flush(SOON)
    assert recorder.names[-1] == "room again"


def test_putting_never_waits_for_the_exporter(new_pipeline, recorder):
    pipeline = new_pipeline(max_spans=10)
    hold_up(pipeline, recorder)
    began = monotonic()
    put(pipeline, *range(1000))
    assert monotonic() - began < 1


def test_long_values_are_bounded_in_bytes(new_pipeline, recorder):
    pipeline = new_pipeline(max_bytes=10_000)
    hold_up(pipeline, recorder)
    put(pipeline, *range(5), weight=4000)
    assert pipeline.losses == {QUEUE_FULL: 2}, "the one that passes the bound is the last one taken"
    recorder.go_on.set()
    assert pipeline.flush(SOON)
    put(pipeline, *range(3), weight=4000)
    assert pipeline.losses == {QUEUE_FULL: 2}
    assert pipeline.flush(SOON)


def test_bytes_that_were_sent_count_no_more_while_others_wait(new_pipeline, recorder):
    pipeline = new_pipeline(max_bytes=10_000, batch_size=2)
    hold_up(pipeline, recorder)
    put(pipeline, 0, 1, 2, weight=4000)
    recorder.entered.clear()
    recorder.go_on.set()
    recorder.go_on.clear()
    recorder.wait_for(1)  # "held" is through: the worker has taken 0 and 1, and 2 waits
    assert recorder.entered.wait(SOON)
    put(pipeline, 3, 4, weight=4000)
    assert pipeline.losses == {}


def test_a_pipeline_that_nobody_holds_can_go():
    """The fork hook must not keep it."""
    pipeline = Pipeline("test", Recorder)
    gone = weakref.ref(pipeline)
    del pipeline
    gc.collect()
    assert gone() is None


# Failure.


def test_a_failing_exporter_costs_its_batch_alone(new_pipeline, recorder, capsys):
    pipeline = new_pipeline()
    recorder.fails = 1
    put(pipeline, "lost", "lost too")
    assert pipeline.flush(SOON)
    put(pipeline, "kept")
    assert pipeline.flush(SOON)
    assert recorder.names == ["kept"]
    assert pipeline.losses == {EXPORTER_FAILED: 2}
    assert pipeline.sent == 1
    said = capsys.readouterr().err
    assert "autotrace: the test exporter failed: ConnectionError('backend is gone')" in said


def test_an_exporter_that_cannot_be_made_is_tried_again(recorder, capsys):
    attempts = []

    def make():
        attempts.append(1)
        if len(attempts) == 1:
            raise ImportError("no such library")
        return recorder

    pipeline = Pipeline("test", make)
    put(pipeline, "lost")
    assert pipeline.flush(SOON)
    put(pipeline, "kept")
    assert pipeline.flush(SOON)
    pipeline.shutdown()
    assert recorder.names == ["kept"]
    assert pipeline.losses == {EXPORTER_FAILED: 1}
    assert "ImportError('no such library')" in capsys.readouterr().err


def test_losses_are_counted_by_reason_and_said_once(new_pipeline, recorder, capsys):
    pipeline = new_pipeline()
    recorder.losses = {"connection refused": 1}
    for name in "ab":
        put(pipeline, name, name)
        assert pipeline.flush(SOON)
    assert pipeline.losses == {"connection refused": 2}
    assert pipeline.sent == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "autotrace: 1 span did not reach memory: connection refused"


def test_a_delivery_has_the_export_timeout(new_pipeline, recorder):
    pipeline = new_pipeline(export_timeout=7.0)
    put(pipeline, "a")
    assert pipeline.flush(SOON)
    assert 6 < recorder.deadlines[0] - recorder.times[0] <= 7


# Flush.


def test_flush_does_not_wait_for_the_delay(new_pipeline, recorder):
    pipeline = new_pipeline()
    put(pipeline, *range(100))  # much traffic: the long delay from now on
    assert pipeline.flush(SOON)
    began = monotonic()
    put(pipeline, "a")
    assert pipeline.flush(SOON)
    assert recorder.names[-1] == "a"
    assert monotonic() - began < 0.8, "shorter than the long delay"


def test_flush_waits_for_what_is_on_its_way(new_pipeline, recorder):
    pipeline = new_pipeline()
    hold_up(pipeline, recorder)
    began = monotonic()
    assert pipeline.flush(0.3) is False
    assert 0.3 <= monotonic() - began < 1
    threading.Timer(0.1, recorder.go_on.set).start()
    assert pipeline.flush(SOON) is True
    assert recorder.names == ["held"]


def test_flush_after_the_end_returns_at_once(new_pipeline, recorder):
    pipeline = new_pipeline(exit_timeout=0.2)
    hold_up(pipeline, recorder)
    pipeline.shutdown()
    put(pipeline, "too late")
    began = monotonic()
    assert pipeline.flush(SOON) is False
    assert monotonic() - began < 1


# The end.


@pytest.mark.parametrize("after", [0.0, 0.05, 0.3], ids=["at once", "while it gathers", "while it sleeps"])
def test_shutdown_sends_what_is_left_and_does_not_dawdle(new_pipeline, recorder, after):
    pipeline = new_pipeline(exit_timeout=SOON)
    put(pipeline, "a")
    if after:
        threading.Event().wait(after)
    if after < 0.1:
        put(pipeline, "b")
    began = monotonic()
    pipeline.shutdown()
    assert monotonic() - began < 0.5
    assert recorder.names == (["a", "b"] if after < 0.1 else ["a"])
    assert recorder.shut_down == 1
    assert threads_of(pipeline) == []


def test_shutdown_sends_more_than_one_batch(new_pipeline, recorder):
    pipeline = new_pipeline(batch_size=10)
    put(pipeline, *range(95))
    pipeline.shutdown()
    assert recorder.names == [str(number) for number in range(95)]


def test_spans_that_end_during_the_last_delivery_are_sent(new_pipeline, recorder):
    """Other threads go on until the very last."""
    pipeline = new_pipeline()
    export, later = recorder.export, ["b", "c", "d"]

    def export_while_others_work(spans, deadline):
        if later:
            put(pipeline, later.pop(0))
        return export(spans, deadline)

    recorder.export = export_while_others_work
    put(pipeline, "a")
    pipeline.shutdown()
    assert recorder.names == ["a", "b", "c", "d"]
    assert pipeline.losses == {}


def test_shutdown_without_a_span_makes_nothing(recorder):
    pipeline = Pipeline("test", lambda: pytest.fail("nobody needs an exporter"))
    pipeline.shutdown()
    assert threads_of(pipeline) == []


def test_a_second_shutdown_does_nothing(new_pipeline, recorder):
    pipeline = new_pipeline()
    put(pipeline, "a")
    pipeline.shutdown()
    pipeline.shutdown()
    assert recorder.shut_down == 1


def test_shutdown_keeps_to_its_budget_beside_a_blocking_exporter(new_pipeline, recorder, capsys):
    pipeline = new_pipeline(exit_timeout=0.3)
    hold_up(pipeline, recorder)
    put(pipeline, "never", "sent")
    began = monotonic()
    pipeline.shutdown()
    assert 0.3 <= monotonic() - began < 1
    assert pipeline.losses == {NOT_SENT_AT_EXIT: 3}
    assert recorder.shut_down == 0, "it is in use"
    assert capsys.readouterr().err.splitlines() == [
        "autotrace: 3 spans lost on the way to test: 3 not sent before exit"
    ]


def test_at_the_end_a_delivery_has_what_is_left_of_the_budget(new_pipeline, recorder):
    pipeline = new_pipeline(exit_timeout=1.0, delay=SOON)
    put(pipeline, "a")
    pipeline.shutdown()
    assert recorder.deadlines[0] - recorder.times[0] <= 1


def test_a_delivery_in_progress_is_told_of_the_end(new_pipeline, recorder):
    """An exporter that waits for an answer, or before another try, is told how long it may still."""
    told = []

    def hasten(deadline):
        told.append(deadline - monotonic())
        recorder.go_on.set()

    recorder.hasten = hasten
    pipeline = new_pipeline(exit_timeout=SOON)
    hold_up(pipeline, recorder)
    began = monotonic()
    pipeline.shutdown()
    assert monotonic() - began < 1
    assert recorder.names == ["held"]
    assert SOON - 1 < told[0] <= SOON


def test_an_exporter_that_cannot_be_shut_down_does_not_break_the_exit(new_pipeline, recorder, capsys):
    pipeline = new_pipeline()
    recorder.shutdown = lambda: 1 / 0
    put(pipeline, "a")
    pipeline.shutdown()
    assert "the test exporter could not be shut down: ZeroDivisionError" in capsys.readouterr().err


def test_putting_after_the_end_is_harmless(new_pipeline, recorder):
    pipeline = new_pipeline(max_spans=10)
    put(pipeline, "a")
    pipeline.shutdown()
    put(pipeline, *range(50))
    assert threads_of(pipeline) == []
    assert recorder.names == ["a"]
    assert pipeline.losses == {QUEUE_FULL: 40}, "memory stays bounded"


def test_without_threads_shutdown_sends(new_pipeline, recorder, monkeypatch):
    """Late in the interpreter's life, and at the operating system's limit, no thread can start."""

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    pipeline = new_pipeline()
    put(pipeline, "a", "b")
    assert pipeline.flush(0.1) is False
    pipeline.shutdown()
    assert recorder.names == ["a", "b"]
    assert recorder.suppressed == {True}
    assert not suppressed(otel_context.get_current())


# Fork.


def test_a_forked_child_sends_its_own_spans_alone(new_pipeline, recorder):
    pipeline = new_pipeline(delay=60)
    hold_up(pipeline, recorder)  # the parent's thread is in the middle of an export, its lock is held
    put(pipeline, "waits in the parent")

    def child():
        assert threads_of(pipeline) == []
        recorder.__init__()  # nobody in this process holds the old one up
        put(pipeline, "child")
        flushed = pipeline.flush(SOON)
        return [flushed, recorder.names, pipeline.sent, dict(pipeline.losses)]

    assert in_child(child) == [True, ["child"], 1, {}]
    recorder.go_on.set()
    assert pipeline.flush(SOON)
    assert recorder.names == ["held", "waits in the parent"]


def quick_fork():
    """Seconds that it took."""
    began = monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of pytest's threads
        child = os.fork()
    if child == 0:
        os._exit(0)
    seconds = monotonic() - began
    assert os.waitpid(child, 0)[1] == 0
    return seconds


@pytest.mark.parametrize("delay", [0.0, 60.0], ids=["idle", "gathering"])
def test_the_worker_steps_aside_for_a_fork(new_pipeline, recorder, delay):
    pipeline = new_pipeline(delay=delay)
    put(pipeline, "warm up")
    assert pipeline.flush(SOON)
    if delay:
        pipeline._short_delay = SOON
        put(pipeline, "a")
    (worker,) = threads_of(pipeline)
    assert quick_fork() < 1
    worker.join(SOON)
    assert threads_of(pipeline) == []
    assert recorder.names == ["warm up", *["a"][: bool(delay)]], "what waited was sent"
    put(pipeline, "b")
    assert pipeline.flush(SOON)
    assert recorder.names == ["warm up", *["a"][: bool(delay)], "b"]


def test_a_fork_does_not_wait_for_a_delivery(new_pipeline, recorder):
    pipeline = new_pipeline()
    hold_up(pipeline, recorder)
    assert quick_fork() < 1
    put(pipeline, "after")
    assert len(threads_of(pipeline)) == 2, "the second waits for the first"
    assert recorder.batches == []
    recorder.go_on.set()
    assert pipeline.flush(SOON)
    assert recorder.names == ["held", "after"]
    assert len(threads_of(pipeline)) == 1


def test_shutdown_waits_for_a_delivery_from_before_a_fork(new_pipeline, recorder):
    pipeline = new_pipeline(exit_timeout=SOON)
    hold_up(pipeline, recorder)
    quick_fork()
    threading.Timer(0.1, recorder.go_on.set).start()
    pipeline.shutdown()
    assert recorder.names == ["held"]
    assert recorder.shut_down == 1
    assert pipeline.losses == {}


def test_a_child_forked_late_and_its_child_send_too(new_pipeline, recorder):
    pipeline = new_pipeline()
    put(pipeline, "a")
    pipeline.shutdown()

    def child():
        recorder.__init__()
        put(pipeline, "child")
        grandchild = in_child(grandchild_of)
        pipeline.shutdown()
        return [grandchild, recorder.names]

    def grandchild_of():
        recorder.__init__()
        put(pipeline, "grandchild")
        pipeline.shutdown()
        return recorder.names

    assert in_child(child) == [["grandchild"], ["child"]]


def test_forks_while_others_put(new_pipeline, recorder):
    pipeline = new_pipeline(max_spans=1_000_000)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            put(pipeline, "parent")
            time.sleep(0.0005)

    def child():
        recorder.__init__()
        put(pipeline, f"child {os.getpid()}")
        pipeline.shutdown()
        return [recorder.names, [f"child {os.getpid()}"]]

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            sent, expected = in_child(child)
            assert sent == expected
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert pipeline.flush(SOON)
    assert set(recorder.names) == {"parent"}
    assert len(recorder.names) == pipeline.sent
