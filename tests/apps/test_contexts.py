"""Threads, executors and asyncio in whole programs: every span has the parent that caused it.

The program of each test is what a user would write, with spans by the OpenTelemetry API; what it must
leave behind is the tree at the backend, and nothing on stderr.
"""

from __future__ import annotations

import re
import sys
import textwrap
import threading
import urllib.request

import pytest

PRELUDE = """
import asyncio, contextvars, sqlite3, sys, threading, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from opentelemetry import trace
from opentelemetry.trace import SpanKind

def span(name):
    return trace.get_tracer("app").start_as_current_span(name)

def leaf(name):
    with span(name):
        return name

def request(name):
    "As a server would: in a trace of its own."
    return trace.get_tracer("app").start_as_current_span(name, kind=SpanKind.SERVER)
"""


@pytest.fixture
def tree(sandbox, arrivals):
    """Runs a program, and tells the tree it leaves: `name(child child)`, siblings in order of their names."""

    def tree(code, *options, **variables):
        sandbox.write("app.py", PRELUDE + textwrap.dedent(code))
        done = sandbox.run(*options, "app.py", **arrivals.environ, **variables)
        assert (done.code, done.err, done.said) == (0, "", [])
        spans = sorted(arrivals.spans, key=lambda span: span.name)
        known = {span.span_id for span in spans}
        assert all(not span.parent_id or span.parent_id in known for span in spans)

        def below(parent):
            texts = [(span, below(span.span_id)) for span in spans if span.parent_id == parent]
            return " ".join(span.name + (f"({children})" if children else "") for span, children in texts)

        return below("")

    return tree


def test_threads(tree):
    assert (
        tree(
            """
            class Worker(threading.Thread):
                def __init__(self, name):
                    super().__init__()
                    self.what = name

                def run(self):
                    leaf(self.what)

            class Odd(threading.Thread):
                "Calls neither __init__ nor run of its base in the usual way."
                def run(self):
                    leaf("odd")
                    super().run()

            def outer():
                with span("outer"):
                    inner = threading.Thread(target=leaf, args=("inner",))
                    inner.start()
                    inner.join()

            with request("first"):
                threads = [
                    threading.Thread(target=leaf, args=("target",)), Worker("subclass"),
                    Odd(target=leaf, kwargs={"name": "through super"}, daemon=True),
                    threading.Timer(0.01, leaf, ["timer"]), threading.Thread(target=outer),
                ]
                for thread in threads:
                    thread.start()
            for thread in threads:
                thread.join()
            with request("second"):
                later = threading.Thread(target=leaf, args=("of second",))
                later.start()
                outside = threading.Thread(target=leaf, args=("outside",))
                contextvars.Context().run(outside.start)
            later.join()
            outside.join()
            alone = threading.Thread(target=leaf, args=("alone",))
            alone.start()
            alone.join()
            """
        )
        == "alone first(odd outer(inner) subclass target through super timer) outside second(of second)"
    )


def test_a_thread_that_fails_says_what_it_said(sandbox, arrivals):
    sandbox.write(
        "app.py",
        PRELUDE
        + textwrap.dedent(
            """
            def fail():
                with span("failing"):
                    raise ValueError("as planned")

            with request("request"):
                thread = threading.Thread(target=fail, name="worker")
                thread.start()
                thread.join()
            """
        ),
    )
    traced = sandbox.run("app.py", **arrivals.environ)
    plain = sandbox.run("app.py", traced=False)
    # The traceback has our frame in it where the thread begins, and is the same otherwise.
    ours = r'  File "[^"]*autotrace[^"]*", line \d+, in \w+\n    .*\n(    [~^]+\n)?'
    assert (traced.code, traced.said) == (0, [])
    assert re.sub(ours, "", traced.err) == plain.err
    assert [(span.name, span.failed) for span in arrivals.spans] == [("request", False), ("failing", True)]


