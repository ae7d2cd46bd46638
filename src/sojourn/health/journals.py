"""What the journals of this machine hold that is not yet in the store. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sojourn.pipeline.journal import Damage, Reading
    from sojourn.stores.model import Mark

_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Damaged:
    """Segments with damage, in how many places, and how many bytes cannot be read."""

    files: int = 0
    ranges: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unapplied:
    """Records that wait in the journals of one machine. `oldest_at` (ms): when the oldest of them was made.

    `accepted` is how many records the journals' own counts have accepted beyond those in the store. It equals `records`
    unless records are lost, in damaged bytes.
    """

    path: Path
    place: str
    records: int
    accepted: int
    oldest_at: int | None
    living: frozenset[str]
    """Ids of the journals whose process is alive."""
    dead: int
    damaged: Damaged = Damaged()
    """What was damaged in the unread part of the journals, and what was set aside and not deleted since."""


def unapplied(path: Path, marks: Mapping[str, Mark]) -> Unapplied | None:
    """Count the records behind these marks; `None` if the directory does not exist. Raises `OSError`."""
    from sojourn.pipeline.journal import JournalDirectory

    if not path.is_dir():
        return None
    reader = JournalDirectory(path)
    try:
        positions = {journal: mark.position for journal, mark in marks.items()}
        accepted = {journal: mark.totals.get("records.accepted", 0) for journal, mark in marks.items()}
        in_store = dict(accepted)
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
        damaged = _damaged(path, reading)
        journals = reader.journals()
        living = frozenset(journal for journal in journals if reader.is_alive(journal))
        return Unapplied(
            path=path,
            place=reader.place(),
            records=records,
            accepted=sum(count - in_store.get(journal, 0) for journal, count in accepted.items()),
            oldest_at=oldest,
            living=living,
            dead=len(journals) - len(living),
            damaged=damaged,
        )
    finally:
        reader.close()


def _damaged(path: Path, reading: Reading) -> Damaged:
    from sojourn.pipeline.journal import SYSTEM_FILES, examine

    segments: dict[tuple[str, int], set[Damage]] = {}
    for damage in reading.damaged:
        segments.setdefault((damage.journal, damage.number), set()).add(damage)
    for key, damages in examine(SYSTEM_FILES, path).items():
        segments.setdefault(key, set()).update(damages)
    ranges = [damage for damages in segments.values() for damage in damages]
    return Damaged(len(segments), len(ranges), sum(damage.length for damage in ranges))
