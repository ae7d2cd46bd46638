"""How much of a process's time the background takes: little while requests run, all it needs while none do.

Records may wait, requests may not: the journal takes them within microseconds, and recording them costs as much processor
time as the request path. So a thread of the background works in slices of 0.2 ms and rests in between for three times as
long, as long as the records that it reads are younger than half of `record_within`. Older ones raise its share, up to all of
the time. How long a rest really took counts: where a busy thread kept the interpreter for longer, the next slice is longer.

See P30 in docs/internals.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from sojourn.core.threads import sleep

_SLICE_S: Final = 0.0002
_IDLE_SLICE_S: Final = 0.0008
"""Where no request runs: other threads may want the interpreter all the same, and would wait for it for 5 ms."""
_LONGEST_SLICE_S: Final = 0.0025
_SHARE: Final = 0.25
_TURN_S: Final = 0.25
"""How long a turn waits for more records while requests run: a batch of many costs a fraction of many batches."""


class Pace:
    """The pace of one thread. `requests`: how many requests this process has recorded. `within`: the setting, in ms."""

    def __init__(
        self,
        *,
        requests: Callable[[], int],
        within: int,
        cpu: Callable[[], float] = time.thread_time,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        self._requests = requests
        self._within = within
        self._cpu = cpu
        self._monotonic = monotonic
        self._pause = pause
        self._seen = 0
        self._is_busy = False
        self._share = 1.0
        self._slice = _IDLE_SLICE_S
        self._since = 0.0
        self._done_at = monotonic()

    def begin(self, lag: int | None = None) -> None:
        """Begin a turn. What waits is `lag` milliseconds old; `None`: as long as no turn has come to the end of it."""
        if lag is None:
            lag = int((self._monotonic() - self._done_at) * 1000)
        seen = self._requests()
        self._is_busy, self._seen = seen != self._seen, seen
        self._share = _share(lag, self._within) if self._is_busy else 1.0
        self._slice = _SLICE_S if self._share < 1 else _IDLE_SLICE_S
        self._since = self._cpu()

    def breathe(self) -> None:
        """Let other threads run, if this one has had its slice."""
        worked = self._cpu() - self._since
        if worked < self._slice:
            return
        if self._share == 1:
            self._pause(0)
        else:
            began = self._monotonic()
            self._pause(self._owed(worked))
            earned = (self._monotonic() - began) * self._share / (1 - self._share)
            self._slice = min(max(_SLICE_S, earned), _LONGEST_SLICE_S)
        self._since = self._cpu()

    def rest(self, *, has_worked: bool, is_done: bool, idle: float) -> float:
        """Return the seconds until the next turn: `idle` if this one had no work."""
        if is_done:
            self._done_at = self._monotonic()
        if not has_worked:
            return idle
        if is_done and self._is_busy:
            return _TURN_S
        return self._owed(self._cpu() - self._since)

    def _owed(self, worked: float) -> float:
        return worked * (1 - self._share) / self._share


FULL_SPEED: Final = Pace(requests=lambda: 0, within=1)
"""For what is waited for: it only lets others have the interpreter."""


def _share(lag: int, within: int) -> float:
    """Return the share of the time: the least up to half of what records may wait, then more, all of it from there on."""
    overdue = (2 * lag - within) / within
    return _SHARE + (1 - _SHARE) * min(max(overdue, 0.0), 1.0)
