"""What a test needs beside Python: without it the test does not run, or fails where it has to."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip; with `AUTOTRACE_TEST_REQUIRED=1`, as in CI, fail."""
    if os.environ.get("AUTOTRACE_TEST_REQUIRED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
