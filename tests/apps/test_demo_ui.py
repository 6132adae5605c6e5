"""`make demo-ui`: the shop under load in the viewer, until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from network_servers import wait_until

pytest.importorskip("flask")
pytest.importorskip("requests")

SCRIPT = Path(__file__).parents[2] / "integration_apps" / "shop" / "demo_ui.py"


def test_the_shop_is_there_until_ctrl_c():
    environ = {
        name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "AUTOTRACE_"))
    }
    with subprocess.Popen(
        [sys.executable, str(SCRIPT)], env=environ, stdout=subprocess.PIPE, text=True
    ) as demo:
        try:
            lines = iter(demo.stdout.readline, "")
            address = next(line.split()[-1] for line in lines if line.startswith("The shop's traces:"))

            def services():
                with urllib.request.urlopen(f"{address}/api/services", timeout=10) as answer:
                    return json.load(answer)["data"]

            wait_until(lambda: services() == ["inventory", "storefront"])
            demo.send_signal(signal.SIGINT)
            assert demo.wait(30) == 0
        finally:
            demo.kill()
    with pytest.raises(OSError):
        services()
