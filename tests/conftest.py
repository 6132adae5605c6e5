"""What every test may use."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autotrace import notices
from autotrace.patching import guard

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _strict(request, monkeypatch):
    """A bug of ours fails the test instead of being absorbed, but where a test is about that."""
    monkeypatch.setattr(guard, "strict", request.node.get_closest_marker("tolerant") is None)


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch):
    """A message that is said once a minute is said again in the next test."""
    monkeypatch.setattr(notices, "_spoken", {})
    monkeypatch.setattr(notices, "_level", notices.INFO)
