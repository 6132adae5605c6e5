"""One unit of work for each HTTP server and framework."""

from __future__ import annotations

from scenarios.scenario import START, Scenario

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def answer_with_flask(_url: str) -> Any:
    import flask

    app = flask.Flask("shop")

    @app.get("/users/<int:number>")
    def user(number: int) -> str:
        return f"user {number}"

    @app.get("/broken")
    def broken() -> str:
        raise ValueError("no such thing")

    seen = []
    for path in ("/users/7", "/broken", "/nowhere"):
        with app.test_client().get(path) as answer:
            seen.append([answer.status_code, answer.get_data(as_text=True)])
    return seen


def serve_with_wsgiref(_url: str) -> Any:
    import io
    from wsgiref.handlers import SimpleHandler
    from wsgiref.util import setup_testing_defaults

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("date", "Sun, 06 Nov 1994 08:49:37 GMT")])
        return [environ["PATH_INFO"].encode()]

    environ: dict[str, Any] = {"PATH_INFO": "/users/7"}
    setup_testing_defaults(environ)
    sent = io.BytesIO()
    SimpleHandler(io.BytesIO(), sent, io.StringIO(), environ).run(application)
    return sent.getvalue().decode()


def hello(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", [("content-type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


def load_with_gunicorn(module: str, worker_class: str) -> Any:
    def work(_url: str) -> Any:
        from importlib import import_module
        from wsgiref.util import setup_testing_defaults

        from gunicorn.app.base import BaseApplication

        class Application(BaseApplication):
            def load_config(self) -> None:
                pass

            def load(self) -> Any:
                return hello

        app = Application()
        worker = getattr(import_module(module), worker_class)(1, 1, [], app, 30, app.cfg, None)
        worker.load_wsgi()
        worker.tmp.close()
        environ: dict[str, Any] = {"PATH_INFO": "/users/7"}
        setup_testing_defaults(environ)
        return b"".join(worker.wsgi(environ, lambda _status, _headers: None)).decode()

    return work


def fetch(address: Any) -> str:
    """The last line of an answer, by a client that nobody traces."""
    import socket

    with socket.create_connection(address[:2], timeout=30) as connection:
        connection.sendall(b"GET /users/7 HTTP/1.0\r\n\r\n")
        with connection.makefile("rb") as answer:
            return answer.read().decode().splitlines()[-1]


def serve_with_waitress(_url: str) -> Any:
    import threading

    from waitress import wasyncore
    from waitress.server import create_server

    server = create_server(hello, host="127.0.0.1", port=0, threads=1)
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(fetch(server.socket.getsockname())))
    thread.start()
    while thread.is_alive():
        wasyncore.loop(timeout=0.05, map=server._map, count=1)
    server.task_dispatcher.shutdown()
    server.close()
    return answers


def serve_with_werkzeug(_url: str) -> Any:
    import threading

    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_words: Any) -> None:
            pass

    with make_server("127.0.0.1", 0, hello, request_handler=Quiet) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        answer = fetch(server.server_address)
        thread.join(30)
    return answer


def serve_with_cheroot(_url: str) -> Any:
    import threading

    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", 0), hello, numthreads=1)
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    answer = fetch(server.bind_addr)
    server.stop()
    thread.join(30)
    return answer


def serve_with_gevent(_url: str) -> Any:
    import gevent
    from gevent.pywsgi import WSGIServer

    server = WSGIServer(("127.0.0.1", 0), hello, log=None)
    server.start()
    answer = gevent.get_hub().threadpool.apply(fetch, (server.address,))
    server.stop()
    return answer


def serve_with_eventlet(_url: str) -> Any:
    import eventlet.wsgi
    from eventlet import tpool

    listener = eventlet.listen(("127.0.0.1", 0))
    server = eventlet.spawn(eventlet.wsgi.server, listener, hello, log_output=False)
    answer = tpool.execute(fetch, listener.getsockname())
    server.kill()
    tpool.killall()
    return answer


def _of_server(work: Any, scope: str) -> Scenario:
    return Scenario(
        work,
        f"autotrace.{scope} SERVER GET",
        before=START,
        after=("autotrace.instrumentation.http_server:HttpServer.finish",),
    )


SCENARIOS = {
    "flask.app": Scenario(
        answer_with_flask,
        """
        autotrace.flask SERVER GET /users/<int:number>
        autotrace.flask SERVER GET /broken ERROR
        autotrace.flask SERVER GET
        """,
        before=START,
        after=("autotrace.instrumentation.http_server:HttpServer.finish",),
    ),
    "wsgiref.handlers": Scenario(
        serve_with_wsgiref,
        "autotrace.wsgiref SERVER GET",
        before=START,
        after=("autotrace.instrumentation.http_server:HttpServer.finish",),
    ),
    "gunicorn.workers.sync": _of_server(
        load_with_gunicorn("gunicorn.workers.sync", "SyncWorker"), "gunicorn"
    ),
    "gunicorn.workers.gthread": _of_server(
        load_with_gunicorn("gunicorn.workers.gthread", "ThreadWorker"), "gunicorn"
    ),
    "gunicorn.workers.base_async": _of_server(
        load_with_gunicorn("gunicorn.workers.base_async", "AsyncWorker"), "gunicorn"
    ),
    "waitress.server": _of_server(serve_with_waitress, "waitress"),
    "werkzeug.serving": _of_server(serve_with_werkzeug, "werkzeug"),
    "cheroot.wsgi": _of_server(serve_with_cheroot, "cheroot"),
    "gevent.pywsgi": _of_server(serve_with_gevent, "gevent"),
    "eventlet.wsgi": _of_server(serve_with_eventlet, "eventlet"),
}
"""By the module that a row patches."""
