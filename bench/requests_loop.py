"""The loop of a WSGI server around an application, without sockets."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "shop.example",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "51234",
    "HTTP_HOST": "shop.example:8000",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "HTTP_ACCEPT_LANGUAGE": "en-US,en;q=0.5",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br",
    "HTTP_CONNECTION": "keep-alive",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
UNSAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


def job(app: Callable[..., Iterable[bytes]], name: str) -> Callable[[int], Callable[[], None]]:
    """`name` is the path to ask for; `hello unsampled` comes with a `traceparent` that says so."""
    path, _, unsampled = name.partition(" ")
    template: dict[str, Any] = {**ENVIRON, "PATH_INFO": "/" + path, "wsgi.errors": io.StringIO()}
    if unsampled:
        template["HTTP_TRACEPARENT"] = UNSAMPLED

    def start_response(status: str, _headers: list, _exc_info: object = None) -> None:
        if status != "200 OK":
            raise AssertionError(status)

    def prepare(count: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(count):
                environ = template.copy()
                environ["wsgi.input"] = io.BytesIO()
                body = app(environ, start_response)
                for _chunk in body:
                    pass
                body.close()

        return run

    return prepare
