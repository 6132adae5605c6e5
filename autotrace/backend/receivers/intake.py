"""What all receivers do with a message: decode it, and hand its spans in."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from autotrace import notices
from autotrace.backend.bodies import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from starlette.requests import Request

    from autotrace.backend.bodies import Bodies
    from autotrace.backend.ingest import Ingest
    from autotrace.decoding.decoded import Decoded

_PATIENCE: Final = 2.0
"""Seconds; a sender that is told to come back later loses more than that."""
_POLL: Final = 0.01
_FULL: Final = "the store cannot keep up: try again"


class Intake:
    """From requests into the store."""

    def __init__(self, bodies: Bodies, ingest: Ingest) -> None:
        self._bodies = bodies
        self._ingest = ingest

    async def take(self, request: Request, limit: int, decode: Callable[[bytes], Decoded]) -> Decoded:
        """Submit the spans in the body of `request`, which has `limit` bytes at most.

        Raises:
            RefusedError: None of them was taken.
        """
        if not await self._has_room():
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, _FULL)

        def taken(body: bytes) -> Decoded:
            decoded = decode(body)
            if not self._ingest.submit(decoded.spans):
                raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, _FULL)
            self._report(decoded)
            return decoded

        return await self._bodies.decoded(request, limit, taken)

    def take_unanswered(self, decoded: Decoded) -> None:
        """Submit spans whose sender cannot be told to wait; from any thread."""
        if not self._ingest.submit(decoded.spans):
            self._ingest.drop(len(decoded.spans))
            notices.warn("spans were dropped: the store cannot keep up", "intake full")
        self._report(decoded)

    async def _has_room(self) -> bool:
        """Whether the store keeps up, for which a sender waits a little: its body is not read meanwhile."""
        deadline = time.monotonic() + _PATIENCE
        while self._ingest.busy:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL)
        return True

    def _report(self, decoded: Decoded) -> None:
        """Count the spans that were rejected, and say why."""
        if decoded.rejected:
            self._ingest.drop(decoded.rejected)
            notices.warn(f"spans were rejected: {decoded.reason}", f"intake {decoded.reason}")
