"""`autotrace ui`: the embedded backend."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from autotrace import notices, settings
from autotrace.backend.ports import PORTS, VIEWER, Port
from autotrace.store.errors import StoreError
from autotrace.store.files import database_in

if TYPE_CHECKING:
    from typing import Any, Final

_MIB: Final = 1024 * 1024
_MAX_PORT: Final = 65535


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the subcommand."""
    parser = commands.add_parser(
        "ui",
        parents=[common],
        help="show traces in the browser, and collect those of other programs",
        description="Serve the viewer of the local store, collect spans over OTLP, Zipkin and Jaeger, "
        "and answer the query APIs of Jaeger and Zipkin, until Ctrl-C. A port that is taken stays off.",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)"
    )
    for port in PORTS:
        parser.add_argument(
            _option(port),
            type=_number,
            default=port.number,
            metavar="PORT",
            help=f"{port.name} (default: %(default)s; 0: any that is free)",
        )
    parser.add_argument(
        "--sampling-strategies",
        default="",
        metavar="FILE",
        help="sampling strategies to serve, in Jaeger's JSON format; read again when it changes",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal."""
    try:
        from autotrace.backend import app  # noqa: PLC0415 - its libraries are an extra
    except ModuleNotFoundError as error:
        if error.name in {"sqlite3", "_sqlite3"}:
            raise StoreError("no sqlite3 in this interpreter") from None
        sys.stderr.write(f"autotrace: {error.name} is missing: pip install 'autotrace[ui]'\n")
        return 1
    parsed = settings.parse(os.environ)
    notices.set_level(notices.INFO)  # what the backend says concerns whoever started it
    options = app.Options(
        arguments.host,
        [port._replace(number=getattr(arguments, _destination(port))) for port in PORTS],
        database_in(arguments.home or parsed.home, os.environ),
        parsed.store_max_mb * _MIB,
        parsed.store_max_age,
        arguments.sampling_strategies,
    )
    return app.run(options)


def _option(port: Port) -> str:
    return "--port" if port.key == VIEWER else f"--{port.key}-port"


def _destination(port: Port) -> str:
    return _option(port).lstrip("-").replace("-", "_")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:6]) > _MAX_PORT:
        raise argparse.ArgumentTypeError(f"not a port: {text!r}")
    return int(text)
