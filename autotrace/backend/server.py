"""Serves all ports in one event loop until a signal, then ends within a second."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from typing import Final

    from starlette.types import ASGIApp, Receive, Scope, Send

    from autotrace.backend.listeners import Listener

_GRACE: Final = 0.4
"""Seconds for requests that are under way when we are told to end; streams never end by themselves."""
_KEEP_ALIVE: Final = 75
"""Seconds that an idle connection stays open: longer than senders wait between two batches."""


async def serve(
    listeners: Sequence[Listener],
    apps: Mapping[str, ASGIApp],
    datagrams: Mapping[str, asyncio.DatagramProtocol],
) -> None:
    """Serve `listeners` until SIGINT or SIGTERM.

    Args:
        listeners: Those whose socket is open are served.
        apps: What answers requests, by the key of the port.
        datagrams: What takes datagrams, likewise.
    """
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    by_port: dict[int, ASGIApp] = {}
    streams, transports = [], []
    for listener in listeners:
        key = listener.port.key
        if listener.socket is None:
            continue
        if listener.port.datagrams:
            transport, _ = await loop.create_datagram_endpoint(
                partial(datagrams.__getitem__, key), sock=listener.socket
            )
            transports.append(transport)
        else:
            by_port[listener.number] = apps[key]
            streams.append(listener.socket)
    server = _Server(_config(_ByPort(by_port)))
    serving = asyncio.ensure_future(server.serve(streams))
    stopping = asyncio.ensure_future(told.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    logging.getLogger("uvicorn.error").disabled = True  # streams that are cut off are no errors
    server.should_exit = True
    await asyncio.wait({serving}, timeout=_GRACE)
    for transport in transports:
        transport.close()
    stopping.cancel()
    if serving.done():
        serving.result()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http="h11",  # the one that is always there, and limits what headers may take
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
    )


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave them to us: uvicorn would wait for streams, without end."""
        yield


class _ByPort:
    """One ASGI application that is several, told apart by the port that a request came in on."""

    def __init__(self, apps: Mapping[int, ASGIApp]) -> None:
        self._apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._apps[scope["server"][1]](scope, receive, send)
