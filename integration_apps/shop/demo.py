"""`make demo`: runs the shop under autotrace-run with nothing configured, and shows what it traced.

Starts storefront and inventory on free ports, sends a few requests (one fails, one is slow), prints
the traces from the local store, and stops everything it started.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
REQUESTS = (
    ("GET", "/products/1"),
    ("GET", "/products/3"),
    ("POST", "/orders/1"),
    ("POST", "/orders/2"),
    ("GET", "/products/99"),
)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start(service: str, port: int, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """As a user would: the plain program behind `autotrace-run`, and no setting but its own."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [BIN / "autotrace-run", "--service_name", service, "python", HERE / f"{service}.py"],
            env={
                **os.environ,
                "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
                "PORT": str(port),
                **environment,
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}: see the output above")


def send(method: str, url: str) -> str:
    request = urllib.request.Request(url, method=method)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return f"{answer.status}"
    except urllib.error.HTTPError as error:
        return f"{error.code}"


def autotrace(*arguments: str, home: str) -> str:
    """The command a user would type."""
    print(f"\n$ autotrace {' '.join(arguments)}", flush=True)
    done = subprocess.run(
        [BIN / "autotrace", *arguments], env={**os.environ, "AUTOTRACE_HOME": home}, check=True, stdout=subprocess.PIPE
    )
    output = done.stdout.decode()
    print(output, end="", flush=True)
    return output


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="autotrace-demo-") as directory:
        scratch = Path(directory)
        home = os.environ.get("AUTOTRACE_HOME") or str(Path.home() / ".local/state/autotrace-demo")
        front, stock = free_port(), free_port()
        services = [
            start("inventory", stock, scratch / "inventory.log", INVENTORY_DB=str(scratch / "stock.db"), AUTOTRACE_HOME=home),
            start(
                "storefront", front, scratch / "storefront.log", INVENTORY_URL=f"http://127.0.0.1:{stock}", AUTOTRACE_HOME=home
            ),
        ]
        try:
            wait_for(stock)
            wait_for(front)
            for method, path in REQUESTS:
                print(f"{method:4} {path:14} -> {send(method, f'http://127.0.0.1:{front}{path}')}")
        finally:
            for service in services:
                service.terminate()
            for service in services:
                service.wait(10)
        listing = autotrace("traces", "--limit", str(len(REQUESTS)), home=home)
        for trace in re.findall(r"^([0-9a-f]{7,32})\b", listing, re.MULTILINE):
            autotrace("show", trace, home=home)
        print(f"\nLook further: AUTOTRACE_HOME={home} autotrace traces --help")


if __name__ == "__main__":
    main()
