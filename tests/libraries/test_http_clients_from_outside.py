"""HTTP clients in a program that knows nothing of tracing, started as users start it."""

from __future__ import annotations

import pytest

for module in ("aiohttp", "aiobotocore", "httpx", "pycurl", "tornado", "opentelemetry.instrumentation.httpx"):
    pytest.importorskip(module, reason="without the extra `libraries`")

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, os, urllib.request
import aiohttp, botocore.session, httpx, requests, urllib3
from tornado.httpclient import AsyncHTTPClient, HTTPClient

URL = os.environ["ECHO"] + "/echo?{}"
told = {}

async def fetch():
    async with httpx.AsyncClient() as client:
        told["async httpx"] = (await client.get(URL.format("a"))).text
    async with aiohttp.ClientSession() as session, session.get(URL.format("b")) as answer:
        told["aiohttp"] = await answer.text()
    told["tornado"] = (await AsyncHTTPClient().fetch(URL.format("c"))).body.decode()

asyncio.run(fetch())
told["httpx"] = httpx.get(URL.format("d")).text
told["requests"] = requests.get(URL.format("e"), timeout=10).text
told["urllib3"] = urllib3.PoolManager().request("GET", URL.format("f")).data.decode()
told["urllib"] = urllib.request.urlopen(URL.format("g"), timeout=10).read().decode()
client = botocore.session.Session().create_client("s3", endpoint_url=os.environ["ECHO"],
    region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
told["botocore"] = client.get_object(Bucket="shop", Key="one")["Body"].read().decode()
for name, text in told.items():
    print(name, text.count('["traceparent", "00-'))
"""

NAMES = ["async httpx", "aiohttp", "tornado", "httpx", "requests", "urllib3", "urllib", "botocore"]

SPANS = """\
app autotrace.httpcore CLIENT GET
app autotrace.aiohttp-client CLIENT GET
app autotrace.tornado-client CLIENT GET
app autotrace.httpcore CLIENT GET
app autotrace.urllib3 CLIENT GET
app autotrace.urllib3 CLIENT GET
app autotrace.http.client CLIENT GET
app autotrace.botocore CLIENT S3.GetObject
"""


@pytest.mark.parametrize(("hosts", "sent"), [("", 1), ("api.example.com,.internal", 0)])
def test_each_client_makes_a_span_and_tells_only_whom_it_may(sandbox, arrivals, hosts, sent):
    sandbox.write("app.py", PROGRAM)
    done = sandbox.run("app.py", **arrivals.environ, AUTOTRACE_PROPAGATE_TO=hosts)
    assert (done.code, done.err, done.said) == (0, "", [])
    assert done.out == "".join(f"{name} {sent}\n" for name in NAMES)
    assert arrivals.tree == SPANS


def test_an_application_that_instruments_httpx_itself(sandbox, arrivals):
    sandbox.write(
        "app.py",
        """
        import os
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
        HTTPXClientInstrumentor().instrument()
        import httpx

        print(httpx.get(os.environ["ECHO"] + "/echo").text.count('["traceparent", "00-'))
        """,
    )
    done = sandbox.run("app.py", **arrivals.environ)
    assert (done.code, done.out) == (0, "1\n")
    assert [span.scope for span in arrivals.spans] == ["opentelemetry.instrumentation.httpx"]
    assert any("leaves httpx to it" in line for line in done.said), done.said
