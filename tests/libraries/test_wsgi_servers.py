"""A WSGI application under each server: one SERVER span a request, and answers as without us."""

from __future__ import annotations

import pytest
from programs import Sandbox
from servers import serving

pytest.importorskip("gunicorn", reason="without the extra `libraries`")

APPLICATION = """
import flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

shop = flask.Flask("shop")

@shop.get("/users/<int:number>")
def user(number):
    return f"user {number}"

@shop.get("/health")
def health():
    return "well"

def stream():
    yield b"one "
    yield b"two"

def plain(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/broken":
        raise ValueError("no such thing")
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Test", "yes")])
    if path == "/stream":
        return stream()
    if path == "/file":
        file = open("page.txt", "rb")
        wrapper = environ.get("wsgi.file_wrapper")
        return wrapper(file) if wrapper else iter(lambda: file.read(1000), b"")
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"plain"]

application = DispatcherMiddleware(plain, {"/shop": shop})
"""

SERVE = """
import signal, sys
from application import application

def said(port):
    print(f"127.0.0.1:{port}", flush=True)

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
"""

PROGRAMS = {
    "waitress": """
from waitress.server import create_server
server = create_server(application, host="127.0.0.1", port=0)
said(server.effective_port)
server.run()
""",
    "werkzeug": """
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, application, threaded=True)
said(server.port)
server.serve_forever()
""",
    "wsgiref": """
from wsgiref.simple_server import make_server
server = make_server("127.0.0.1", 0, application)
said(server.server_port)
server.serve_forever()
""",
    "cheroot": """
from cheroot.wsgi import Server
server = Server(("127.0.0.1", 0), application)
server.prepare()
said(server.bind_addr[1])
try:
    server.serve()
finally:
    server.stop()
""",
    "gevent": """
import gevent
from gevent.pywsgi import WSGIServer
server = WSGIServer(("127.0.0.1", 0), application)
server.start()
gevent.signal_handler(signal.SIGTERM, server.stop)
said(server.server_port)
server.serve_forever()
""",
    "eventlet": """
import eventlet.wsgi
listener = eventlet.listen(("127.0.0.1", 0))
said(listener.getsockname()[1])
eventlet.wsgi.server(listener, application)
""",
}

WORDS = dict.fromkeys(PROGRAMS, ("python", "serve.py"))
WORDS["gunicorn"] = ("gunicorn", "-b", "127.0.0.1:0", "--no-control-socket", "application:application")

REQUESTS = [
    ("GET", "/plain", b"plain"),
    ("HEAD", "/plain", b""),
    ("GET", "/stream", b"one two"),
    ("GET", "/file", b"page\n" * 5000),
    ("GET", "/shop/users/7", b"user 7"),
    ("GET", "/shop/health", b"well"),
]


@pytest.mark.parametrize("name", WORDS)
def test_one_span_for_each_request(tmp_path, arrivals, name):
    environ = {**arrivals.environ, "OTEL_PYTHON_FLASK_EXCLUDED_URLS": "health", "EVENTLET_NO_GREENDNS": "yes"}
    sandbox = Sandbox(tmp_path, OTEL_SERVICE_NAME="app", **environ)
    sandbox.write("application.py", APPLICATION)
    sandbox.write("serve.py", SERVE + PROGRAMS.get(name, ""))
    sandbox.write("page.txt", "page\n" * 5000)
    with serving(sandbox, *WORDS[name]) as server:
        server.find_port()
        for method, path, body in REQUESTS:
            answer = server.request(path, method)
            assert (answer.status, answer.body) == (200, body), server.log
            assert ("X-Test", "yes") in answer.headers.items() or path.startswith("/shop")
        assert server.request("/broken").status == 500
        server.stop()
        assert server.said == []
    seen = [(span.scope, span.kind, span.name, span.attributes["url.path"]) for span in arrivals.spans]
    scope = f"autotrace.{name}"
    assert seen == [
        (scope, "SERVER", "GET", "/plain"),
        (scope, "SERVER", "HEAD", "/plain"),
        (scope, "SERVER", "GET", "/stream"),
        (scope, "SERVER", "GET", "/file"),
        (scope, "SERVER", "GET /shop/users/<int:number>", "/shop/users/7"),
        (scope, "SERVER", "GET", "/broken"),
    ]
    assert [span.attributes.get("http.response.status_code") for span in arrivals.spans[:5]] == [200] * 5
    assert [span.failed for span in arrivals.spans] == [False] * 5 + [True]
    assert arrivals.spans[-1].attributes["error.type"] == "ValueError"
