"""What may be worth a look although nothing is wrong: hints for `sojourn status` and the report. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from sojourn.stores.reporting.model import LongVisits

from .checks import HealthSnapshot
from .formatting import cell


def hints(health: HealthSnapshot) -> list[str]:
    """Return the hints, each as a sentence."""
    return [] if health.long_visits is None else list(_of_long_visits(health.long_visits))


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
