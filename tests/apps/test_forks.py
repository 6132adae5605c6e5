"""Children that are forks or copies of the program: every span once, in the right trace."""

from __future__ import annotations

import textwrap

import pytest

pytestmark = pytest.mark.slow

WORK = """
import multiprocessing, os, signal, sys, threading
from concurrent.futures import ProcessPoolExecutor
from opentelemetry import trace

tracer = trace.get_tracer("app")

def work(name):
    with tracer.start_as_current_span(str(name)):
        return os.getpid()

def fail(name):
    with tracer.start_as_current_span(str(name)):
        raise RuntimeError("no")

def start(context, target, *arguments):
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0, process.exitcode
"""


@pytest.fixture
def run(sandbox, arrivals):
    """Run a program that prints nothing, and give what arrived: name and parent's name, in order of names."""

    def run(body, before="", **variables):
        sandbox.write("app.py", f"{textwrap.dedent(before)}{WORK}\nif __name__ == '__main__':\n")
        with (sandbox.directory / "app.py").open("a") as file:
            file.write(textwrap.indent(textwrap.dedent(body), "    "))
        done = sandbox.run("-W", "error", "app.py", **arrivals.environ, **variables)
        assert (done.code, done.out, done.err, done.said) == (0, "", "", [])
        return family(arrivals.spans)

    return run


def family(spans):
    names = {span.span_id: span.name for span in spans}
    assert len(names) == len(spans), "a span arrived twice"
    return sorted((span.name, names.get(span.parent_id, "")) for span in spans)


METHODS = ("fork", "spawn", "forkserver")


@pytest.mark.parametrize("method", METHODS)
def test_processes_and_pools_of_every_kind(run, arrivals, method):
    found = run(
        f"""
        context = multiprocessing.get_context("{method}")
        with tracer.start_as_current_span("starter"):
            start(context, work, "process")
            with tracer.start_as_current_span("creator"):
                pool = context.Pool(2)
                single = context.Pool(2, maxtasksperchild=1)
                executor = ProcessPoolExecutor(2, mp_context=context)
            with tracer.start_as_current_span("submitter"), pool, single:
                pool.map(work, ["map 1", "map 2", "map 3"], chunksize=2)
                list(pool.imap(work, ["imap"]))
                pool.starmap_async(work, [("starmap",)]).get()
                pool.apply(func=work, args=("apply",))
                try:
                    pool.apply(fail, ("fail",))
                except RuntimeError as error:
                    assert str(error) == "no"
                single.map(work, ["single 1", "single 2", "single 3"], chunksize=1)
        with executor:
            executor.submit(work, "outside").result()
            with tracer.start_as_current_span("executed"):
                executor.submit(work, "submit").result()
                assert len(list(executor.map(work, ["executor 1", "executor 2"]))) == 2
        """
    )
    tasks = (
        "apply",
        "fail",
        "imap",
        "map 1",
        "map 2",
        "map 3",
        "single 1",
        "single 2",
        "single 3",
        "starmap",
    )
    assert found == sorted(
        [
            ("starter", ""),
            ("process", "starter"),
            ("creator", "starter"),
            ("submitter", "starter"),
            *((name, "submitter") for name in tasks),
            ("outside", ""),
            ("executed", ""),
            *((name, "executed") for name in ("submit", "executor 1", "executor 2")),
        ]
    )
    assert arrivals.named("fail").failed
    by_process = {
        span.resource["process.pid"]: span.resource["service.instance.id"] for span in arrivals.spans
    }
    assert len(by_process) >= 7
    assert len(set(by_process.values())) == len(by_process)


