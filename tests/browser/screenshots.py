"""`make screenshots`: the pictures of README and docs, of the viewer with a made-up shop in its store."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import viewer_traces  # noqa: E402 - found by the line above
from ui_process import user_interface  # noqa: E402

ROOT = HERE.parents[1]
IMAGES = ROOT / "docs" / "images"


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("Chromium is not installed; `make services` does it where this is Debian")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        viewer_traces.write(home, "shop")
        with user_interface(Path(home)) as running:
            base = f"http://127.0.0.1:{running.port('viewer')}"
            command = ["node", "tests/screenshots.mjs", base, str(IMAGES)]
            subprocess.run(command, check=True, cwd=ROOT / "viewer", env={**os.environ, "CHROMIUM": chromium})


if __name__ == "__main__":
    main()
