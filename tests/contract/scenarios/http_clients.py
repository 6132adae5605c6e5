"""One unit of work for each HTTP client."""

from __future__ import annotations

from scenarios.scenario import CLIENT_END, START, Scenario

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def follow_with_requests(url: str) -> Any:
    import requests

    answer = requests.get(f"{url}/redirect/1", timeout=10)
    return [answer.status_code, answer.url, [earlier.status_code for earlier in answer.history]]


def retry_with_a_pool(url: str) -> Any:
    import os
    from urllib.parse import urlsplit

    from urllib3 import HTTPConnectionPool
    from urllib3.util.retry import Retry

    peer = urlsplit(url)
    unlike_any_before = os.urandom(8).hex()
    retries = Retry(total=3, status_forcelist=[503], backoff_factor=0)
    with HTTPConnectionPool(peer.hostname, peer.port) as pool:
        return pool.request("GET", f"/flaky/1/{unlike_any_before}", retries=retries).status


def follow_with_a_pool_manager(url: str) -> Any:
    from urllib3 import PoolManager

    with PoolManager() as manager:
        answer = manager.request("GET", f"{url}/redirect/1")
        return [answer.status, answer.geturl()]


def get_with_http_client(url: str) -> Any:
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", "/status/204")
    answer = connection.getresponse()
    connection.close()
    return [answer.status, answer.read().decode()]


def follow_with_urllib(url: str) -> Any:
    from urllib.request import urlopen

    with urlopen(f"{url}/redirect/1", timeout=10) as answer:
        return [answer.status, answer.geturl()]


SCENARIOS = {
    "requests.sessions": Scenario(
        follow_with_requests,
        """
        autotrace.urllib3 CLIENT GET
        autotrace.urllib3 CLIENT GET resend=1
        """,
        """
        autotrace.urllib3 CLIENT GET
        autotrace.urllib3 CLIENT GET
        """,
        before=START,
        after=CLIENT_END,
    ),
    "urllib3.connectionpool": Scenario(
        retry_with_a_pool,
        """
        autotrace.urllib3 CLIENT GET ERROR
        autotrace.urllib3 CLIENT GET resend=1
        """,
        """
        autotrace.http.client CLIENT GET ERROR
        autotrace.http.client CLIENT GET
        """,
        before=START,
        after=CLIENT_END,
    ),
    "urllib3.poolmanager": Scenario(
        follow_with_a_pool_manager,
        """
        autotrace.urllib3 CLIENT GET
        autotrace.urllib3 CLIENT GET resend=1
        """,
        """
        autotrace.http.client CLIENT GET
        autotrace.http.client CLIENT GET
        """,
        before=START,
        after=CLIENT_END,
    ),
    "http.client": Scenario(
        get_with_http_client, "autotrace.http.client CLIENT GET", before=START, after=CLIENT_END
    ),
    "urllib.request": Scenario(
        follow_with_urllib,
        """
        autotrace.http.client CLIENT GET
        autotrace.http.client CLIENT GET resend=1
        """,
        """
        autotrace.http.client CLIENT GET
        autotrace.http.client CLIENT GET
        """,
        before=START,
        after=CLIENT_END,
    ),
}
"""By the module that a row patches."""
