"""After an erasure: overwrite the copies beside the rows, in journals and in the store's own log, and say what remains.

See P31 in docs/internals.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from sojourn.core.records import OPT_OUT, Record
from sojourn.pipeline import payloads
from sojourn.pipeline.journal import SYSTEM_FILES, Frame, JournalDirectory, JournalEraser
from sojourn.pipeline.record.suppression import Suppression, people
from sojourn.stores.model import USER, DataSubject, Tombstone
from sojourn.stores.protocol import Store

_PATIENCE_S: Final = 5.0
_PAUSE_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """`records` were overwritten in journals. `remains`: where copies are that could not be reached, and for how long."""

    records: int
    remains: tuple[str, ...]


def erase_copies(store: Store, directory: Path | None, *, patience_s: float = _PATIENCE_S) -> Copies:
    """Overwrite what is left of erased people in this host's journals and in the store's log.

    Call it after `erase`, for everybody whom the store has a tombstone of. Raises `StoreError`, and `OSError` where a journal
    cannot be read or changed.
    """
    is_here = directory is not None and directory.is_dir()
    records = 0
    if directory is not None and is_here:
        erased = _Erased(store)
        JournalEraser(SYSTEM_FILES, directory, erased.learn_sessions).erase()
        records = JournalEraser(SYSTEM_FILES, directory, erased.among).erase()
    return Copies(records=records, remains=tuple(_remains(store, directory if is_here else None, patience_s)))


def _remains(store: Store, directory: Path | None, patience_s: float) -> Iterator[str]:
    yield from _elsewhere(store, directory)
    for place in store.maintenance.replicas():
        yield f"in {place}, and in the replicas that are made from it: until their own retention ends"
    if not _checkpoint(store, patience_s):
        yield (
            "in the store's write-ahead log, because another process is reading the store: until that has ended and the "
            "recorder has emptied the log (it does so every hour), or until the last process closes the store"
        )


def _elsewhere(store: Store, directory: Path | None) -> Iterator[str]:
    marks = set(store.records.marks())
    if directory is not None:
        reader = JournalDirectory(directory)
        marks -= reader.journals()
        if reader.unreadable():
            yield f"in journals of another version of Sojourn in {directory}: until you delete them"
        reader.close()
        marks &= store.records.marks().keys()  # some may have been read and removed meanwhile
    if marks:
        yield (
            f"in journals that this command does not see (of {len(marks)} processes on other hosts, or with a journal_dir of "
            "their own): while the app or a worker runs there, for at most six hours; to erase them now, run the command on "
            "each host, with --app where the app sets journal_dir"
        )


def _checkpoint(store: Store, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not store.maintenance.checkpoint():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE_S)
    return True


class _Erased:
    """Which frames the recorder would drop, or would have dropped, as those of people who were erased."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._positions: Mapping[str, int] = {journal: mark.position for journal, mark in store.records.marks().items()}

    def learn_sessions(self, frames: Sequence[Frame]) -> list[Frame]:
        """Give the sessions of erased users that are only in the journals tombstones of their own; return nothing.

        Not every record of a session names its user.
        """
        records = [record for frame in frames if (record := _record_in(frame)) is not None]
        tombstones = self._tombstones(records)
        sessions: dict[int, set[str]] = {}
        for record in records:
            for entry in record.entries:
                tombstone = tombstones.get(DataSubject(USER, (entry.tag and entry.tag.user_id) or ""))
                if tombstone is not None and record.at <= tombstone.at:
                    sessions.setdefault(tombstone.at, set()).add(record.key)
        for at, keys in sessions.items():
            self._store.data_subjects.add_session_tombstones(keys, at=at)
        return []

    def among(self, frames: Sequence[Frame]) -> list[Frame]:
        """Return those to erase: not an opt-out that is not recorded yet, which the recorder erases when it is."""
        records = [(frame, record) for frame in frames if (record := _record_in(frame)) is not None]
        suppression = Suppression(self._tombstones(record for _, record in records))
        return [
            frame
            for frame, record in records
            if suppression.is_suppressed(record)
            and (frame.end <= self._positions.get(frame.journal, 0) or not record.flags & OPT_OUT)
        ]

    def _tombstones(self, records: Iterable[Record]) -> Mapping[DataSubject, Tombstone]:
        with self._store.records.recording() as transaction:
            return transaction.load((), people=people(records)).tombstones


def _record_in(frame: Frame) -> Record | None:
    try:
        record = payloads.decode(frame.payload)
    except msgspec.MsgspecError:
        return None
    return record if isinstance(record, Record) and record.key else None
