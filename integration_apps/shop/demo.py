"""`make demo`: runs the shop under autotrace-run with no backend configured, and shows what it traced.

Starts inventory and storefront on free ports, sends a few requests (one fails, one is slow), prints
the traces from the local store, and stops everything it started. The store is one of its own,
`.cache/demo` in the checkout, so that it does not mix with traces of yours.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
HOME = HERE.parents[1] / ".cache" / "demo"
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "AUTOTRACE_HOME": str(HOME),
}
REQUESTS = (
    ("GET", "/products/1", "found"),
    ("GET", "/products/3", "slow"),
    ("POST", "/orders/1", "ordered"),
    ("POST", "/orders/2", "fails"),
    ("GET", "/products/99", "unknown"),
)
PATIENCE = 20.0
"""Seconds for the services to start, and for the traces to arrive."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start(service: str, port: int, **environment: str) -> subprocess.Popen[bytes]:
    """As a user would: the plain program behind `autotrace-run`."""
    command = ["autotrace-run", "--service_name", service, "python", f"{service}.py"]
    print("$", *command, flush=True)
    with (HOME / f"{service}.log").open("wb") as log:
        return subprocess.Popen(
            [BIN / command[0], *command[1:]],
            cwd=HERE,
            env={**ENVIRONMENT, "PORT": str(port), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the demo, which ends its services
        )


def wait_for(what: str, condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: waited {PATIENCE:.0f} s; the services' output is in {HOME}")
        time.sleep(0.05)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def send(method: str, url: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def autotrace(*arguments: str) -> str:
    done = subprocess.run([BIN / "autotrace", *arguments], env=ENVIRONMENT, check=True, capture_output=True)
    return done.stdout.decode()


def traces() -> list[str]:
    """The ids of the storefront's traces, newest first."""
    listed = json.loads(autotrace("traces", "--service", "storefront", "--json"))
    return [trace["traceID"] for trace in listed["data"]]


def show(*arguments: str) -> None:
    print("\n$ autotrace", *arguments, flush=True)
    print(autotrace(*arguments), end="", flush=True)


@contextlib.contextmanager
def shop() -> Iterator[str]:
    """The two services on an empty store; the address of the storefront."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    front, stock = free_port(), free_port()
    services = [
        start("inventory", stock, INVENTORY_DB=str(HOME / "inventory.db")),
        start("storefront", front, INVENTORY_URL=f"http://127.0.0.1:{stock}"),
    ]
    try:
        wait_for("the services start", lambda: listens(front) and listens(stock))
        yield f"http://127.0.0.1:{front}"
    finally:
        for service in services:
            service.terminate()
        for service in services:
            service.wait(10)


def main() -> None:
    with shop() as url:
        print()
        for method, path, meaning in REQUESTS:
            status = send(method, url + path)
            print(f"{method:4} {path:13} {status}  {meaning}", flush=True)
        wait_for("the traces arrive", lambda: len(traces()) == len(REQUESTS))
    show("traces", "--service", "storefront")
    for trace in reversed(traces()):
        show("show", trace[:8])
    home, command = os.path.relpath(HOME), os.path.relpath(BIN / "autotrace")
    print(f"\nLook further:  AUTOTRACE_HOME={home} {command} traces --help")


if __name__ == "__main__":
    main()
