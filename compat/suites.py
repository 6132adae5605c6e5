"""Whose test suites are run, at which versions, with what."""

from __future__ import annotations

from typing import NamedTuple


class Suite(NamedTuple):
    """The test suite in a library's source distribution."""

    name: str
    version: str
    needs: tuple[str, ...]
    """What its tests need, by the library's own list, without its tools for style and release."""
    arguments: tuple[str, ...] = ()
    """Further ones of pytest's."""
    extras: str = ""
    redis: bool = False
    """Whether it is run against a Redis server of its own."""
    compare_headers: tuple[tuple[str, str], ...] = ()
    """Tests that may differ while trace headers are sent, without their parameters, each with the reason."""


_SOCKETS = "test/with_dummyserver/test_socketlevel.py::test.with_dummyserver.test_socketlevel"


def _same(where: str, reason: str, *tests: str) -> tuple[tuple[str, str], ...]:
    return tuple((where + test, reason) for test in tests)


SUITES = (
    Suite("flask", "3.1.3", ("pytest<9", "asgiref", "greenlet", "python-dotenv"), ("tests",)),
    Suite(
        "requests",
        "2.34.2",
        ("pytest<10", "pytest-cov", "pytest-mock", "pytest-httpbin==2.1.0", "httpbin~=0.10.0", "trustme"),
        ("tests",),
        extras="[socks]",
        compare_headers=(
            (
                "tests/test_requests.py::tests.test_requests.TestRequests::test_response_iter_lines_reentrant",
                "counts lines, of an answer that repeats the request's headers, by chunks of 512 bytes",
            ),
        ),
    ),
    Suite(
        "urllib3",
        "2.8.0",
        (
            "anyio[trio]",
            "cryptography",
            "h2",
            "httpx",
            "hypercorn",
            "idna",
            "pyopenssl",
            "pysocks",
            "pytest",
            "pytest-socket",
            "pytest-timeout",
            "quart",
            "quart-trio",
            "trio",
            "trustme",
        ),
        (
            "test",
            "-m",
            "not requires_network and not integration",
            # Needs an address that never answers; without such a network it may wait for itself for ever.
            "-k",
            "not test_http2_probe_blocked_per_thread",
            "--timeout=120",
        ),
        compare_headers=(
            *_same(
                "test/with_dummyserver/test_poolmanager.py::test.with_dummyserver.test_poolmanager.TestPoolManager::",
                "expects its own headers to be the last of the request",
                "test_headers_http_header_dict",
                "test_headers_http_multi_header_multipart",
                "test_merge_headers_with_pool_manager_headers",
            ),
            *_same(
                f"{_SOCKETS}.TestContentFraming::",
                "counts the colons of the request",
                "test_chunked_not_specified",
                "test_chunked_specified",
            ),
            *_same(
                f"{_SOCKETS}.TestContentFraming::",
                "expects its own header to be the last of the request",
                "test_framing_set_via_headers",
            ),
            *_same(
                f"{_SOCKETS}.TestHeaders::",
                "compares the whole request",
                "test_headers_are_sent_with_the_original_case",
                "test_ua_header_can_be_overridden",
            ),
            *_same(f"{_SOCKETS}.TestProxyManager::", "compares the whole request", "test_simple"),
        ),
    ),
    Suite(
        "starlette",
        "1.10.0",
        (
            "httpx2[zstd]",
            "blockbuster",
            "importlib-metadata",
            "opentelemetry-sdk",
            "pytest",
            "pytest-codspeed",
            "trio",
        ),
        ("tests",),
        extras="[full]",
    ),
    Suite(
        "redis",
        "8.1.0",
        (
            "pytest",
            "pytest-asyncio",
            "pytest-timeout",
            "numpy",
            "redis-entraid",
            "pybreaker",
            "aiohttp",
            "xxhash",
            "cryptography",
            "opentelemetry-sdk",
        ),
        (
            "tests",
            "-m",
            "not onlycluster and not redismod and not ssl and not cp_integration and not multidb_integration",
            # For these it takes a cluster, sentinels, or a proxy that fails on demand.
            "--ignore=tests/test_scenario",
            "--ignore=tests/test_asyncio/test_scenario",
            "--ignore=tests/maint_notifications",
            "--ignore=tests/test_sentinel.py",
            "--ignore=tests/test_asyncio/test_sentinel.py",
        ),
        redis=True,
    ),
)
