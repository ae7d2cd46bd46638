"""Which events a backend's queue sheds when it is over its bound (`outbox_max`). Pure.

Only this backend goes without them; the log keeps everything. The further a queue is over its bound, the more kinds of
events are shed, the least important first. Sessions, users and properties are never shed.

See P23 in docs/internals.md.
"""

from __future__ import annotations

from typing import Final

from sojourn.core.events import EXCEPTION, LOG, PAGE_VIEW, RESERVED_NAMES, SESSION_HEARTBEAT

_RANKS: Final = {SESSION_HEARTBEAT: 1, PAGE_VIEW: 2, LOG: 3, EXCEPTION: 5}
_TRACKED: Final = 4
_HIGHEST: Final = 5
_NEVER: Final = _HIGHEST + 1


def rank(name: str) -> int:
    """Return how soon events of this name are shed: 1 first, 6 never."""
    return _RANKS.get(name, _NEVER if name in RESERVED_NAMES else _TRACKED)


def level(backlog: int, bound: int | None) -> int:
    """Return the highest rank that is shed: 0 within the bound, then one more for each fifth of the bound beyond it."""
    if bound is None or backlog <= bound:
        return 0
    return min(_HIGHEST, 1 + (backlog - bound) * _HIGHEST // bound)
