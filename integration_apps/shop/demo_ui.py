"""`make demo-ui`: the shop under load, with `autotrace ui` on its traces, until Ctrl-C.

The services run as for `make demo`. The viewer is at its usual port, or where that is taken at a free one;
its receivers are at free ports.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time

from demo import BIN, ENVIRONMENT, HOME, REQUESTS, listens, send, shop

USUAL_PORT = 16686
RECEIVERS = ("otlp", "zipkin", "jaeger-http", "jaeger-compact", "jaeger-binary", "sampling")
PAUSE = 0.2
"""Seconds between two requests, on average."""


@contextlib.contextmanager
def viewer():
    """Its address."""
    port = 0 if listens(USUAL_PORT) else USUAL_PORT
    options = [word for key in RECEIVERS for word in (f"--{key}-port", "0")]
    command = [BIN / "autotrace", "ui", "--home", HOME, "--port", str(port), *options]
    # Of a process group of its own: Ctrl-C reaches it when the services have ended, and not before.
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            process.stdout.readline()
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
            process.communicate(timeout=10)


def main() -> None:
    with shop() as url, viewer() as address, contextlib.suppress(KeyboardInterrupt):
        print(f"\nThe shop's traces:  {address}\nCtrl-C ends it.", flush=True)
        while True:
            method, path, _ = random.choice(REQUESTS)
            send(method, url + path)
            time.sleep(random.expovariate(1 / PAUSE))


if __name__ == "__main__":
    sys.exit(main())
