"""Segments that were damaged: kept under another name from the moment that is seen, until an operator deletes them.

The name is a second link to the file, so what becomes of the segment (more frames, an erasure, its removal) needs no care.
Two recorders, or one that was killed in between, do it once.

See P28 in docs/internals.md.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from sojourn.core.bounded import Bounded

from .files import File, Files
from .names import damaged_name, list_damaged, segment_name
from .protocol import Damage
from .scanning import SegmentReader

log = logging.getLogger("sojourn")

_examined: Final[Bounded[tuple[Path, int], tuple[Damage, ...]]] = Bounded(64)


class DamagedSegments:
    """What the reader of a directory met that could not be read."""

    def __init__(self, files: Files, directory: Path) -> None:
        self._system = files
        self._directory = directory
        self._ranges: dict[tuple[str, int], dict[int, Damage]] = {}
        self._kept: set[tuple[str, int]] = set()
        self._unlinked: set[tuple[str, int]] = set()

    def note(self, damage: Damage) -> None:
        self._ranges.setdefault((damage.journal, damage.number), {})[damage.offset] = damage

    def ranges(self) -> tuple[Damage, ...]:
        """Return what was noted of segments that are still there, in order."""
        return tuple(damage for key in sorted(self._ranges) for _, damage in sorted(self._ranges[key].items()))

    def forget(self, journal: str, number: int) -> None:
        """Forget a segment that was removed."""
        self._ranges.pop((journal, number), None)
        self._kept.discard((journal, number))

    def keep(self) -> None:
        """Give the segments with noted damage their second name, and log each that had none. Cheap when called again."""
        for key in self._ranges.keys() - self._kept:
            self._kept.add(key)
            self._keep(*key)

    def expire(self, older_than: int) -> None:
        """Delete what was last written before this time (ms since the epoch). Raises `OSError`."""
        for name in (damaged_name(journal, number) for journal, number in list_damaged(self._system, self._directory)):
            if self._system.written_at(self._directory / name) < older_than:
                self._system.remove(self._directory / name)
                log.warning(
                    "A damaged segment in %s is older than the retention, and was deleted: %s", self._directory, name
                )

    def must_rename(self, journal: str, number: int) -> bool:
        """Say whether the segment has no second name, because its file system has no links."""
        return (journal, number) in self._unlinked

    def _keep(self, journal: str, number: int) -> None:
        name = damaged_name(journal, number)
        try:
            self._system.link(self._directory / segment_name(journal, number), self._directory / name)
        except FileExistsError:
            return
        except FileNotFoundError:
            return  # another recorder has kept it, and removed it
        except OSError:
            self._unlinked.add((journal, number))
        ranges = self._ranges[journal, number].values()
        log.error(
            "A segment of a journal in %s is damaged: %d bytes cannot be read so far. The records behind them are recorded, "
            "and the segment is kept as %s; `sojourn status` shows it until you delete it",
            self._directory,
            sum(damage.length for damage in ranges),
            name,
        )


def examine(files: Files, directory: Path) -> dict[tuple[str, int], tuple[Damage, ...]]:
    """Return the damage of each segment that was set aside, by journal and number. Raises `OSError`."""
    damaged = {}
    for journal, number in list_damaged(files, directory):
        path = directory / damaged_name(journal, number)
        at = files.written_at(path)
        damage = _examined.get((path, at))
        if damage is None:  # a whole segment takes some 20 ms
            damage = _examined[path, at] = _damage_in(files.open(path), journal, number)
        damaged[journal, number] = damage
    return damaged


def _damage_in(file: File, journal: str, number: int) -> tuple[Damage, ...]:
    try:
        segment = SegmentReader(journal, number, file.read)
        return tuple(item for item in segment.frames(0, is_final=True) if isinstance(item, Damage))
    finally:
        file.close()
