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
            seen.append([answer.status_code, answer.text])
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
}
"""By the module that a row patches."""
