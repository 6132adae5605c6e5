"""What other packages offer by entry point; looked up only when a setting names it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from autotrace import notices

if TYPE_CHECKING:
    from autotrace.tracing.ids import IdGenerator


def load(group: str, name: str) -> Any:
    """The object behind an entry point; None when there is none, or when it cannot be imported."""
    if sys.version_info >= (3, 10):
        from importlib.metadata import entry_points  # noqa: PLC0415 - expensive, and only for plug-ins
    else:
        from importlib_metadata import entry_points  # noqa: PLC0415

    for entry_point in entry_points(group=group, name=name):
        try:
            return entry_point.load()
        except Exception as error:
            notices.warn(f"the plug-in {name!r} of {group} cannot be imported: {error!r:.300}")
    return None


def id_generator(name: str) -> IdGenerator | None:
    """`OTEL_PYTHON_ID_GENERATOR`; None stands for random ids."""
    if name in {"", "random"}:
        return None
    factory = load("opentelemetry_id_generator", name)
    if factory is None:
        notices.warn(f"OTEL_PYTHON_ID_GENERATOR={name!r} is not known: random ids are used")
        return None
    try:
        generator: IdGenerator = factory()
        generator.generate_span_id, generator.generate_trace_id  # noqa: B018 - there they are
    except Exception as error:
        notices.warn(f"OTEL_PYTHON_ID_GENERATOR={name!r} failed with {error!r:.300}: random ids are used")
        return None
    return generator
