"""What may be worth a look although nothing is wrong: hints for `sojourn status` and the report. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sojourn.stores.reporting.model import LongVisits

from .checks import HealthSnapshot
from .formatting import cell

_MANY: Final = 100
"""Of prefetched pages: fewer say little."""


def hints(health: HealthSnapshot) -> list[str]:
    """Return the hints, each as a sentence."""
    visits = () if health.long_visits is None else _of_long_visits(health.long_visits)
    return [*visits, *_of_prefetched(health.stats.counters)]


def _of_long_visits(visits: LongVisits) -> Iterator[str]:
    if not visits.count:
        return
    text = (
        f"{visits.count:,} of the latest {visits.latest:,} sessions lasted more than an hour with one page view. "
        "Something on the page may keep them alive"
    )
    if visits.path is not None:
        text += (
            f", most often {cell(visits.path)} ({visits.by_path:,} of {visits.heartbeats:,} heartbeats). "
            "If the page requests it by itself, add it to `passive`"
        )
    yield text


def _of_prefetched(counters: Mapping[str, int]) -> Iterator[str]:
    pages = counters.get("ignored.prefetched_pages", 0)
    unconfirmed = pages - counters.get("ignored.prefetched_opened", 0)
    if pages >= _MANY and unconfirmed * 2 >= pages:
        yield (
            f"{unconfirmed:,} of {pages:,} prefetched pages were not seen to be opened. A browser opens such a page without a "
            "request: include the beacon in your pages, so that they report it"
        )
