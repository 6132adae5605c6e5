"""So many per second, and no more: a bucket that fills at a steady rate and is emptied one by one.

Spec: https://www.jaegertracing.io/docs/latest/architecture/sampling/#client-side-sampling-configuration
"""

from __future__ import annotations

import os
from threading import Lock
from time import monotonic

from autotrace import forks


class TokenBucket:
    """Grants `rate` a second on average, and at most one second's worth (or one) at once.

    Safe from any thread. It starts with a random share of what it holds, so that a fleet that restarts
    does not burst together; a forked child goes on with what the parent had left.

    Args:
        rate: Grants per second, 0 or more; 0.1 is one in ten seconds.
        full: Begin with all it can hold instead.
    """

    def __init__(self, rate: float, full: bool = False) -> None:
        self.rate = rate
        self._most = max(rate, 1.0)
        self._balance = self._most if full else self._most * _share()
        self._last = monotonic()
        self._make_lock()
        forks.in_child(self._make_lock)

    def _make_lock(self) -> None:
        self._lock = Lock()

    def grant(self) -> bool:
        """Take one; False when there is none."""
        if self.rate <= 0:
            return False
        with self._lock:
            now = monotonic()
            balance = min(self._most, self._balance + (now - self._last) * self.rate)
            self._last = now
            granted = balance >= 1.0
            self._balance = balance - 1.0 if granted else balance
            return granted

    def change(self, rate: float) -> None:
        """Go on at another rate; what is in the bucket is kept in proportion."""
        if rate == self.rate:
            return
        with self._lock:
            most = max(rate, 1.0)
            self._balance *= most / self._most
            self.rate, self._most = rate, most


def _share() -> float:
    """From 0 to 1. Not from the `random` module's own generator, whose sequence is the application's."""
    return int.from_bytes(os.urandom(2), "big") / 0xFFFF