@pytest.mark.parametrize("method", METHODS)
def test_a_library_that_only_the_child_imports(sandbox, arrivals, method):
    """The tracer starts in the middle of a task; before that, nothing of ours was at work in the child."""
    sandbox.write(
        "lazy.py",
        """
        def query(statement):
            import sqlite3
            connection = sqlite3.connect(":memory:")
            connection.execute(statement)
            connection.close()
        """,
    )
    sandbox.write(
        "app.py",
        f"""
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from lazy import query

        if __name__ == "__main__":
            from opentelemetry import trace
            context = multiprocessing.get_context("{method}")
            with trace.get_tracer("app").start_as_current_span("work"):
                process = context.Process(target=query, args=["CREATE TABLE one (a)"])
                process.start()
                process.join()
                with context.Pool(1) as pool:
                    pool.map(query, ["CREATE TABLE two (a)"])
                with ProcessPoolExecutor(1, mp_context=context) as executor:
                    executor.submit(query, "CREATE TABLE three (a)").result()
        """,
    )
    done = sandbox.run("-W", "error", "app.py", **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, "", "", [])
    tables = ("CREATE TABLE one", "CREATE TABLE three", "CREATE TABLE two")
    assert family(arrivals.spans) == [*((name, "work") for name in tables), ("work", "")]


def test_forks_by_hand(run, arrivals):
    """Nested ones, such as leave a block of the parent's, and such as leave by the back door."""
    found = run(
        """
        def fork(name, leave):
            child = os.fork()
            if child == 0:
                work(name)
                leave()
            assert os.waitpid(child, 0)[1] == 0

        def nest():
            with tracer.start_as_current_span("below"):
                fork("nested", lambda: os._exit(0))
            os._exit(0)

        with tracer.start_as_current_span("above"):
            work("before")
            fork("by os._exit", lambda: os._exit(0))
            fork("by sys.exit", lambda: sys.exit(0))
            fork("by exec", lambda: os.execl("/bin/true", "true"))
            fork("deep", nest)
            work("after")
        """
    )
    assert found == [
        ("above", ""),
        ("after", "above"),
        ("before", "above"),
        ("below", "above"),
        ("by exec", "above"),
        ("by os._exit", "above"),
        ("by sys.exit", "above"),
        ("deep", "above"),
        ("nested", "below"),
    ]
    processes = {span.name: span.resource["process.pid"] for span in arrivals.spans}
    assert processes["above"] == processes["before"] == processes["after"]
    assert processes["below"] == processes["deep"]
    assert len(set(processes.values())) == 6


def test_threads_that_outlive_the_main_one_of_a_child(run):
    found = run(
        """
        def threads():
            work("main")
            threading.Thread(target=later).start()

        def later():
            threading.main_thread().join(0.1)
            work("thread")

        start(multiprocessing.get_context("fork"), threads)
        """
    )
    assert found == [("main", ""), ("thread", "")]


def test_a_terminated_pool_with_work_to_do_is_not_waited_for(run):
    found = run(
        """
        import time
        pool = multiprocessing.get_context("fork").Pool(1)
        pool.apply_async(time.sleep, [3600])
        with pool:
            pass
        """
    )
    assert found == []


def test_nothing_is_waited_for_when_the_backend_is_dead(sandbox, arrivals):
    """Not longer than the exit budget, and what was lost is said by whoever lost it."""
    sandbox.write(
        "app.py",
        WORK
        + textwrap.dedent("""
        child = os.fork()
        if child == 0:
            work("lost")
            os._exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """),
    )
    environ = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    done = sandbox.run("app.py", **environ, AUTOTRACE_EXIT_TIMEOUT="200")
    assert (done.code, done.out, done.err) == (0, "3\n", "")
    assert any("1 span lost on the way to otlp" in line for line in done.said), done.said


def test_a_worker_without_autotrace_does_its_tasks(run):
    found = run(
        """
        del os.environ["PYTHONPATH"]
        context = multiprocessing.get_context("spawn")
        with tracer.start_as_current_span("here"):
            start(context, work, "process")
            with context.Pool(1) as pool, ProcessPoolExecutor(1, mp_context=context) as executor:
                assert pool.map(abs, [-1, 2]) == list(executor.map(abs, [-1, 2])) == [1, 2]
                assert pool.apply(sorted, ([2, 1],), {"reverse": False}) == [1, 2]
        """
    )
    assert found == [("here", "")]