def test_executors(tree):
    assert (
        tree(
            """
            def nested(name, pool):
                with span(name):
                    return pool.submit(leaf, name + "'s own").result()

            set_up = []

            def prepare():
                set_up.append(trace.get_current_span().get_span_context().is_valid)

            with ThreadPoolExecutor(2, initializer=prepare) as pool, ThreadPoolExecutor(1) as other:
                for name in ("first", "second"):
                    with request(name):
                        assert list(pool.map(leaf, [f"{name} {i}" for i in "abc"])) == [
                            f"{name} {i}" for i in "abc"
                        ]
                        pool.submit(nested, f"{name} nested", other).result()
                        late = other.submit(leaf, f"{name} and late")
                    late.result()
                pool.submit(leaf, "alone").result()
            # A pool's threads are nobody's: which request is the first to need one is chance.
            assert set(set_up) == {False}
            """
        )
        == "alone"
        " first(first a first and late first b first c first nested(first nested's own))"
        " second(second a second and late second b second c second nested(second nested's own))"
    )


def test_pools_of_multiprocessing_threads(tree):
    assert (
        tree(
            """
            from multiprocessing.pool import ThreadPool

            with ThreadPool(2) as pool:
                for name in ("first", "second"):
                    with request(name):
                        pool.map(leaf, [f"{name} {i}" for i in range(2)])
                        pool.apply(leaf, (f"{name} apply",))
                        list(pool.imap(leaf, [f"{name} imap"]))
                        pool.starmap_async(leaf, [(f"{name} star",)]).get()
                pool.apply_async(leaf, ("alone",)).get()
            with request("third"), ThreadPool(1) as pool:
                pool.map(leaf, ["third 0"])
            """
        )
        == "alone"
        " first(first 0 first 1 first apply first imap first star)"
        " second(second 0 second 1 second apply second imap second star)"
        " third(third 0)"
    )


def test_pools_of_processes_are_as_they_were(sandbox, arrivals):
    sandbox.write(
        "app.py",
        PRELUDE
        + textwrap.dedent(
            """
            import multiprocessing

            async def main():
                loop = asyncio.get_running_loop()
                context = multiprocessing.get_context("spawn")
                with ProcessPoolExecutor(1, mp_context=context) as pool:
                    with request("request"):
                        assert await loop.run_in_executor(pool, abs, -1) == 1
                        assert list(pool.map(abs, [-1, -2])) == [1, 2]

            if __name__ == "__main__":
                asyncio.run(main())
            """
        ),
    )
    done = sandbox.run("app.py", **arrivals.environ)
    assert (done.code, done.err, done.said) == (0, "", [])
    assert [span.name for span in arrivals.spans] == ["request"]


ASYNCIO = """
async def child(name):
    with span(name):
        await asyncio.sleep(0.001)

async def serve(name):
    loop = asyncio.get_running_loop()
    called = [loop.create_future() for _ in range(3)]

    def callback(future, name):
        leaf(name)
        if not future.done():
            future.set_result(None)

    with request(name):
        await asyncio.gather(child(f"{name} gathered"), asyncio.create_task(child(f"{name} task")))
        await loop.run_in_executor(None, leaf, f"{name} executor")
        await asyncio.to_thread(leaf, f"{name} thread")
        if sys.version_info >= (3, 11):
            async with asyncio.TaskGroup() as group:
                group.create_task(child(f"{name} grouped"))
        await asyncio.wait_for(child(f"{name} waited for"), 30)
        await asyncio.shield(child(f"{name} shielded"))
        loop.call_soon(callback, called[0], f"{name} soon")
        loop.call_later(0.001, callback, called[1], f"{name} later")
        threading.Thread(
            target=lambda: loop.call_soon_threadsafe(callback, called[2], f"{name} from thread")
        ).start()
        contextvars.copy_context().run(leaf, f"{name} in copy")
        background = asyncio.create_task(child(f"{name} after the answer"))
    await asyncio.gather(background, *called)

async def main():
    await asyncio.gather(serve("one"), serve("two"))
    await serve("three")
    await child("alone")
    await asyncio.to_thread(leaf, "alone in a thread")

asyncio.run(main())
assert not trace.get_current_span().get_span_context().is_valid
"""


