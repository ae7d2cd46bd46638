"""When to try a backend again. Pure: chance is an argument, times are milliseconds."""

from __future__ import annotations

from typing import Final

_FIRST: Final = 1_000
_LONGEST: Final = 5 * 60_000
PAUSE: Final = 5 * 60_000
"""How long a backend rests that said sending is useless until somebody acts (a wrong key, an unknown address)."""


def wait(failures: int, chance: float, *, asked: float | None = None) -> int:
    """Milliseconds to wait after this many failures in a row (1 at least), `chance` in [0, 1).

    Doubling with half of it jittered, so that many processes do not come back together; never sooner than the backend asked
    for (`Retry-After`, in seconds).
    """
    longest = min(_LONGEST, _FIRST * 2 ** min(max(failures, 1) - 1, 16))
    jittered = int(longest / 2 + chance * longest / 2)
    return jittered if asked is None else max(int(asked * 1000), jittered if asked else 0)
