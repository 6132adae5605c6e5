"""Writes the pages of docs/reference that come from the code's own tables (`make reference`)."""
# ruff: noqa: INP001 - a script, not a package

from __future__ import annotations

import ast
from pathlib import Path

from autotrace.instrumentation.hooks import HOOKS
from autotrace.settings.reference import reference as settings

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / "docs" / "reference"

_INTRODUCTION = """\
# Instrumentations

<!-- Made by `make reference` from the code's own table; edit autotrace/instrumentation/hooks.py instead. -->

What is patched, when, and by which module of `autotrace/instrumentation/`. A row comes into force when its
module is imported, or at once where it was imported before. The first column is the name that
`OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` takes; several rows may share it.

Each library is tested in two versions: the newest, by the suite, and the oldest that its row admits, by
`make matrix`.

A row with "waits" belongs to a module that almost every program imports. It does nothing until a row without
it has come into force, so that a program with nothing to trace starts no tracer.

| library | versions | traced | when this is imported | attaches to | by |
|---|---|---|---|---|---|
"""


def instrumentations() -> str:
    """The page that lists every row of the hook table, as Markdown."""
    lines = []
    for hook in HOOKS:
        location = hook.installer.partition(":")[0]
        path = location.replace(".", "/") + ".py"
        module = f"`{hook.module}`{', waits' if hook.waits else ''}"
        attached = ", ".join(f"`{name.strip()}`" for name in hook.attaches_to.split(","))
        source = f"[{Path(path).name}](../../{path})"
        cells = (hook.library, _versions(hook.versions), _purpose(path), module, attached, source)
        lines.append(f"| {' | '.join(cells)} |\n")
    return _INTRODUCTION + "".join(lines)


def _versions(wanted: str) -> str:
    return f"`{wanted}`" if wanted else "any"


def _purpose(path: str) -> str:
    """The first sentence of a module's docstring, without importing it."""
    docstring = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split())


PAGES = {"settings.md": settings, "instrumentations.md": instrumentations}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (DIRECTORY / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
