"""The one guard between us and the app, and the count of what was refused or went wrong. Knows no request.

See P3 in docs/internals.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import PurePath
from typing import ParamSpec, TypeVar

from sojourn.core.threads import Lock

log = logging.getLogger("sojourn")

P = ParamSpec("P")
R = TypeVar("R")


class Counters:
    """Running totals of what was refused or went wrong, by reason. Every method may be called by any thread."""

    __slots__ = ("_lock", "_totals", "is_changed")

    def __init__(self) -> None:
        self._lock = Lock()
        self._totals: dict[str, int] = {}
        self.is_changed = False
        """Read without the lock, at every record: a change that is missed now goes with the next one."""

    def add(self, reason: str, times: int = 1) -> None:
        with self._lock:
            self._totals[reason] = self._totals.get(reason, 0) + times
            self.is_changed = True

    def totals(self) -> dict[str, int]:
        with self._lock:
            return dict(self._totals)

    def take_changed(self) -> dict[str, int] | None:
        """The totals, if they changed since they were last taken."""
        if not self.is_changed:
            return None
        with self._lock:
            self.is_changed = False
            return dict(self._totals)

    def after_fork(self) -> None:
        """A thread that this process lacks may hold the lock; and what was counted, the parent reports."""
        self._lock = Lock()
        self._totals, self.is_changed = {}, False


class Guard:
    """Counts, warns once per cause, and lets no fault of ours out. Every method may be called by any thread."""

    def __init__(self, counters: Counters, *, strict: bool = False) -> None:
        self.strict = strict
        self._counters = counters
        self._said: set[str] = set()

    def after_fork(self) -> None:
        self._counters.after_fork()

    def guarded(self, default: R, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do our work for a request; whatever fails in it, the app's response is unharmed."""
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

    def warn_once(self, cause: str, text: str) -> None:
        if cause not in self._said:
            self._said.add(cause)
            log.warning("%s (said once; every case is counted)", text)

    def refuse_data(self, problem: str, text: str) -> None:
        """Bad data from the app: counted and warned of once, or raised with `strict=True`."""
        if self.strict:
            raise ValueError(text)
        self.count(problem)
        self.warn_once(problem, text)

    def report(self, error: Exception, work: str) -> None:
        """Count a fault of ours, and log its place once."""
        # Where, not what: an error's text may carry a cookie or a user. The traceback is for who asks for DEBUG.
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = "" if trace is None else f" at {PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        cause = f"{type(error).__name__} in {work}{place}"
        self.count("fault")
        if cause not in self._said:
            self._said.add(cause)
            log.error("Sojourn failed and left the response alone: %s (said once; every case is counted)", cause)
            log.debug("the traceback of that", exc_info=error)
