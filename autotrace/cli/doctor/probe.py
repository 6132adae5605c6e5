"""Looks around in the interpreter of a program, started as the program would be.

Handed to it as text: nothing of ours need be there, and the Python may be an old one; so this is
written for all of them. Tells one JSON object, on a line that begins with `MARK`.
"""
# ruff: noqa: ANN001, ANN201, ANN202, F401, PLC0415, PTH120

import json
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from autotrace.patching.registry import Registry

MARK = "autotrace-doctor: "

IMPORT_TIME = 20.0
"""Seconds after which no further library is imported."""

_OTHERS = ("ddtrace", "newrelic", "elastic-apm", "sentry-sdk", "opentelemetry-distro")


def main():
    # type: () -> None
    """Look, and tell."""
    facts = {  # type: dict[str, Any]
        "version": ".".join(str(part) for part in sys.version_info[:3]),
        "supported": sys.version_info >= (3, 9),
        "executable": sys.executable,
        "environment": sys.prefix if sys.prefix != getattr(sys, "base_prefix", sys.prefix) else "",
        "sitecustomize": getattr(sys.modules.get("sitecustomize"), "__file__", None),
    }
    bootstrap = sys.modules.get("autotrace.bootstrap")
    registry = getattr(bootstrap, "_registry", None)
    if registry is not None:
        facts.update(_look_around(registry))
    sys.stdout.write("\n" + MARK + json.dumps(facts) + "\n")


def _look_around(registry):
    # type: (Registry) -> dict[str, Any]
    import autotrace
    from autotrace.bootstrap.others import attached
    from autotrace.patching.versions import installed

    other = attached(os.environ, sys.modules)
    rows = _rows(registry, installed)
    if not other and all(row["result"] == "not imported" for row in rows):
        return {}  # it could not start, and has said why
    return {
        "autotrace": autotrace.__version__,
        "location": os.path.dirname(autotrace.__file__),
        "api": installed("opentelemetry-api"),
        "attached": other,
        "others": {name: version for name in _OTHERS for version in [installed(name)] if version},
        "rows": rows,
        "instrumentors": _instrumentors_left(),
    }


def _instrumentors_left():
    # type: () -> list[list[str]]
    """OpenTelemetry's instrumentors that are not run: the distribution, and our library that is the same."""
    from autotrace.bootstrap.instrumentors import find
    from autotrace.instrumentation.hooks import HOOKS

    found = [(each, each.known(HOOKS)) for each in find(sys.path)]
    return [[each.distribution, ours] for each, ours in found if ours or not each.modules]


def _rows(registry, installed):
    # type: (Registry, Callable[[str], str | None]) -> list[dict[str, Any]]
    """Import what the hook table knows, as far as it is there, and see what becomes of each row."""
    end = time.time() + IMPORT_TIME
    rows = []
    for hook in _every_row(registry.results):
        spec = _spec(hook.module.partition(".")[0])
        if hook.library == "functions":
            rows.append(_row_of_functions(hook.module, spec is not None))
            continue
        if spec is None:
            continue
        standard = _is_standard(spec.origin or "")
        error = ""
        if time.time() < end:
            try:
                __import__(hook.module)
            except KeyboardInterrupt:
                raise
            except BaseException as failure:  # some modules end the program
                if _is_missing(hook.module, failure):
                    continue
                error = "cannot be imported: " + repr(failure)[:300]
        else:
            error = "not tried: the others took too long to import"
        result, reason = registry.results[hook]
        rows.append(
            {
                "library": hook.library,
                "module": hook.module,
                "version": "" if standard else installed(hook.distribution),
                "result": result,
                "reason": reason,
                "error": error,
                "standard": standard,
                "by": hook.by,
            }
        )
    return rows


def _spec(name):
    # type: (str) -> Any
    from importlib.machinery import PathFinder
    from importlib.util import find_spec

    try:
        return find_spec(name)
    except ValueError:  # kombu puts an object without a spec in the place of its module
        return PathFinder.find_spec(name)


def _every_row(results):
    # type: (dict[Any, Any]) -> Any
    """Those too that come while others are tried."""
    count = 0
    while count < len(results):
        rows = list(results)[count:]
        count += len(rows)
        yield from rows


def _row_of_functions(module, is_there):
    # type: (str, bool) -> dict[str, Any]
    """Modules of the program are not imported: who knows what they begin."""
    error = "doctor imports no module of the program" if is_there else "there is no such module"
    return {
        "library": "functions of " + module,
        "module": module,
        "version": "",
        "result": "not imported",
        "reason": "",
        "error": error,
        "standard": False,
        "by": "",
    }


def _is_missing(module, failure):
    # type: (str, BaseException) -> bool
    """Whether the module itself, or a package around it, is what could not be found."""
    missing = getattr(failure, "name", None) if isinstance(failure, ImportError) else None
    return missing is not None and (module + ".").startswith(missing + ".")


def _is_standard(origin):
    # type: (str) -> bool
    """Whether a module belongs to Python itself."""
    inside = origin.startswith(os.path.dirname(os.__file__)) or origin in ("built-in", "frozen")
    return inside and "-packages" not in origin


if __name__ == "__main__":
    main()
