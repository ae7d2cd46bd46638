"""The one guard between us and the app, and the count of what was refused or went wrong. Knows no request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import PurePath
from typing import ParamSpec, TypeVar

from sojourn.core.threads import Lock

log = logging.getLogger("sojourn")

P = ParamSpec("P")
R = TypeVar("R")


class Guard:
    """Counts, warns once per cause, and lets no fault of ours out. Every method may be called by any thread."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self._counting = Lock()
        self._counters: dict[str, int] = {}
        self._counted = False
        self._said: set[str] = set()

    def after_fork(self) -> None:
        """A lock may have been held by a thread that this process lacks; and what was counted, its parent tells."""
        self._counting = Lock()
        self._counters, self._counted = {}, False

    def guarded(self, default: R, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do our work for a request; whatever fails in it, the app's response is unharmed."""
        try:
            return work(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the one guard between us and the app
            self._report(error, getattr(work, "__name__", "sojourn"))
            return default

    def count(self, reason: str, times: int = 1) -> None:
        """Something was refused or went wrong: counted, and told with the next record."""
        with self._counting:
            self._counters[reason] = self._counters.get(reason, 0) + times
            self._counted = True
        log.debug("not recorded: %s", reason)

    def counters(self) -> dict[str, int]:
        with self._counting:
            return dict(self._counters)

    def untold_counters(self) -> dict[str, int] | None:
        """The running counters, if they changed since they were last told."""
        if not self._counted:  # asked with every record; a change that is missed now is told with the next one
            return None
        with self._counting:
            self._counted = False
            return dict(self._counters)

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

    def _report(self, error: Exception, work: str) -> None:
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
