"""gevent and eventlet, patched in by the first line of a program: servers, TLS calls, contexts, the exit."""

from __future__ import annotations

import re
import signal
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest
from programs import Sandbox, backend
from servers import serving, wait_until

pytestmark = pytest.mark.slow

APPLICATION = """
import os, signal, sys, threading, time
import requests

def application(environ, start_response):
    time.sleep(0.05)  # others are served meanwhile
    path = environ["PATH_INFO"]
    requests.get(os.environ["TLS"] + path, verify=os.environ["CA"], timeout=60)
    # A greenlet of its own, which goes on in the trace of the request.
    thread = threading.Thread(
        target=requests.get, args=(os.environ["TLS"] + path,), kwargs={"verify": os.environ["CA"]}
    )
    thread.start()
    thread.join()
    start_response("200 OK", [("content-type", "text/plain")])
    return [path.encode()]
"""

GEVENT = f"""
from gevent import monkey
monkey.patch_all()
{APPLICATION}
import gevent
from gevent.pywsgi import WSGIServer

server = WSGIServer(("127.0.0.1", 0), application, log=None)
server.start()
gevent.signal_handler(signal.SIGTERM, server.stop)
print(f"127.0.0.1:{{server.server_port}}", flush=True)
server.serve_forever()
"""

EVENTLET = f"""
import eventlet
eventlet.monkey_patch()
{APPLICATION}
import eventlet.wsgi

listener = eventlet.listen(("127.0.0.1", 0))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(f"127.0.0.1:{{listener.getsockname()[1]}}", flush=True)
eventlet.wsgi.server(listener, application, log_output=False)
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Of 127.0.0.1, signed by itself, with its key."""
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-keyout", "key.pem", "-out", "certificate.pem", "-subj", "/CN=test", "-days", "2"]
    subprocess.run(
        [*words, "-addext", "subjectAltName=IP:127.0.0.1"], cwd=path.parent, check=True, capture_output=True
    )
    parts = [path.with_name(name).read_text() for name in ("key.pem", "certificate.pem")]
    path.write_text("".join(parts))
    return path


@pytest.mark.parametrize("early", [False, True], ids=["", "tracer first"])
@pytest.mark.parametrize(("library", "program"), [("gevent", GEVENT), ("eventlet", EVENTLET)])
def test_a_patched_program_is_served_and_traced(tmp_path, arrivals, certificate, library, program, early):
    if find_spec(library) is None:
        pytest.skip("without the extra `libraries`")
    sandbox = Sandbox(tmp_path, OTEL_SERVICE_NAME="app", **arrivals.environ)
    # As under a server that imports what we trace, and patches afterwards.
    sandbox.write("app.py", "import wsgiref.handlers\n" * early + program)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    paths = [f"/{number}" for number in range(8)]
    with backend(tls=context) as peer:
        variables = {
            "TLS": peer.url("", scheme="https"),
            "CA": str(certificate),
            "EVENTLET_NO_GREENDNS": "yes",
        }
        with serving(sandbox, "python", "app.py", **variables) as server:
            server.find_port()
            with ThreadPoolExecutor(4) as clients:
                answers = list(clients.map(server.request, paths))
            assert [answer.body.decode() for answer in answers] == paths, server.log
            assert server.stop(signal.SIGTERM) == 0
            # Neither we, nor the library of what was imported before it patched.
            assert not re.search("autotrace|Traceback|Error|RuntimeWarning|RLock", server.log), server.log
        sent = {(request.line.split()[1], request.headers["traceparent"]) for request in peer.received}
    servers = {span.span_id: span for span in arrivals.spans if span.kind == "SERVER"}
    assert sorted(span.attributes["url.path"] for span in servers.values()) == paths
    clients = [span for span in arrivals.spans if span.kind == "CLIENT"]
    assert len(clients) == 2 * len(paths)
    assert len(arrivals.spans) == 3 * len(paths)
    for span in clients:
        parent = servers[span.parent_id]
        path = parent.attributes["url.path"]
        assert span.attributes["url.full"] == variables["TLS"] + path
        assert (path, f"00-{parent.trace_id}-{span.span_id}-01") in {
            (path, traceparent[:-2] + "01") for path, traceparent in sent
        }


POOL = """
import os, sqlite3, sys, time
if sys.argv[1] == "gevent":
    from gevent import monkey
    monkey.patch_all()
    import gevent
    in_pool = gevent.get_hub().threadpool.apply
else:
    import eventlet
    eventlet.monkey_patch()
    from eventlet.tpool import execute as in_pool

def query():
    connection = sqlite3.connect(":memory:")
    connection.execute("SELECT 1")
    connection.close()

in_pool(query)  # a thread of the system's, in which no greenlet of ours would run for long
query()
while not os.path.exists("one"):
    time.sleep(0.05)
in_pool(query)
while not os.path.exists("two"):
    time.sleep(0.05)
"""


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_spans_of_real_threads_arrive_too(tmp_path, arrivals, library):
    if find_spec(library) is None:
        pytest.skip("without the extra `libraries`")
    sandbox = Sandbox(tmp_path, EVENTLET_NO_GREENDNS="yes", **arrivals.environ)
    sandbox.write("app.py", POOL)
    with serving(sandbox, "python", "app.py", library) as program:
        wait_until(lambda: len(arrivals.spans) == 2)
        sandbox.write("one", "")
        wait_until(lambda: len(arrivals.spans) == 3)
        sandbox.write("two", "")
        assert program.process.wait(60) == 0
        assert program.said == []
