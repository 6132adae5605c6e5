"""Jaeger's agent: one `emitBatch` message per datagram, compact on port 6831, binary on 6832.

Nobody can be answered: what cannot be taken is counted and said.
"""

from __future__ import annotations

import asyncio
import math
import queue
import threading
import time
from typing import TYPE_CHECKING

from autotrace import notices
from autotrace.decoding.decoded import MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from autotrace.backend.receivers.intake import Intake
    from autotrace.decoding.decoded import Decoded

_MAX_WAITING: Final = 1000
"""Datagrams, 64 MiB at most: as many as Jaeger's agent lets wait."""
_GRACE: Final = 0.3
"""Seconds to decode what is waiting when we are told to end."""


class Datagrams(asyncio.DatagramProtocol):
    """Puts datagrams aside as fast as they come: the system keeps few of them. A thread decodes them."""

    def __init__(self, decode: Callable[[bytes], Decoded], intake: Intake) -> None:
        self._decode = decode
        self._intake = intake
        self._dropped = 0
        self._end = math.inf
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="autotrace-datagrams")
        self._thread.start()

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - anybody may send
        """Put one aside."""
        try:
            self._waiting.put_nowait(data)
        except queue.Full:
            self._drop("they come faster than they can be decoded")

    def close(self) -> None:
        """Decode what is waiting, for a short time."""
        self._end = time.monotonic() + _GRACE
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            data = self._waiting.get()
            if data is None:
                return
            if time.monotonic() > self._end:
                self._drop("they were not decoded before the end")
                continue
            try:
                self._intake.take_unanswered(self._decode(data))
            except MalformedError as error:
                self._drop(str(error))

    def _drop(self, reason: str) -> None:
        self._dropped += 1
        notices.warn(f"{self._dropped} datagrams were dropped so far: {reason}", f"datagram {reason}")
