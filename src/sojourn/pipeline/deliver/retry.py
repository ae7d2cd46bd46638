"""When to try a backend again, and with how many events. Pure: chance is an argument, times are milliseconds.

See P23 in docs/internals.md.
"""

from __future__ import annotations

from typing import Final

_FIRST: Final = 1_000
_LONGEST: Final = 60_000
_LEAST: Final = 50
PAUSE: Final = 5 * 60_000
"""How long to pause for a backend on which sending is useless until an operator acts (a wrong key, say)."""

_OPENS_AFTER: Final = 5
PROBE: Final = 10


def wait(failures: int, chance: float, *, retry_after: float | None = None) -> int:
    """Return the milliseconds to wait after this many failures in a row (at least 1); `chance` is in [0, 1).

    Full jitter: any moment up to a bound that doubles, so that many processes do not come back together. Never sooner than
    `retry_after` (seconds); 0 means that the backend took a part, so go on at once.
    """
    longest = min(_LONGEST, _FIRST * 2 ** min(max(failures, 1) - 1, 16))
    jittered = max(_LEAST, int((1 - chance) * longest))
    return jittered if retry_after is None else max(int(retry_after * 1000), jittered if retry_after else 0)


def size(failures: int, batch: int) -> int:
    """Return how many events the next call may carry. A circuit breaker: a backend that is down is tried with few.

    The first success closes the circuit again.
    """
    return batch if failures < _OPENS_AFTER else min(PROBE, batch)
