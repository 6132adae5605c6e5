"""So many traces per second, whatever the traffic."""

from __future__ import annotations

from autotrace.sampling.sampler import DROP, Decision, Sampler
from autotrace.sampling.token_bucket import TokenBucket


class RateLimited(Sampler):
    """Keep as many traces as a token bucket allows, per process.

    Args:
        rate: Traces per second; 0.1 is one in ten seconds.
    """

    follows_local_parent = True

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._bucket = TokenBucket(rate)
        self._keep = Decision(
            recording=True,
            sampled=True,
            attributes={"sampler.type": "ratelimiting", "sampler.param": float(rate)},
        )
        self.description = f"RateLimitingSampler{{{rate:g}}}"

    def decide(self, *_entry: object) -> Decision:
        """Keep while there are tokens."""
        return self._keep if self._bucket.grant() else DROP
