"""Moments as the reader's clock shows them. Pure: now and the reader's offset are arguments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from markupsafe import Markup

from sojourn.health.formatting import ago

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LATEST_MS: Final = 253_000_000_000_000
"""In the year 9987: the last years that `datetime` has, less a margin for any offset."""


class Moments:
    """Formats moments for a reader whose clock is `offset` ms ahead of UTC, at the moment `now`."""

    def __init__(self, now: int, offset: int) -> None:
        self.now = now
        self.offset = offset
        self._zone = timezone(timedelta(milliseconds=offset)) if offset else UTC
        self._today = self.local(now)

    def local(self, at: int) -> datetime:
        return datetime.fromtimestamp(_seconds(at), self._zone)

    @property
    def zone(self) -> str:
        if not self.offset:
            return "UTC"
        minutes = abs(self.offset) // 60_000
        return f"UTC{'+' if self.offset > 0 else '-'}{minutes // 60}:{minutes % 60:02}"

    def short(self, at: int) -> str:
        """Today the time alone, else the day as well."""
        when = self.local(at)
        if when.date() == self._today.date():
            return f"{when:%H:%M:%S}"
        return f"{self.day(at)} {when:%H:%M}"

    def day(self, at: int) -> str:
        when = self.local(at)
        year = "" if when.year == self._today.year else f" {when.year}"
        return f"{when.day} {_MONTHS[when.month - 1]}{year}"

    def weekday(self, at: int) -> str:
        return f"{_DAYS[self.local(at).weekday()]} {self.day(at)}"

    def full(self, at: int) -> str:
        when = self.local(at)
        return f"{_DAYS[when.weekday()]} {when.day} {_MONTHS[when.month - 1]} {when.year}, {when:%H:%M:%S} {self.zone}"

    def time(self, at: int) -> Markup:
        """A `<time>` element with the full moment in its tooltip."""
        return self._element(at, self.short(at), Markup())

    def ago(self, at: int) -> Markup:
        """A `<time>` element whose age our script keeps up to date."""
        return self._element(at, ago(self.now - at), Markup(' data-ago="{}"').format(at))

    def _element(self, at: int, text: str, attributes: Markup) -> Markup:
        iso = datetime.fromtimestamp(_seconds(at), UTC)
        return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
            f"{iso:%Y-%m-%dT%H:%M:%SZ}", self.full(at), attributes, text
        )


def _seconds(at: int) -> float:
    return max(0, min(at, _LATEST_MS)) / 1000
