"""One unit of work for each row of the hook table, and the trace it leaves.

Imported by child interpreters before anything else is: libraries are imported by the functions.
"""

from __future__ import annotations

from scenarios import (
    asgi,
    databases,
    frameworks,
    http_clients,
    http_servers,
    messaging,
    opentelemetry_code,
    standard_library,
    stores,
)

SCENARIOS = {
    **http_servers.SCENARIOS,
    **asgi.SCENARIOS,
    **frameworks.SCENARIOS,
    **http_clients.SCENARIOS,
    **databases.SCENARIOS,
    **stores.SCENARIOS,
    **messaging.SCENARIOS,
    **standard_library.SCENARIOS,
    **opentelemetry_code.SCENARIOS,
}
"""By the module that a row patches."""
