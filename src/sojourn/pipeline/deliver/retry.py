"""When to try a backend again, and with how much. Pure: chance is an argument, times are milliseconds.

See P23 in docs/internals.md.
"""

from __future__ import annotations

from typing import Final

_FIRST: Final = 1_000
_LONGEST: Final = 60_000
_LEAST: Final = 50
PAUSE: Final = 5 * 60_000
"""How long a backend rests that said sending is useless until somebody acts (a wrong key, an unknown address)."""

_OPENS_AFTER: Final = 5
PROBE: Final = 10


def wait(failures: int, chance: float, *, asked: float | None = None) -> int:
    """Milliseconds to wait after this many failures in a row (1 at least), `chance` in [0, 1).

    Full jitter: any moment up to a bound that doubles, so that many processes do not come back together; never sooner
    than the backend asked for (`Retry-After`, in seconds). Zero asked: it got on, so go on at once.
    """
    longest = min(_LONGEST, _FIRST * 2 ** min(max(failures, 1) - 1, 16))
    jittered = max(_LEAST, int((1 - chance) * longest))
    return jittered if asked is None else max(int(asked * 1000), jittered if asked else 0)


def size(failures: int, batch: int) -> int:
    """How many events the next call may carry, the circuit breaker: a backend that is down is asked with few.

    The first that it takes closes the circuit again.
    """
    return batch if failures < _OPENS_AFTER else min(PROBE, batch)
