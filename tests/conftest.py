"""What every test may use."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from autotrace import notices
from autotrace.patching import guard

sys.path.insert(0, str(Path(__file__).parent))

from echo import echo_server
from mongodb import mongodb
from payloads import payload  # noqa: F401 - a fixture
from programs import Sandbox, collector
from search_engine import search_engine
from services import (  # noqa: F401 - fixtures
    kafka_address,
    mariadb_url,
    memcached_address,
    postgresql_odbc,
    postgresql_url,
    rabbitmq_url,
    redis_cluster,
    redis_sentinel,
    redis_url,
)


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_is_heard():
    """By the programs that tests start: a shell's background jobs inherit that it is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _output_is_as_wide_as_usual():
    """In programs that tests start: test runners, and shells that export it, say how wide theirs is."""
    os.environ.pop("COLUMNS", None)


@pytest.fixture(autouse=True)
def _strict(request, monkeypatch):
    """A bug of ours fails the test instead of being absorbed, but where a test is about that."""
    monkeypatch.setattr(guard, "strict", request.node.get_closest_marker("tolerant") is None)


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch):
    """A message that is said once a minute is said again in the next test."""
    monkeypatch.setattr(notices, "_spoken", {})
    monkeypatch.setattr(notices, "_level", notices.INFO)


@pytest.fixture(scope="module")
def echo_url():
    """Of a server that answers with what it got."""
    with echo_server() as url:
        yield url


@pytest.fixture
def arrivals():
    """A backend, and what has arrived there."""
    with collector() as arrivals:
        yield arrivals


@pytest.fixture
def sandbox(tmp_path, echo_url):
    """A directory for programs that call the echo server."""
    return Sandbox(tmp_path, ECHO=echo_url, OTEL_SERVICE_NAME="app")


@pytest.fixture(scope="session")
def mongodb_url():
    """Of a server that keeps documents in memory."""
    with mongodb() as server:
        yield f"mongodb://127.0.0.1:{server.server_address[1]}/"


@pytest.fixture(scope="session")
def search_engine_url():
    """Of a server that passes for Elasticsearch and for OpenSearch."""
    with search_engine() as engine:
        yield engine.url
