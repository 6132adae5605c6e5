"""One unit of work for each web framework that has no family of its own here."""

from __future__ import annotations

from scenarios.scenario import START, Scenario

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FINISH = ("autotrace.instrumentation.http_server:HttpServer.finish",)


def answer_with_django(_url: str) -> Any:
    """Django by its two entry points and by its two test clients."""
    import asyncio
    import logging
    import sys
    from types import ModuleType

    from django.conf import settings

    logging.getLogger("django").addHandler(logging.NullHandler())
    urls: Any = ModuleType("shop_urls")
    sys.modules["shop_urls"] = urls
    if not settings.configured:
        settings.configure(ROOT_URLCONF="shop_urls", ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)

    import django
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.test import AsyncClient, Client
    from django.urls import path, re_path

    django.setup()

    def user(_request: Any, number: int) -> Any:
        return HttpResponse(f"user {number}")

    def broken(_request: Any) -> Any:
        raise ValueError("no such thing")

    urls.urlpatterns = [path("users/<int:number>", user), re_path(r"^broken$", broken)]

    from wsgiref.util import setup_testing_defaults

    from scenarios.asgi import call_each

    def call(requested: str) -> Any:
        environ: dict[str, Any] = {"PATH_INFO": requested}
        setup_testing_defaults(environ)
        started: list[str] = []
        body = application(environ, lambda status, *_: started.append(status))
        answer = b"".join(body).decode()
        body.close()
        return started, answer[:20]

    application = get_wsgi_application()
    by_wsgi = [call("/users/7"), call("/broken"), call("/nowhere")]
    by_asgi = call_each(get_asgi_application(), "/users/7")
    by_client = Client(raise_request_exception=False).get("/broken").status_code
    by_async_client = asyncio.run(AsyncClient().get("/users/7")).status_code
    return by_wsgi, by_asgi, by_client, by_async_client


_DJANGO = Scenario(
    answer_with_django,
    """
    autotrace.django SERVER GET /users/<int:number>
    autotrace.django SERVER GET /broken ERROR
    autotrace.django SERVER GET
    autotrace.django SERVER GET /users/<int:number>
    autotrace.django SERVER GET /broken ERROR
    autotrace.django SERVER GET /users/<int:number>
    """,
    before=START,
    after=FINISH,
)

SCENARIOS = {
    "django.core.handlers.wsgi": _DJANGO,
    "django.core.handlers.asgi": _DJANGO,
    "django.core.handlers.base": _DJANGO,
    "django.core.handlers.exception": _DJANGO,
    "django.test.client": _DJANGO,
}
"""By the module that a row patches."""
