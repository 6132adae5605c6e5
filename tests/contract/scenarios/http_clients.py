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


def get_with_httpcore(url: str) -> Any:
    import httpcore

    return _get_with_httpcore(httpcore, url)


def get_with_httpcore2(url: str) -> Any:
    import httpcore2

    return _get_with_httpcore(httpcore2, url)


def _get_with_httpcore(httpcore: Any, url: str) -> Any:
    with httpcore.ConnectionPool() as pool:
        answer = pool.request("GET", f"{url}/status/204")
    return [answer.status, answer.content.decode()]


def follow_with_httpx(url: str) -> Any:
    import httpx

    return _follow_with_httpx(httpx, url)


def follow_with_httpx2(url: str) -> Any:
    import httpx2

    return _follow_with_httpx(httpx2, url)


def _follow_with_httpx(httpx: Any, url: str) -> Any:
    import asyncio

    async def follow() -> Any:
        async with httpx.AsyncClient(follow_redirects=True) as client:
            return await client.get(f"{url}/redirect/1")

    answer = asyncio.run(follow())
    return [answer.status_code, str(answer.url), [earlier.status_code for earlier in answer.history]]


def follow_with_aiohttp(url: str) -> Any:
    import asyncio

    import aiohttp

    async def follow() -> Any:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/redirect/1") as answer:
            return [answer.status, str(answer.url), [earlier.status for earlier in answer.history]]

    return asyncio.run(follow())


def follow_with_tornado(url: str) -> Any:
    from tornado.simple_httpclient import SimpleAsyncHTTPClient

    return _follow_with_tornado(SimpleAsyncHTTPClient, url)


def follow_with_curl(url: str) -> Any:
    from tornado.curl_httpclient import CurlAsyncHTTPClient

    return _follow_with_tornado(CurlAsyncHTTPClient, url)


def _follow_with_tornado(client: Any, url: str) -> Any:
    from tornado.httpclient import HTTPClient

    with_client = HTTPClient(client)
    answer = with_client.fetch(f"{url}/redirect/1")
    with_client.close()
    return [answer.code, answer.effective_url, sorted(answer.request.headers)]


_AWS = {"region_name": "eu-west-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}


def get_an_object(url: str) -> Any:
    import botocore.session

    client = botocore.session.Session().create_client("s3", endpoint_url=url, **_AWS)
    answer = client.get_object(Bucket="shop", Key="one")
    return [answer["ResponseMetadata"]["HTTPStatusCode"], b"amz-sdk-request" in answer["Body"].read()]


def get_an_object_asynchronously(url: str) -> Any:
    import asyncio

    from aiobotocore.session import get_session

    async def get() -> Any:
        async with get_session().create_client("s3", endpoint_url=url, **_AWS) as client:
            answer = await client.get_object(Bucket="shop", Key="one")
            return [
                answer["ResponseMetadata"]["HTTPStatusCode"],
                b"amz-sdk-request" in await answer["Body"].read(),
            ]

    return asyncio.run(get())


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
    "httpcore": Scenario(get_with_httpcore, "autotrace.httpcore CLIENT GET", before=START, after=CLIENT_END),
    "httpcore2": Scenario(
        get_with_httpcore2, "autotrace.httpcore2 CLIENT GET", before=START, after=CLIENT_END
    ),
    "httpx": Scenario(
        follow_with_httpx,
        """
        autotrace.httpcore CLIENT GET
        autotrace.httpcore CLIENT GET resend=1
        """,
        """
        autotrace.httpcore CLIENT GET
        autotrace.httpcore CLIENT GET
        """,
        before=START,
        after=CLIENT_END,
    ),
    "httpx2": Scenario(
        follow_with_httpx2,
        """
        autotrace.httpcore2 CLIENT GET
        autotrace.httpcore2 CLIENT GET resend=1
        """,
        """
        autotrace.httpcore2 CLIENT GET
        autotrace.httpcore2 CLIENT GET
        """,
        before=START,
        after=CLIENT_END,
    ),
    "aiohttp.client": Scenario(
        follow_with_aiohttp,
        """
        autotrace.aiohttp-client CLIENT GET
        autotrace.aiohttp-client CLIENT GET resend=1
        """,
        before=START,
        after=CLIENT_END,
    ),
    "tornado.simple_httpclient": Scenario(
        follow_with_tornado,
        """
        autotrace.tornado-client CLIENT GET
        autotrace.tornado-client CLIENT GET resend=1
        """,
        before=START,
        after=CLIENT_END,
    ),
    # libcurl follows redirects without telling.
    "tornado.curl_httpclient": Scenario(
        follow_with_curl, "autotrace.tornado-client CLIENT GET", before=START, after=CLIENT_END
    ),
    "botocore.client": Scenario(
        get_an_object,
        "autotrace.botocore CLIENT S3.GetObject",
        "autotrace.urllib3 CLIENT GET",
        before=START,
    ),
    "botocore.endpoint": Scenario(
        get_an_object,
        "autotrace.botocore CLIENT S3.GetObject",
        "autotrace.urllib3 CLIENT GET",
    ),
    "aiobotocore.client": Scenario(
        get_an_object_asynchronously,
        "autotrace.aiobotocore CLIENT S3.GetObject",
        "autotrace.aiohttp-client CLIENT GET",
        before=START,
    ),
}
"""By the module that a row patches."""
