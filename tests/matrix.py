"""The oldest version of each library that the hook table promises, and what it needs to run; `make matrix`.

The newest versions are what the suite runs with. Companions are pinned where the old version does not work
with today's; the interpreter is one that it runs on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIBRARIES = "tests/libraries"
_NO_TELEMETRY = "it does not trace itself yet"
_GIVEN_BACK = "at its end a green pool gives back a task that it has run"
_NO_PSYCOPG_3 = "it knows no psycopg 3"
_OTHER_COMMANDS = "it sends Redis its commands in another order"


class Oldest(NamedTuple):
    """One environment: the old version, its interpreter, what goes with it, and what is run there."""

    version: str
    python: str
    companions: str = ""
    """Requirements, apart by spaces."""
    tests: str = ""
    """Files, apart by spaces; the scenarios of the library's rows in tests/contract are run in any case."""
    skipped: Mapping[str, str] = {}
    """Parts of the names of tests that this version cannot pass, and what it lacks for them."""


MATRIX = {
    "flask": Oldest(
        "2.0", "3.10", "werkzeug<2.1 jinja2<3.1 itsdangerous<2.1", "tests/unit/instrumentation/test_flask.py"
    ),
    "gunicorn": Oldest("20.0", "3.9", "flask gevent setuptools<80", "tests/apps/test_gunicorn.py"),
    "waitress": Oldest("2.0", "3.10"),
    "werkzeug": Oldest("2.0", "3.10", "flask<2.1 jinja2<3.1"),
    "cheroot": Oldest("8.0", "3.9", "setuptools<80"),
    "gevent": Oldest("20.9", "3.9", "greenlet<1"),
    "eventlet": Oldest("0.33", "3.9", "dnspython<2.3"),
    "uvicorn": Oldest("0.20", "3.11", "websockets<11 starlette httpx", f"{_LIBRARIES}/test_asgi.py"),
    "hypercorn": Oldest("0.14", "3.11"),
    "daphne": Oldest("4.0", "3.11"),
    "granian": Oldest("2.0", "3.11"),
    "starlette": Oldest(
        "0.17",
        "3.10",
        "anyio<4 httpx<0.28 requests a2wsgi flask",
        f"{_LIBRARIES}/test_starlette.py",
        {
            "starlette.middleware.opentelemetry": _NO_TELEMETRY,
            "starlettes_own_middleware": _NO_TELEMETRY,
            "its_middleware_makes": _NO_TELEMETRY,
            "redirect_to_a_slash": "its test client is one of requests",
            "follows_it[middleware]": "its middleware keeps the response from ending before background tasks",
        },
    ),
    "fastapi": Oldest(
        "0.75",
        "3.10",
        "anyio<4 pydantic<2 httpx<0.28 requests",
        f"{_LIBRARIES}/test_fastapi.py",
        {
            "fastapi.telemetry": _NO_TELEMETRY,
            "can_be_switched_off": _NO_TELEMETRY,
            "unsupported_version": _NO_TELEMETRY,
            "test_websockets[/v1/outer/inner/2]": "it leaves a router's prefix out for websockets",
            "fastapi_makes_the_only": _NO_TELEMETRY,
            "not_to_trace_is_ours": _NO_TELEMETRY,
        },
    ),
    "falcon": Oldest("3.0", "3.9", "setuptools<80", f"{_LIBRARIES}/test_falcon.py"),
    "bottle": Oldest("0.12.13", "3.9", "", f"{_LIBRARIES}/test_bottle.py"),
    "pyramid": Oldest("1.10", "3.9", "setuptools<80", f"{_LIBRARIES}/test_pyramid.py"),
    "cherrypy": Oldest("18.0", "3.9", "setuptools<80", f"{_LIBRARIES}/test_cherrypy.py"),
    "quart": Oldest("0.19", "3.11", "werkzeug<3.1 flask<3.1", f"{_LIBRARIES}/test_quart.py"),
    "litestar": Oldest(
        "2.14", "3.11", "annotated-types sniffio starlette httpx uvicorn", f"{_LIBRARIES}/test_litestar.py"
    ),
    "sanic": Oldest(
        "23.12", "3.11", "websockets<14 httpx uvicorn setuptools<80", f"{_LIBRARIES}/test_sanic.py"
    ),
    "django": Oldest(
        "3.2",
        "3.10",
        "djangorestframework<3.15 gunicorn uvicorn",
        f"{_LIBRARIES}/test_django.py",
        {
            "request[runserver]": "it does not say which port it found",
            "request[uvicorn]": "its ASGI handler cannot query a database while it streams",
        },
    ),
    "aiohttp-web": Oldest(
        "3.8",
        "3.10",
        "yarl<1.9 gunicorn",
        f"{_LIBRARIES}/test_aiohttp_web.py",
        {
            "gone_is_no_error": "it has no `handler_cancellation`",
            "nothing-500": "it answers nothing where a handler returns nothing",
            "slow-504": "asyncio has a TimeoutError of its own before Python 3.11",
        },
    ),
    "aiohttp-client": Oldest("3.8", "3.10", "yarl<1.9", f"{_LIBRARIES}/test_aiohttp_client.py"),
    "tornado-web": Oldest(
        "6.1",
        "3.9",
        "flask",
        f"{_LIBRARIES}/test_tornado_web.py",
        {"websocket_is_one_span[True]": "it does not call `on_close` where a handler fails"},
    ),
    "tornado-client": Oldest("6.1", "3.9", "pycurl", f"{_LIBRARIES}/test_tornado_client.py"),
    "requests": Oldest("2.20", "3.9", "", "tests/unit/instrumentation/test_http_clients.py"),
    "urllib3": Oldest("1.24", "3.9", "requests<2.25", "tests/unit/instrumentation/test_http_clients.py"),
    "httpcore": Oldest("0.17", "3.11", "httpx<0.25 h2 trio hypercorn", f"{_LIBRARIES}/test_httpx.py"),
    "httpcore2": Oldest("2.0", "3.11"),
    "httpx": Oldest("0.24", "3.11", "h2 trio hypercorn", f"{_LIBRARIES}/test_httpx.py"),
    "httpx2": Oldest("2.0", "3.11"),
    "botocore": Oldest("1.20", "3.9"),
    "aiobotocore": Oldest("2.5", "3.10", "", f"{_LIBRARIES}/test_botocore.py"),
    "psycopg2": Oldest(
        "2.8",
        "3.9",
        "",
        f"{_LIBRARIES}/test_psycopg2.py",
        {"test_a_replication_connection": "it has no `feedback_timestamp`"},
    ),
    "psycopg": Oldest(
        "3.1",
        "3.11",
        "psycopg-pool",
        f"{_LIBRARIES}/test_psycopg.py",
        {
            "batch_reads_its_rows_once": "it has no `Cursor.results`",
            "test_copy": "it hides the error of who copies",
            "left_early": "it leaves the connection busy",
            "cancelled_task": "it leaves the connection busy",
        },
    ),
    "asyncpg": Oldest("0.27", "3.11", "", f"{_LIBRARIES}/test_asyncpg.py"),
    "pymysql": Oldest(
        "1.0", "3.11", "aiomysql mysql-connector-python<10", f"{_LIBRARIES}/test_mysql_drivers.py"
    ),
    "mysqlclient": Oldest(
        "2.0",
        "3.9",
        "setuptools<80 pymysql aiomysql mysql-connector-python<10",
        f"{_LIBRARIES}/test_mysql_drivers.py",
    ),
    "mysql": Oldest("8.3", "3.11", "pymysql aiomysql", f"{_LIBRARIES}/test_mysql_drivers.py"),
    "aiomysql": Oldest(
        "0.2", "3.11", "pymysql mysql-connector-python<10", f"{_LIBRARIES}/test_mysql_drivers.py"
    ),
    "pyodbc": Oldest("4.0.35", "3.9", "", f"{_LIBRARIES}/test_pyodbc.py"),
    "pymssql": Oldest("2.2", "3.9", "", f"{_LIBRARIES}/test_pymssql.py"),
    "oracledb": Oldest("2.0", "3.11", "", f"{_LIBRARIES}/test_oracledb.py"),
    "aiosqlite": Oldest("0.16", "3.9"),
    "sqlalchemy": Oldest(
        "1.4.24",
        "3.10",
        "greenlet aiosqlite psycopg2-binary pg8000 pymysql asyncpg",
        f"{_LIBRARIES}/test_sqlalchemy.py",
        {"psycopg-psycopg": _NO_PSYCOPG_3, "psycopg_async-psycopg": _NO_PSYCOPG_3},
    ),
    "redis": Oldest(
        "4.5",
        "3.11",
        "valkey",
        f"{_LIBRARIES}/test_redis.py",
        {
            "transaction_in_a_cluster": "it has none",
            "async_program_sees_no_difference[redis]": "its connections wait for ever after a cancelled one",
            "sends_for_itself": "it has no third protocol",
            "a_sentinel_names": "its Sentinel has no `close`",
        },
    ),
    "valkey": Oldest("6.0", "3.11", "redis", f"{_LIBRARIES}/test_redis.py"),
    "pymemcache": Oldest(
        "3.5",
        "3.10",
        "",
        f"{_LIBRARIES}/test_pymemcache.py",
        {"tells_no_secret[hashing]": "its HashClient.flush_all takes no `noreply`"},
    ),
    "pymongo": Oldest(
        "3.12",
        "3.10",
        "",
        f"{_LIBRARIES}/test_pymongo.py",
        {"an_async_program": "it has no AsyncMongoClient"},
    ),
    "elasticsearch": Oldest(
        "8.13",
        "3.11",
        "aiohttp requests opensearch-py",
        f"{_LIBRARIES}/test_search_engines.py",
        {"test_a_program_sees_no_difference[Elasticsearch]": "it has no name for `ping`"},
    ),
    "opensearch": Oldest(
        "2.0", "3.11", "aiohttp requests elasticsearch", f"{_LIBRARIES}/test_search_engines.py"
    ),
    "grpc": Oldest(
        "1.48",
        "3.10",
        "",
        f"{_LIBRARIES}/test_grpc.py",
        {
            "every_kind_of_call_in_asyncio": "a channel of its asyncio does not tell its target",
            "sends_its_spans_by_grpc": "exporters want a newer gRPC",
        },
    ),
    "pika": Oldest("1.0", "3.10", "", f"{_LIBRARIES}/test_pika.py"),
    "aiormq": Oldest("6.7.7", "3.11", "aio-pika>=9.0,<9.1"),
    "aio-pika": Oldest("9.0", "3.11", "", f"{_LIBRARIES}/test_aio_pika.py"),
    "kafka-python": Oldest("2.0", "3.11"),
    "confluent-kafka": Oldest(
        "2.0.2",
        "3.9",
        "",
        f"{_LIBRARIES}/test_confluent_kafka.py",
        {"confluent_kafka.aio": "it has none", "asynchronous_consumer": "it has none"},
    ),
    "aiokafka": Oldest("0.10", "3.11"),
    "kombu": Oldest(
        "5.0",
        "3.9",
        "redis<5 setuptools<80",
        "",
        {"can_be_switched_off": _OTHER_COMMANDS, "unsupported_version": _OTHER_COMMANDS},
    ),
    "celery": Oldest(
        "5.0",
        "3.9",
        "redis<5 setuptools<80",
        f"{_LIBRARIES}/test_celery.py",
        {"sender[eventlet]": _GIVEN_BACK, "sender[gevent]": _GIVEN_BACK},
    ),
    "rq": Oldest("2.0", "3.11", "", f"{_LIBRARIES}/test_rq.py", {"SpawnWorker": "it has none"}),
    "dramatiq": Oldest("1.17", "3.11", "redis pika", f"{_LIBRARIES}/test_dramatiq.py"),
    "huey": Oldest("2.4.3", "3.11", "redis", f"{_LIBRARIES}/test_huey.py"),
    "arq": Oldest("0.25", "3.11", "redis>=5.0.1,<6", f"{_LIBRARIES}/test_arq.py"),
    "jaeger_client": Oldest(
        "4.1",
        "3.9",
        "six flask requests",
        f"{_LIBRARIES}/test_jaeger_client.py",
        {"what_the_library_offers": "its binary format carries nothing"},
    ),
    "sentry_sdk": Oldest("1.0", "3.9", "urllib3<2"),
    "py_zipkin": Oldest("1.0", "3.11", "flask requests", f"{_LIBRARIES}/test_py_zipkin.py"),
}
"""By the name that the hook table gives the library."""
