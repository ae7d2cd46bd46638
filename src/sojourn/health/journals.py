"""What the journals of this machine hold that the store does not know yet. Reads files and marks; changes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sojourn.stores.protocol import Mark

_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Unapplied:
    """Records that wait in the journals of one machine. `oldest_at` (ms): when the oldest of them was made.

    `accepted` is how many more than the store knows were accepted, as the journals themselves count: the same number,
    unless a record is lost.
    """

    path: Path
    place: str
    records: int
    accepted: int
    oldest_at: int | None
    living: frozenset[str]
    """Ids of the journals whose process lives."""
    dead: int


def unapplied(path: Path, marks: Mapping[str, Mark]) -> Unapplied | None:
    """What lies behind these marks; `None` where no journal was ever written."""
    from sojourn.pipeline.journal import JournalDirectory

    if not path.is_dir():
        return None
    reader = JournalDirectory(path)
    try:
        positions = {journal: mark.position for journal, mark in marks.items()}
        accepted = {journal: mark.totals.get("records.accepted", 0) for journal, mark in marks.items()}
        known = dict(accepted)
        records, oldest = 0, None
        before = time.monotonic_ns()
        while True:
            reading = reader.read(positions, before=before, limit=_AT_ONCE)
            for frame in reading.frames:
                positions[frame.journal], accepted[frame.journal] = frame.end, frame.accepted
                oldest = frame.wall if oldest is None else min(oldest, frame.wall)
            records += len(reading.frames)
            if not reading.more or not reading.frames:
                break
        journals = reader.journals()
        living = frozenset(journal for journal in journals if reader.is_alive(journal))
        return Unapplied(
            path=path,
            place=reader.place(),
            records=records,
            accepted=sum(count - known.get(journal, 0) for journal, count in accepted.items()),
            oldest_at=oldest,
            living=living,
            dead=len(journals) - len(living),
        )
    finally:
        reader.close()
