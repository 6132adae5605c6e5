"""The whole backend as one process: opens the ports, tells what is where, serves until a signal."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from autotrace import __version__, notices
from autotrace.backend import ports
from autotrace.backend.archive import Archive
from autotrace.backend.bodies import Bodies
from autotrace.backend.hosts import KnownHosts, is_loopback, names_of
from autotrace.backend.ingest import Ingest
from autotrace.backend.listeners import listen
from autotrace.backend.query import jaeger as jaeger_query
from autotrace.backend.query import jaeger_v3
from autotrace.backend.query import zipkin as zipkin_query
from autotrace.backend.receivers import jaeger_http, otlp, sampling, zipkin
from autotrace.backend.receivers.intake import Intake
from autotrace.backend.receivers.jaeger_udp import Datagrams
from autotrace.backend.server import serve
from autotrace.backend.strategies import Strategies
from autotrace.backend.viewer import api as viewer
from autotrace.backend.viewer import pages
from autotrace.decoding import jaeger_thrift
from autotrace.store.viewer_address import announced
from autotrace.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from autotrace.backend.listeners import Listener
    from autotrace.backend.ports import Port


_SWITCH_INTERVAL: Final = 0.001
"""Seconds, a fifth of Python's own: whoever comes back from SQLite waits so long for threads that decode."""


class Options(NamedTuple):
    """How the operator wants it."""

    host: str
    ports: Sequence[Port]
    database: str
    """Path of the store."""
    max_bytes: int
    max_age: float
    """Seconds."""
    sampling_strategies: str
    """Path of a file in Jaeger's format; empty for none."""


def run(options: Options) -> int:
    """Serve until SIGINT or SIGTERM; the exit code."""
    listeners = [listen(options.host, port) for port in options.ports]
    _tell(options, listeners)
    if all(listener.socket is None for listener in listeners):
        notices.error("no port could be opened: is another `autotrace ui` running?")
        return 1
    sys.setswitchinterval(_SWITCH_INTERVAL)
    ingest = Ingest(Writer(options.database, options.max_bytes, options.max_age))
    viewer = next(each for each in listeners if each.port.key == ports.VIEWER)
    try:
        with announced(options.database, viewer.url) if viewer.socket is not None else nullcontext():
            asyncio.run(_serve(options, listeners, ingest))
    finally:
        ingest.close()
    if ingest.dropped:
        notices.warn(f"{ingest.received} spans received, {ingest.dropped} lost")
    return 0


async def _serve(options: Options, listeners: Sequence[Listener], ingest: Ingest) -> None:
    bodies, archive = Bodies(), Archive(options.database)
    intake = Intake(bodies, ingest)
    strategies = Strategies(options.sampling_strategies)
    known_hosts = [Middleware(KnownHosts, names=names_of(options.host))]
    views = [
        *jaeger_query.routes(archive),
        *jaeger_v3.routes(archive),
        *zipkin_query.routes(archive),
        *viewer.routes(archive, ingest.submit, lambda: _receiving(listeners, ingest)),
        jaeger_query.unknown(),
        *pages.routes(),
    ]
    apps = {
        ports.VIEWER: Starlette(routes=views, middleware=known_hosts),
        ports.OTLP: Starlette(routes=otlp.routes(intake)),
        ports.ZIPKIN: Starlette(
            routes=[
                *zipkin.routes(intake),
                Mount("", routes=zipkin_query.routes(archive), middleware=known_hosts),
            ]
        ),
        ports.JAEGER_HTTP: Starlette(
            routes=[*jaeger_http.routes(intake), *sampling.collector_routes(strategies)]
        ),
        ports.SAMPLING: Starlette(routes=sampling.agent_routes(strategies)),
    }
    datagrams = {
        ports.JAEGER_COMPACT: Datagrams(jaeger_thrift.decode_compact_message, intake),
        ports.JAEGER_BINARY: Datagrams(jaeger_thrift.decode_binary_message, intake),
    }
    try:
        await serve(listeners, apps, datagrams)
    finally:
        bodies.close()
        archive.close()
        for protocol in datagrams.values():
            protocol.close()


def _receiving(listeners: Sequence[Listener], ingest: Ingest) -> dict[str, Any]:
    """What the viewer tells about the receivers."""
    return {
        "receivers": [
            {
                "name": listener.port.name,
                "address": listener.address,
                "on": listener.socket is not None,
                "note": listener.note,
            }
            for listener in listeners
            if listener.port.key != ports.VIEWER
        ],
        "received": ingest.received,
        "dropped": ingest.dropped,
    }


def _tell(options: Options, listeners: Sequence[Listener]) -> None:
    lines = [f"Serving the traces in {options.database} (autotrace {__version__})"]
    for listener in listeners:
        state = listener.url if listener.socket is not None else f"off: {listener.address}: {listener.note}"
        lines.append(f"  {listener.port.name:<18}  {state}")
    if not is_loopback(options.host):
        lines.append(f"  whoever reaches {options.host} can read these traces, and add to them")
    lines.append("Ctrl-C ends it.")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
