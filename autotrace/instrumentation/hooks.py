"""The hook table: one row per patched module.

The source of what is patched, of the docs table, of the disable switch and of the test matrix. Read
at every interpreter start: rows only name what is imported later.
"""

from __future__ import annotations

from autotrace.patching.hook import Hook

_HERE = "autotrace.instrumentation"

HOOKS = (
    Hook(
        "flask",
        "flask.app",
        f"{_HERE}.flask:install",
        ">=2.0",
        attaches_to="Flask.wsgi_app, Flask.handle_exception",
    ),
    Hook("wsgiref", "wsgiref.handlers", f"{_HERE}.wsgiref:install", attaches_to="BaseHandler.run"),
    Hook("requests", "requests.sessions", f"{_HERE}.requests:install", ">=2.20", attaches_to="Session.send"),
    Hook(
        "urllib3",
        "urllib3.connectionpool",
        f"{_HERE}.urllib3:install",
        ">=1.26",
        attaches_to="HTTPConnectionPool.urlopen, HTTPConnectionPool._make_request",
    ),
    Hook(
        "urllib3",
        "urllib3.poolmanager",
        f"{_HERE}.urllib3:install_manager",
        ">=1.26",
        attaches_to="PoolManager.urlopen",
    ),
    Hook(
        "http.client",
        "http.client",
        f"{_HERE}.http_dot_client:install",
        attaches_to="HTTPConnection.putrequest, .endheaders, .getresponse",
    ),
    Hook("urllib", "urllib.request", f"{_HERE}.urllib:install", attaches_to="OpenerDirector.open"),
    Hook("sqlite3", "sqlite3", f"{_HERE}.sqlite3:install", attaches_to="sqlite3.connect"),
    Hook("logging", "logging", f"{_HERE}.logging:install", waits=True, attaches_to="Logger.handle"),
    Hook(
        "threading",
        "threading",
        f"{_HERE}.threading:install",
        waits=True,
        attaches_to="Thread.start, Thread._bootstrap_inner",
    ),
    Hook(
        "concurrent.futures",
        "concurrent.futures.thread",
        f"{_HERE}.concurrent_futures:install",
        waits=True,
        attaches_to="ThreadPoolExecutor.submit",
    ),
    Hook(
        "opentelemetry",
        "opentelemetry.trace",
        f"{_HERE}.opentelemetry:install",
        attaches_to="set_tracer_provider",
    ),
    Hook(
        "opentelemetry",
        "opentelemetry.propagate",
        f"{_HERE}.opentelemetry:install_propagate",
        attaches_to="the global propagator",
    ),
    Hook(
        "opentelemetry-instrumentation",
        "opentelemetry.instrumentation.instrumentor",
        f"{_HERE}.opentelemetry:install_instrumentor",
        attaches_to="BaseInstrumentor.instrument",
    ),
)
