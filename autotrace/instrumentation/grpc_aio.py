"""Spans for gRPC in asyncio: the client's calls and the server.

Installed with `grpc` itself, which imports `grpc.aio` while it is not complete: what starts with the first
row that fires, an exporter over gRPC for one, needs it whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation import grpc_client, grpc_server

if TYPE_CHECKING:
    from types import ModuleType

    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `grpc.aio`."""
    grpc_client.install_aio(module.aio._call, patcher)  # noqa: SLF001
    grpc_server.install_aio(module.aio._server, patcher)  # noqa: SLF001
