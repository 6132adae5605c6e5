"""Every environment variable, parsed once into one frozen object: the only reader of the environment.

Imported at every interpreter start, hence so little at the top; `parse` brings in the rest.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from autotrace.settings.model import Settings as Settings


def switched_off(environ: Mapping[str, str]) -> str | None:
    """Why this process shall not be traced at all, as `AUTOTRACE_ENABLED=false`; None when it shall."""
    text = environ.get("AUTOTRACE_ENABLED", "").strip()
    word = text.lower()
    if word in ("", "true"):
        return None
    if word != "false":
        from autotrace import notices  # noqa: PLC0415 - nearly never needed

        notices.warn(f"AUTOTRACE_ENABLED={text[:80]!r} is neither true nor false: taken as false")
    return f"AUTOTRACE_ENABLED={text[:80]}"


def wants_diagnostics(environ: Mapping[str, str]) -> bool:
    """Whether the operator wants to be told what happens, known before anything is parsed."""
    return environ.get("AUTOTRACE_DIAGNOSTICS", "").strip().lower() == "true"


def modules_of_functions(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The modules whose functions the operator wants traced, known before anything is parsed."""
    text = environ.get("AUTOTRACE_TRACE_FUNCTIONS", "").strip()
    if not text:
        return ()
    from autotrace.settings.lists import functions  # noqa: PLC0415 - only where it is set

    found = functions(
        text, lambda _complaint: None
    )  # `parse` complains, and a module that is there has it called
    return tuple(dict.fromkeys(module for module, _path in found)) or ("builtins",)


def parse(environ: Mapping[str, str]) -> Settings:
    """Read every setting; what is invalid costs one warning and counts as unset. Never raises."""
    from autotrace.settings.reading import read  # noqa: PLC0415 - the table, re: not at interpreter start

    return read(environ)
