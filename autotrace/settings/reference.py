"""The page of the documentation that lists all settings, made from their table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.settings.ignored import IGNORED
from autotrace.settings.model import TABLE

if TYPE_CHECKING:
    from typing import Final

    from autotrace.settings.variable import Variable

_INTRODUCTION: Final = """\
# Settings

<!-- Made by `make reference` from the code's own table; edit autotrace/settings/model.py instead. -->

Every setting is an environment variable, and an option of `autotrace-run`: without `OTEL_`, `OTEL_PYTHON_`
or `AUTOTRACE_`, in lower case, so that `OTEL_SERVICE_NAME=shop` is also `--service_name shop`. Dashes are as
good as underscores; an option whose values are `true` and `false` needs no value. Where two would be the
same, as with `OTEL_LOG_LEVEL` and `OTEL_PYTHON_LOG_LEVEL`, the second keeps `python_`.

An empty variable counts as unset. An invalid one counts as unset too, and is reported in one line on stderr;
it never stops the program. Where several variables are named in one row, the first that is set counts.
Of `true` and `false`, anything but `true` is false. Lists are separated by commas.
"""

_HEAD: Final = "| variable | value | default | meaning |\n|---|---|---|---|"


def reference() -> str:
    """The whole page, as Markdown."""
    lines = [_INTRODUCTION.rstrip()]
    for row in TABLE.values():
        if row.section:
            lines += ["", f"## {row.section}", "", _HEAD]
        lines.append(_line(row))
    lines += ["", "## Known, without effect", "", "| variable | why |", "|---|---|"]
    lines += [f"| `{ignored.name}` | {_told(ignored.reason, ignored.silent)} |" for ignored in IGNORED]
    return "\n".join(lines) + "\n"


def _line(row: Variable) -> str:
    names = ", else ".join(f"`{name}`" for name in (row.name, *row.otherwise))
    return f"| {names} | {row.kind.label} | {_default(row)} | {row.doc} |"


def _default(row: Variable) -> str:
    if row.shown_default is not None:
        return row.shown_default
    if row.default is None or row.default == "":
        return ""
    shown = row.kind.show(row.default)
    return f"`{shown}`" if shown else ""


def _told(reason: str, silent: bool) -> str:
    return reason if silent else f"{reason}; setting it is reported"
