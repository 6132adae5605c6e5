"""Writes the pages of docs/reference that come from the code's own tables (`make reference`)."""
# ruff: noqa: INP001 - a script, not a package

from __future__ import annotations

from pathlib import Path

from autotrace.settings.reference import reference

DIRECTORY = Path(__file__).parent / "reference"
PAGES = {"settings.md": reference}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (DIRECTORY / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
