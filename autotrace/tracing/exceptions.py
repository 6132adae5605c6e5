"""Exceptions as event attributes.

Formatted at once: a kept traceback would keep the frames, and with them the application's objects.

Spec: https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

MAX_STACKTRACE: Final = 32_768
"""Characters kept of a stack trace: its end, where the error is."""


def exception_type(error: BaseException) -> str:
    """The class with its module, which builtins go without."""
    kind = type(error)
    module = kind.__module__
    return kind.__qualname__ if not module or module == "builtins" else f"{module}.{kind.__qualname__}"


def exception_message(error: BaseException) -> str:
    """`str(error)`, which the application may have broken."""
    try:
        return str(error)
    except Exception:
        return f"<unprintable {type(error).__name__}>"


def exception_attributes(error: BaseException, escaped: bool = False) -> dict[str, str]:
    """What the `exception` event of `error` holds."""
    try:
        stacktrace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception:
        stacktrace = ""
    return {
        "exception.type": exception_type(error),
        "exception.message": exception_message(error),
        "exception.stacktrace": stacktrace[-MAX_STACKTRACE:],
        "exception.escaped": str(escaped),
    }
