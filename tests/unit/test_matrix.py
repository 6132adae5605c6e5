"""The table of oldest versions says of every library what the hook table says."""

from __future__ import annotations

from pathlib import Path

import pytest
from matrix import MATRIX

from autotrace.instrumentation.hooks import HOOKS

ROOT = Path(__file__).parents[2]


def test_every_library_is_tested_in_the_oldest_version_that_its_rows_promise():
    promised = {hook.library: hook.versions for hook in HOOKS if hook.versions}
    assert {library: f">={oldest.version}" for library, oldest in MATRIX.items()} == promised


def test_rows_of_a_library_promise_the_same():
    promises = {(hook.library, hook.versions) for hook in HOOKS}
    assert len(promises) == len({hook.library for hook in HOOKS})


@pytest.mark.parametrize("library", MATRIX)
def test_the_files_that_the_table_names_are_there(library):
    assert [file for file in MATRIX[library].tests.split() if not (ROOT / file).is_file()] == []
