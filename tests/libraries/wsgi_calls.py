"""WSGI applications, called as servers call them."""

from __future__ import annotations

from typing import Any
from wsgiref.util import setup_testing_defaults


def ask(application: Any, path: str, **variables: str) -> tuple[int, str]:
    """Status and text of what it answers."""
    environ: dict[str, Any] = {"PATH_INFO": path, **variables}
    setup_testing_defaults(environ)
    started: list[str] = []
    body = application(environ, lambda status, *_: started.append(status))
    try:
        return int(started[-1][:3]), b"".join(body).decode()
    finally:
        if hasattr(body, "close"):
            body.close()


def exceptions(span: Any) -> list[str]:
    """The types of those that were recorded."""
    return [event.attributes["exception.type"] for event in span.events]
