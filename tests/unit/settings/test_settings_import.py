"""The switch is read at every interpreter start: it must bring in nothing."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import sys, os
before = set(sys.modules)
from autotrace.settings import switched_off
assert switched_off({"AUTOTRACE_ENABLED": "false"})
print(*sorted(set(sys.modules) - before))
"""


def imported(code, *options):
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_switch_imports_nothing_else():
    assert set(imported(PROBE)) <= {"__future__", "autotrace", "autotrace.settings"}


def test_parsing_imports_no_network_and_no_logging():
    code = PROBE.replace("assert", "from autotrace.settings import parse; parse({}); assert")
    heavy = {"logging", "ssl", "socket", "urllib", "asyncio", "threading", "difflib", "opentelemetry"}
    assert not heavy & set(imported(code))
