"""Watches the last hour for what the settings call alarming, and sends word of it: once when it begins, once when it is over.

One process of a fleet does it, by a lease. What is on, and what is still to be sent, is kept in the store; so a restart neither
repeats nor loses a notice. A notice that cannot be sent is tried again after growing pauses, for a week. Where a process dies
between sending and noting it, its target gets the notice twice, with the same id.

See P38 in docs/internals.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from sojourn.backends.cloudevents import rfc3339
from sojourn.core.alerts import Reading, Thresholds, findings
from sojourn.stores.model import Lease, Notice
from sojourn.stores.protocol import Store
from sojourn.stores.reporting.model import DAY_MS

from .targets import Message, Target

LEASE: Final = "alerts"
CHECK_EVERY_MS: Final = 60_000
_DAYS: Final = 7
_FIRST_MS: Final = 30_000
_LONGEST_MS: Final = 3_600_000
TITLES: Final = {
    "spike": "More sessions than usual",
    "drop": "Fewer sessions than usual",
    "errors": "Many sessions with errors",
    "nothing": "Nothing is recorded",
}


class Watch:
    """Called by a step of the background only; blocks while it reads and sends. Raises `StoreError`."""

    def __init__(
        self,
        store: Store,
        thresholds: Thresholds,
        targets: Sequence[Target],
        *,
        acquire: Callable[[str, int], Lease | None],
        service: str | None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._thresholds = thresholds
        self._targets = {target.label: target for target in targets}
        self._acquire = acquire
        self._service = service
        self._chance = chance
        self._checked_at: int | None = None

    def turn(self, now: int) -> None:
        """Check if it is time to, and send what is due, unless another process does."""
        if self._acquire(LEASE, now) is None:
            return
        if self._checked_at is None or now - self._checked_at >= CHECK_EVERY_MS or now < self._checked_at:
            self._checked_at = now
            self.check(now)
        self.send(now)

    def check(self, now: int) -> None:
        """Turn alerts on and off."""
        alerts = self._store.alerts
        on = {each.name for each in alerts.states() if each.is_on}
        found = findings(self._thresholds, self._reading(now))
        for name, finding in found.items():
            if finding.is_over and name not in on:
                alerts.turn(name, is_on=True, at=now, text=finding.text, targets=list(self._targets))
            elif finding.is_clear and name in on:
                alerts.turn(name, is_on=False, at=now, text=finding.text, targets=list(self._targets))

    def send(self, now: int) -> None:
        """Send what is due; of a target that is no longer in the settings nothing."""
        alerts = self._store.alerts
        failed: set[str] = set()
        for notice in alerts.due(now):
            target = self._targets.get(notice.target)
            if target is None:
                alerts.sent(notice.number)
            elif notice.target not in failed:  # in order: that it is over never comes before that it began
                problem = target.send(self._message(notice), now=now)
                if problem is None:
                    alerts.sent(notice.number)
                else:
                    failed.add(notice.target)
                    pause = min(_LONGEST_MS, _FIRST_MS * 2 ** min(notice.attempts, 10))
                    pause -= int(self._chance() * pause / 2)
                    alerts.failed(notice.number, retry_at=now + pause, problem=problem)

    def _reading(self, now: int) -> Reading:
        figures = self._store.report.hour_until
        sessions, errors, _ = figures(now)
        days = [figures(now - day * DAY_MS) for day in range(1, _DAYS + 1)] if self._compares else []
        silent = self._store.report.last_activity() if self._thresholds.nothing is not None else None
        return Reading(
            sessions=sessions,
            error_sessions=errors,
            before=[day.sessions for day in days if day.is_recorded],
            silent_ms=None if silent is None else max(0, now - silent),
        )

    @property
    def _compares(self) -> bool:
        return self._thresholds.spike is not None or self._thresholds.drop is not None

    def _message(self, notice: Notice) -> Message:
        title = TITLES.get(notice.alert, notice.alert)
        where = f"{self._service}: " if self._service else ""
        subject = f"{where}{title}" if notice.is_on else f"{where}Over: {title[:1].lower()}{title[1:]}"
        text = f"{notice.text[:1].upper()}{notice.text[1:]}."
        return Message(
            subject=subject,
            text=f"{text}\n\n{rfc3339(notice.at)}\n",
            html=None,
            document={
                "type": "alert",
                "id": f"{notice.alert}-{notice.at}-{'on' if notice.is_on else 'off'}",
                "alert": notice.alert,
                "state": "on" if notice.is_on else "off",
                "at": rfc3339(notice.at),
                "service": self._service,
                "title": title,
                "text": text,
            },
        )
