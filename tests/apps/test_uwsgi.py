"""uWSGI: it embeds Python and forks by itself; each of its ways to run an application is traced."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

import pytest
from programs import Sandbox, backend
from servers import SHOP, serving, wait_until

try:
    version("uwsgi")
except PackageNotFoundError:
    pytest.skip("without the extra `libraries`", allow_module_level=True)

pytestmark = pytest.mark.slow

WITHOUT_THREADS = "import uwsgi\nuwsgi.has_threads = 0\n"
"""What uWSGI says up to 2.0.26 unless it is started with `--enable-threads`, which is the default since."""

POST_FORK = """
import uwsgidecorators

@uwsgidecorators.postfork
def say_so():
    print("forked", flush=True)
"""

FILES = """
from flask import Flask, send_file

app = Flask(__name__)

@app.route("/file")
def file():
    return send_file("large.bin")

with open("large.bin", "wb") as large:
    large.write(bytes(1_000_000))
"""

WORKERS = ("--master", "--processes", "2")


@contextmanager
def uwsgi(directory, *options, app=SHOP, **variables):
    sandbox = Sandbox(directory, OTEL_SERVICE_NAME="shop", **variables)
    sandbox.write("shop.py", app)
    words = ["uwsgi", "--http-socket", "127.0.0.1:0", "--module", "shop:app", "--die-on-term", *options]
    with serving(sandbox, *words) as server:
        server.find_port()
        yield server


def stop(server):
    """Once it has done with all requests: a busy worker runs none of Python's functions for the exit."""
    wait_until(lambda: server.log.count("GET /users/7 => ") == len(server.sent))
    server.stop()


@pytest.mark.parametrize(
    "options",
    [
        (),
        WORKERS,
        (*WORKERS, "--lazy-apps"),
        ("--master", "--enable-threads", "--threads", "2"),
        ("--skip-atexit-teardown",),
    ],
    ids=["alone", "workers", "lazy", "threads", "no teardown"],
)
def test_every_request_arrives_once_and_nothing_is_lost_at_the_end(tmp_path, arrivals, options):
    with uwsgi(tmp_path, *options, **arrivals.environ) as server:
        server.visit(6)
        while options[:3] == WORKERS and len({process for _, process in server.sent.values()}) < 2:
            server.visit()
        stop(server)
        assert server.said == []
        server.check(arrivals)
    assert {span.scope for span in arrivals.spans} == {"autotrace.flask", "autotrace.sqlite3"}


def test_files_are_sent_by_the_kernel(tmp_path, arrivals):
    """As uWSGI does with the file that its own wrapper has given back, and with no other object."""
    with uwsgi(tmp_path, app=FILES, **arrivals.environ) as server:
        assert len(server.request("/file").body) == 1_000_000
        wait_until(lambda: "GET /file => " in server.log)
        server.stop()
    assert "via sendfile()" in server.log
    (span,) = arrivals.spans
    assert (span.name, span.attributes["http.response.status_code"]) == ("GET /file", 200)


def test_workers_that_are_recycled_lose_nothing(tmp_path, arrivals):
    with uwsgi(
        tmp_path, "--master", "--max-requests", "5", "--min-worker-lifetime", "0", **arrivals.environ
    ) as server:
        assert len(set(server.visit(17))) > 2
        stop(server)
        server.check(arrivals)


@pytest.mark.parametrize("where", ["before", "after"])
def test_the_fork_hook_of_the_application_stays_in_force(tmp_path, arrivals, where):
    app = POST_FORK + SHOP if where == "before" else SHOP + POST_FORK
    with uwsgi(tmp_path, *WORKERS, app=app, **arrivals.environ) as server:
        while len({process for _, process in server.sent.values()}) < 2:
            server.visit()
        stop(server)
        assert server.log.count("forked\n") == 2
        server.check(arrivals)


def test_without_threads_spans_are_sent_with_each_request(tmp_path, arrivals):
    with uwsgi(tmp_path, *WORKERS, app=WITHOUT_THREADS + SHOP, **arrivals.environ) as server:
        while len({process for _, process in server.sent.values()}) < 2:
            server.visit()
        wait_until(lambda: len(arrivals.spans) == 2 * len(server.sent))  # no need to stop the server
        stop(server)
        server.check(arrivals)
        (line,) = server.said
        assert line.endswith(
            "autotrace: uWSGI runs without threads: spans are sent at the end of each request; "
            "--enable-threads is recommended"
        )


def test_without_threads_a_backend_that_never_answers_is_not_tried_with_each_request(tmp_path):
    with backend(lambda _connection: hole.over.wait()) as hole:
        variables = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": hole.url("")}
        with uwsgi(tmp_path, app=WITHOUT_THREADS + SHOP, **variables) as server:
            server.visit(60)
            assert 1 <= len(hole.received) < 20
            stop(server)
            assert any("spans lost on the way to otlp" in line for line in server.said)
        hole.over.set()
