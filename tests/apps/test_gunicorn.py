"""gunicorn: what each worker has served arrives once, however it ends; the master takes no part."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import pytest
from payloads import environment
from programs import Sandbox
from servers import SHOP, serving, wait_until

pytest.importorskip("gunicorn")

pytestmark = pytest.mark.slow


@pytest.fixture
def gunicorn(tmp_path, arrivals):
    """Start it with these options, and wait for its workers."""
    sandbox = Sandbox(tmp_path, OTEL_SERVICE_NAME="shop", **arrivals.environ)
    sandbox.write("shop.py", SHOP)

    @contextmanager
    def start(*options, workers=2, command=("gunicorn",)):
        # The control socket, with its thread, is new in gunicorn 24.
        sandbox.write(
            "gunicorn.conf.py", f"bind = '127.0.0.1:0'\nworkers = {workers}\ncontrol_socket_disable = True\n"
        )
        with serving(sandbox, *command, *options, "shop:app") as server:
            server.find_port()
            yield server

    return start


def threads_and_sockets(process):
    """Of a process, as the system sees them."""
    directory = Path(f"/proc/{process}")
    links = [os.readlink(descriptor) for descriptor in (directory / "fd").iterdir()]
    return len(list((directory / "task").iterdir())), sum(link.startswith("socket:") for link in links)


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
@pytest.mark.parametrize(
    "kind",
    [("-k", "sync"), ("-k", "gthread", "--threads", "2"), ("-k", "gevent")],
    ids=lambda words: words[1],
)
def test_every_request_arrives_once_and_nothing_is_lost_at_the_end(gunicorn, arrivals, kind, preload):
    with gunicorn(*kind, *preload) as server:
        while len(set(server.visit(4))) < 2:
            pass
        assert threads_and_sockets(server.process.pid) == (1, 1), "the listening one"
        server.visit(2)
        assert server.stop() == 0
        assert server.said == []
        server.check(arrivals)
    assert {span.scope for span in arrivals.spans} == {"autotrace.gunicorn", "autotrace.sqlite3"}


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
def test_the_eventlet_worker_which_new_versions_have_no_more(gunicorn, arrivals, preload):
    python = environment(sys.executable, "gunicorn==23.0.0", "eventlet", "flask", "opentelemetry-api")
    with gunicorn("-k", "eventlet", *preload, command=(python, "-m", "gunicorn")) as server:
        server.visit(8)
        assert threads_and_sockets(server.process.pid) == (1, 1), "the listening one"
        assert server.stop() == 0
        assert server.said == []
        server.check(arrivals)
    assert {span.scope for span in arrivals.spans} == {"autotrace.gunicorn", "autotrace.sqlite3"}


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_workers_that_are_recycled_lose_nothing(gunicorn, arrivals, kind):
    with gunicorn("-k", kind, "--max-requests", "5", workers=1) as server:
        assert len(set(server.visit(17))) > 2
        assert server.stop() == 0
        server.check(arrivals)


def test_a_reload_loses_nothing(gunicorn, arrivals):
    with gunicorn("--preload") as server:
        old = set(server.visit(6))
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not old & set(server.visit(6)))
        assert server.stop() == 0
        server.check(arrivals)


def test_a_worker_that_is_killed_for_a_stuck_request_has_sent_the_others(gunicorn, arrivals):
    with gunicorn("--timeout", "4", workers=1) as server:
        (first,) = set(server.visit(3))
        with suppress(HTTPException, OSError):
            server.request("/stuck")
        assert set(server.visit(3)) != {first}
        assert server.stop() == 0
        server.check(arrivals)
