"""The viewer in a browser, served by `autotrace ui` from a store of its own.

Each module of `viewer/tests` is a scenario that clicks through a part of it; here are their stores.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import viewer_traces
from required import missing
from ui_process import user_interface

VIEWER = Path(__file__).parents[2] / "viewer"
SCENARIO_TIMEOUT = 240
INSTALL_TIMEOUT = 300

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def packages() -> None:
    """What `viewer/package-lock.json` names, installed."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        missing("Node is not installed")
    lock, done = VIEWER / "package-lock.json", VIEWER / "node_modules" / ".package-lock.json"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return
    run = subprocess.run(
        ["npm", "ci"], check=False, cwd=VIEWER, capture_output=True, text=True, timeout=INSTALL_TIMEOUT
    )
    if run.returncode:
        missing(f"npm ci failed in viewer: {run.stderr[-500:]}")
    done.touch()


@pytest.fixture(scope="session")
def chromium() -> str:
    return shutil.which("chromium") or missing("Chromium is not installed")


@pytest.mark.parametrize(
    ("scenario", "kinds"),
    [
        ("search", ("shop", "large")),
        ("trace", ("shop",)),
        ("analysis", ("shop",)),
        ("hostile", ("shop", "hostile")),
        ("odd", ("odd",)),
        ("large", ("large",)),
        ("services", ("services",)),
        ("empty", ()),
    ],
)
def test_scenario(
    scenario: str, kinds: tuple[str, ...], packages: None, chromium: str, tmp_path: Path
) -> None:
    viewer_traces.write(tmp_path, *kinds)
    with user_interface(tmp_path) as running:
        run = subprocess.run(
            ["node", f"tests/{scenario}.mjs", f"http://127.0.0.1:{running.port('viewer')}"],
            check=False,
            cwd=VIEWER,
            env={**os.environ, "CHROMIUM": chromium},
            capture_output=True,
            text=True,
            timeout=SCENARIO_TIMEOUT,
        )
        print(run.stdout)
        assert run.returncode == 0, run.stderr


def npm_run(*arguments: str) -> None:
    run = subprocess.run(
        ["npm", "run", "--silent", *arguments],
        check=False,
        cwd=VIEWER,
        capture_output=True,
        text=True,
        timeout=SCENARIO_TIMEOUT,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_committed_files_are_what_the_sources_give(packages: None, tmp_path: Path) -> None:
    """As `make viewer-check` does it."""
    npm_run("check")
    npm_run("build", "--", "--outDir", str(tmp_path / "built"))
    committed = VIEWER.parent / "autotrace/backend/viewer/assets"
    assert contents(tmp_path / "built") == contents(committed), "run `make viewer`"


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
