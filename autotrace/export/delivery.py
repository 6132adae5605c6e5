"""From a batch to bodies that a backend accepts, whatever is in the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace import notices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Final

    from autotrace.export.exporter import Losses
    from autotrace.tracing.span import Span

TOO_LARGE: Final = "span too large"
NOT_ENCODED: Final = "span cannot be encoded"

_MAX_SAID: Final = 300


def bodies(
    spans: Sequence[Span], encode: Callable[[Sequence[Span]], bytes], limit: int, losses: Losses
) -> Iterator[tuple[bytes, int]]:
    """Encode `spans`, in halves where the whole is longer than `limit` bytes or fails.

    Yields:
        Each body with its number of spans. The span that is too large alone, or cannot be encoded, is
        counted in `losses`, and costs its neighbours nothing.
    """
    try:
        body = encode(spans)
    except Exception as error:
        if len(spans) == 1:
            notices.warn(f"{NOT_ENCODED}: {error!r:.{_MAX_SAID}}", NOT_ENCODED)
            lose(losses, NOT_ENCODED, 1)
            return
    else:
        if len(body) <= limit:
            yield body, len(spans)
            return
        if len(spans) == 1:
            lose(losses, TOO_LARGE, 1)
            return
    middle = len(spans) // 2
    yield from bodies(spans[:middle], encode, limit, losses)
    yield from bodies(spans[middle:], encode, limit, losses)


def lose(losses: Losses, reason: str, count: int) -> None:
    """Count spans that did not arrive."""
    if count:
        losses[reason] = losses.get(reason, 0) + count


def said(message: str) -> str:
    """What a backend wrote, for one line on a terminal: short, and printable characters alone."""
    return "".join(character if character.isprintable() else " " for character in message[:_MAX_SAID]).strip()
