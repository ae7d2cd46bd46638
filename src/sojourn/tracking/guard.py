"""The one guard between Sojourn and the app, and the counters of what was refused or went wrong.

See P3 in docs/internals.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePath
from typing import ParamSpec, TypeVar

from sojourn.core.records import LAST
from sojourn.core.threads import Lock

log = logging.getLogger("sojourn")

P = ParamSpec("P")
R = TypeVar("R")

_MOST_CAUSES = 1_000
"""Names of properties may be made of what visitors send: what is remembered of them has a bound."""


class Counters:
    """Running totals of what was refused or went wrong, by reason, and when each was counted last.

    Every method may be called by any thread.
    """

    __slots__ = ("_lock", "_moments", "_now", "_totals", "is_changed")

    def __init__(self, now: Callable[[], int]) -> None:
        self._lock = Lock()
        self._now = now
        self._totals: dict[str, int] = {}
        self._moments: dict[str, int] = {}
        """Those that have changed since they were last taken."""
        self.is_changed = False
        """Read without the lock, at every record: a change that is missed now goes with the next one."""

    def add(self, reason: str, times: int = 1) -> None:
        with self._lock:
            self._totals[reason] = self._totals.get(reason, 0) + times
            # Faults are counted here too, one of the clock's as well.
            with suppress(Exception):
                self._moments[LAST + reason] = self._now()
            self.is_changed = True

    def totals(self) -> dict[str, int]:
        with self._lock:
            return dict(self._totals)

    def take_changed(self) -> dict[str, int] | None:
        """The totals, if they changed since they were last taken, and when (ms) those were counted that changed."""
        if not self.is_changed:
            return None
        with self._lock:
            self.is_changed = False
            moments, self._moments = self._moments, {}
            return self._totals | moments

    def after_fork(self) -> None:
        """Take a new lock, since a thread of the parent may hold the old one, and leave the counts to the parent."""
        self._lock = Lock()
        self._totals, self._moments, self.is_changed = {}, {}, False


class Guard:
    """Counts, warns once per cause, and lets no fault of ours out. Every method may be called by any thread."""

    def __init__(self, counters: Counters, *, strict: bool = False) -> None:
        self.strict = strict
        self._counters = counters
        self._logged: set[str] = set()
        self._named: set[str] = set()

    def after_fork(self) -> None:
        self._counters.after_fork()

    def guarded(self, default: R, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `work`; a fault in it is counted and logged, and never reaches the app."""
        try:
            return work(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the one guard between us and the app
            self.report(error, getattr(work, "__name__", "sojourn"))
            return default

    def count(self, reason: str, times: int = 1) -> None:
        """Count what was refused or went wrong; the totals go with the next record."""
        self._counters.add(reason, times)
        log.debug("not recorded: %s", reason)

    def counters(self) -> dict[str, int]:
        """The totals of this process."""
        return self._counters.totals()

    def warn_once(self, cause: str, text: str, *, of: str = "") -> None:
        """Warn once of a cause, or once for each property that it is found in, `of`."""
        logged = self._named if of else self._logged  # apart: made-up names leave the other causes their warnings
        key = f"{cause} {of}"
        if key not in logged and len(logged) < _MOST_CAUSES:
            logged.add(key)
            log.warning("%s (logged once; every case is counted)", text)

    def refuse_data(self, problem: str, text: str, *, of: str = "") -> None:
        """Bad data from the app: counted, and warned of once (for each property, `of`), or raised with `strict=True`."""
        if self.strict:
            raise ValueError(text)
        self.count(problem)
        self.warn_once(problem, text, of=of)

    def report(self, error: Exception, work: str) -> None:
        """Count a fault of ours, and log its place once."""
        # Its place, not its text, which may hold a cookie or a user id. DEBUG shows the traceback.
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = "" if trace is None else f" at {PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        cause = f"{type(error).__name__} in {work}{place}"
        self.count("fault")
        if cause not in self._logged:
            self._logged.add(cause)
            log.error("Sojourn failed and left the response alone: %s (logged once; every case is counted)", cause)
            log.debug("the traceback of that", exc_info=error)
