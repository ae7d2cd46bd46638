"""Sum up what a command has changed, or the next page of the report would; the recorder does it, too, but slowly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._progress import Bar

if TYPE_CHECKING:
    from sojourn.stores import Store

_SETTLED_MS: Final = 3 * 3_600_000
_AT_ONCE: Final = 24


def roll_up(store: Store, now: int, bar: Bar) -> None:
    """Roll up all hours that were over a while ago."""
    hours = 0
    while (more := store.maintenance.roll_up(finished_before=now - _SETTLED_MS, limit=_AT_ONCE)) > 0:
        hours += more
        bar.show("hours summed up", hours, None)
