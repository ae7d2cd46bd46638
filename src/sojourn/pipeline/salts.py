"""Agrees with the store on the salts of days, and destroys those whose time is over. Off the request path.

See S18 in docs/internals.md.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Final

from sojourn.core.days import Day, day_of
from sojourn.stores.protocol import Store

from .visitor_table import VisitorTable

AHEAD_MS: Final = 3_600_000
"""How long before midnight the salt of the next day is agreed on, so that all hosts have it when the day begins."""
_FORGET_EVERY_MS: Final = 600_000


class DailySalts:
    """The salts of this host. `grace`: for how long after its day (ms) a salt finds sessions in progress.

    One thread calls it; blocks. Raises `StoreError`; then this host goes on with a salt of its own.
    """

    def __init__(self, store: Store, table: VisitorTable, *, zone: tzinfo, grace: int) -> None:
        self._store = store
        self._table = table
        self._zone = zone
        self._grace = grace
        self._forgot_at: int | None = None

    def turn(self, now: int) -> None:
        """Do what is due at this moment (milliseconds since the epoch)."""
        day = day_of(now, self._zone)
        is_due = self._forgot_at is None or any(salt.until <= now for salt in self._table.salts())
        self._table.forget_salts(now)
        if is_due and now >= day.starts_at + self._grace:
            self._table.forget_visitors(day.starts_at)
        if is_due or now - (self._forgot_at or 0) >= _FORGET_EVERY_MS:
            self._store.salts.forget(now=now)
            self._forgot_at = now
        self._agree(day, now)
        if day.ends_at - now <= AHEAD_MS:
            self._agree(day_of(day.ends_at, self._zone), now)

    def _agree(self, day: Day, now: int) -> None:
        until = day.ends_at + self._grace
        own = self._table.salt_of(day.starts_at, until=until)
        if not own.is_agreed:
            salt = self._store.salts.of_day(day.starts_at, until=until, proposed=own.salt)
            self._table.agree(day.starts_at, salt, until=until, keep_own_until=now + self._grace)