@pytest.mark.parametrize("debug", ["", "1"])
def test_asyncio(tree, debug):
    kinds = ["after the answer", "executor", "from thread", "gathered", "grouped", "in copy", "later"]
    kinds += ["shielded", "soon", "task", "thread", "waited for"]
    if sys.version_info < (3, 11):
        kinds.remove("grouped")
    requests = {
        name: f"{name}({' '.join(f'{name} {kind}' for kind in kinds)})" for name in ("one", "three", "two")
    }
    expected = f"alone alone in a thread {requests['one']} {requests['three']} {requests['two']}"
    assert tree(ASYNCIO, PYTHONASYNCIODEBUG=debug) == expected


def test_async_generators_that_end_in_another_context(tree):
    assert (
        tree(
            """
            import gc

            async def rows(name):
                with span(name):
                    yield 1
                    leaf(f"{name} second")
                    yield 2

            async def forgotten(name):
                "The loop's hook closes the generator, in a task of its own."
                with request(name):
                    async for _ in rows(f"{name} rows"):
                        break
                    leaf(f"{name} after")
                gc.collect()
                for _ in range(3):
                    await asyncio.sleep(0)

            async def moved(name):
                generator = rows(f"{name} rows")
                with request(name):
                    await asyncio.create_task(generator.__anext__())
                    await asyncio.create_task(generator.__anext__())
                    await asyncio.create_task(generator.aclose())

            async def main():
                await forgotten("one")
                leaf("between")
                await moved("two")
                generator = rows("at the end")
                await generator.__anext__()
                leaf("inside")
                main.kept = generator  # closed by asyncio.run

            asyncio.run(main())
            leaf("last")
            """
        )
        # Inside of `async for` the generator's span is current for its consumer too: they share a context.
        == "at the end(inside) between last one(one rows(one after)) two(two rows two rows second)"
    )


def test_a_generator_closed_in_a_later_request_leaves_that_one_alone(tree):
    assert (
        tree(
            """
            def rows(name):
                with span(name):
                    yield 1

            def begin(name):
                with request(name):
                    generator = rows(f"{name} rows")
                    next(generator)
                    return generator

            late = begin("first")
            leaf("between")
            with request("second"):
                late.close()
                leaf("second and last")
            leaf("after")
            early = begin("third")
            early.close()
            leaf("at the end")
            """
        )
        == "after at the end between first(first rows) second(second and last) third(third rows)"
    )


@pytest.mark.slow
def test_worker_threads_serve_many_requests_and_mix_none(sandbox, arrivals):
    sandbox.write(
        "app.py",
        """
        import sys, threading
        from concurrent.futures import ThreadPoolExecutor
        import flask, requests, sqlite3
        from werkzeug.serving import make_server

        app = flask.Flask("shop")
        pool = ThreadPoolExecutor(3)
        lazy = {}

        def query(name):
            connection = sqlite3.connect(":memory:")
            connection.execute(f"CREATE TABLE {name} (a)")
            connection.close()

        @app.get("/<name>")
        def work(name):
            list(pool.map(query, [f"{name}_{i}" for i in range(3)]))
            thread = threading.Thread(target=query, args=[f"{name}_t"])
            thread.start()
            query(f"{name}_v")
            thread.join()
            return flask.Response(stream(name))

        def stream(name):
            yield "begin "
            query(f"{name}_s")
            yield "end"

        server = make_server("127.0.0.1", 0, app, threaded=True)
        print(f"http://127.0.0.1:{server.port}", flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
        server.shutdown()
        """,
    )
    names = [f"r{number}" for number in range(24)]

    def get(name, url):
        with urllib.request.urlopen(f"{url}/{name}", timeout=30) as answer:
            assert answer.read() == b"begin end"

    with sandbox.serve("app.py", **arrivals.environ) as url:
        threads = [threading.Thread(target=get, args=(name, url)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    spans = arrivals.spans
    roots = {span.span_id: span.attributes["url.path"][1:] for span in spans if span.kind == "SERVER"}
    assert sorted(roots.values()) == sorted(names)
    children = sorted((roots[span.parent_id], span.name) for span in spans if span.kind == "CLIENT")
    assert children == sorted(
        (name, f"CREATE TABLE {name}_{which}") for name in names for which in ("0", "1", "2", "t", "v", "s")
    )
    assert len({span.trace_id for span in spans}) == len(names)
