"""A server at saturation for ten minutes: whether the rate holds, and the journal stays at one level.

One uvicorn process on one core takes all the requests that 32 connections can send, window by window, without a rest. Bare is
measured in a window before and one after. "Waiting" is how many records were not yet in the store at the end of a window:
a level that is flat, whatever its height, is a rate that can be held for ever.
"""

from __future__ import annotations

import tempfile
from typing import Any

from benchmarks.saturation import cookie_of, load, recorded, served
from benchmarks.timing import progress

CONNECTIONS = 32
VARIANTS = ("Sojourn", "Sojourn, worker", "Sojourn, worker apart")


def measure_steady(*, minutes: float, window_s: float = 30) -> dict[str, Any]:
    """Each variant's windows: requests a second of bare, p99 of bare, and the records that wait."""
    return {variant: _measured(variant, max(2, round(minutes * 60 / window_s)), window_s) for variant in VARIANTS}


def _measured(variant: str, count: int, window_s: float) -> dict[str, Any]:
    before = _bare(window_s)
    windows, sent = [], 0
    with tempfile.TemporaryDirectory() as folder, served(variant, folder) as port:
        cookie = cookie_of(port)
        for number in range(count):
            progress(f"{variant}: window {number + 1} of {count}")
            run = load(port, cookie, connections=CONNECTIONS, seconds=window_s)
            sent += run.requests
            windows.append((run.rate, run.p99_us, max(0, sent - recorded(folder))))
    after = _bare(window_s)
    progress("")
    rate, tail = (before[0] + after[0]) / 2, (before[1] + after[1]) / 2
    return {
        "bare_requests_per_second": [before[0], after[0]],
        "rate_of_bare": [window[0] / rate for window in windows],
        "p99_of_bare": [window[1] / tail for window in windows],
        "waiting": [window[2] for window in windows],
    }


def _bare(window_s: float) -> tuple[float, float]:
    progress("bare")
    with tempfile.TemporaryDirectory() as folder, served("bare", folder) as port:
        run = load(port, cookie_of(port), connections=CONNECTIONS, seconds=window_s)
        return run.rate, run.p99_us
