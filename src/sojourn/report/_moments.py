"""Moments as the reader's clock shows them. Pure: now and the reader's time zone are arguments."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup

from sojourn.health.formatting import ago

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,2}")
_BLANK: Final = re.compile(r" (?=\d{2}:?\d{2}$)")
_LATEST_MS: Final = 253_000_000_000_000
"""In the year 9987: the last years that `datetime` has, less a margin for any offset."""


def zone_named(name: str) -> tzinfo | None:
    """The time zone of this name, such as `America/New_York`; `None` for an unknown one."""
    if not _ZONE.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):  # a folder of the system's zones is an `OSError`
        return None


class Moments:
    """Formats moments for a reader in this time zone, at the moment `now`."""

    def __init__(self, now: int, zone: tzinfo = UTC) -> None:
        self.now = now
        self.zone = zone
        self._today = self.local(now)

    def local(self, at: int) -> datetime:
        """The date and time that the reader's clock showed or will show at this moment, by the rules of that day."""
        return datetime.fromtimestamp(_seconds(at), self.zone)

    @property
    def zone_name(self) -> str:
        return self.zone.key if isinstance(self.zone, ZoneInfo) else str(self.zone)

    def offset(self, at: int) -> str:
        """How far the reader's clock is ahead of UTC at this moment, such as `UTC-4:00`."""
        minutes = round((self.local(at).utcoffset() or timedelta()).total_seconds() / 60)
        return f"UTC{'+' if minutes > 0 else '-'}{abs(minutes) // 60}:{abs(minutes) % 60:02}" if minutes else "UTC"

    def address(self, at: int) -> str:
        """A moment for an address: the reader's time with its offset, so that it is the same moment for everybody."""
        when = self.local(at)
        text = when.isoformat(timespec="minutes" if not (when.second or when.microsecond) else "milliseconds")
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text

    def parsed(self, text: str) -> int | None:
        """The moment of an ISO 8601 text; without an offset it is the reader's time. `None` for anything else."""
        # An unescaped `+` of an offset arrives as a blank.
        parsed = _parsed(text) or _parsed(_BLANK.sub("+", text))
        if parsed is None:
            return None
        try:
            return round((parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=self.zone)).timestamp() * 1000)
        except (ValueError, OverflowError):
            return None

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
        return f"{_DAYS[when.weekday()]} {when.day} {_MONTHS[when.month - 1]} {when.year}, {when:%H:%M:%S} {self.offset(at)}"

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


def is_local(text: str) -> bool:
    """Whether it is a time without an offset: another moment for each reader."""
    parsed = _parsed(text)
    return parsed is not None and parsed.tzinfo is None


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _seconds(at: int) -> float:
    return max(0, min(at, _LATEST_MS)) / 1000
