"""The reference in the documentation is the code's own table."""

from __future__ import annotations

from pathlib import Path

from autotrace.settings.names import VARIABLES
from autotrace.settings.reference import reference

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == reference(), "run `make reference`"


def test_the_page_names_every_variable():
    missing = [name for name in VARIABLES if f"`{name}`" not in reference()]
    assert missing == []
