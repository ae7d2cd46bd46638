"""Days as a place's clocks have them: from midnight to midnight, 23 to 25 hours. Pure; the time zone is an argument."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

import msgspec

LATEST_MS = 253_000_000_000_000
"""In the year 9987: the last years that `datetime` has, less a margin for any offset."""
_ONE_DAY = timedelta(days=1)


class Day(msgspec.Struct, frozen=True, gc=False):
    """One day, in milliseconds since the epoch; the end is the start of the next."""

    starts_at: int
    ends_at: int

    def has(self, at: int) -> bool:
        """Whether this moment lies in it."""
        return self.starts_at <= at < self.ends_at


def day_of(at: int, zone: tzinfo) -> Day:
    """The day of this moment (milliseconds since the epoch) in a time zone."""
    local = datetime.fromtimestamp(min(max(at, 0), LATEST_MS) / 1000, zone).date()
    return Day(_midnight(local, zone), _midnight(local + _ONE_DAY, zone))


def _midnight(local: date, zone: tzinfo) -> int:
    """When this date begins. Where clocks skip midnight, `fold=0` is the moment of the change; of two midnights, the first."""
    return round(datetime.combine(local, time.min, zone).astimezone(UTC).timestamp() * 1000)
