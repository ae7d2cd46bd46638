"""Who left, and what of their records still counts. Pure; knows no store and no row.

An opt-out is for good, whenever a record of the visitor was made and in whatever order it comes. An erasure is of what
was until then: later records begin anew, and tell nothing of what was before.

See P24 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

import msgspec

from sojourn.core.records import OPT_OUT, Record
from sojourn.stores.model import SESSION, USER, VISITOR, DataSubject, Tombstone

_NOBODY: Final[Mapping[DataSubject, Tombstone]] = {}
_NEVER: Final = -(2**63)


class Suppressed(Enum):
    """Why a record does not count: the name of its counter."""

    OPTED_OUT = "records.opted_out"
    ERASED = "records.erased"


def people(records: Iterable[Record]) -> set[DataSubject]:
    """All that the records speak of: these may have left."""
    visitors, sessions, users = set(), set(), set()
    for record in records:
        visitors.add(record.visitor_id)
        sessions.add(record.key)
        for entry in record.entries:
            if entry.tag is not None and entry.tag.user_id is not None:
                users.add(entry.tag.user_id)
    return {
        *(DataSubject(VISITOR, name) for name in visitors),
        *(DataSubject(SESSION, name) for name in sessions),
        *(DataSubject(USER, name) for name in users),
    }


class Suppression:
    """Those that the store knows of, and those that a batch tells of on its way: one object for all of a batch."""

    __slots__ = ("_tombstones", "opted_out")

    def __init__(self, tombstones: Mapping[DataSubject, Tombstone] = _NOBODY) -> None:
        self._tombstones = tombstones
        self.opted_out: dict[str, int] = {}
        """Visitors, and when: what this batch has to write."""

    def judge(self, record: Record) -> Record | Suppressed:
        """The record as it counts, or why it does not. An opt-out is heeded in either case."""
        opts_out = record.flags & OPT_OUT
        if not opts_out and not self._tombstones and not self.opted_out:
            return record
        visitor = record.visitor_id
        known = self._tombstones.get(DataSubject(VISITOR, visitor))
        has_left = visitor in self.opted_out or (known is not None and known.is_for_good)
        if opts_out and not has_left:
            self.opted_out[visitor] = record.at
        if has_left:
            return Suppressed.OPTED_OUT
        since = max(
            _NEVER if known is None else known.at,
            self._erased_at(DataSubject(SESSION, record.key)),
        )
        if record.at <= since or self._names_an_erased_user(record):
            return Suppressed.ERASED
        return _anew(record, since) if record.started_at <= since else record

    def has_left(self, record: Record) -> bool:
        """Whether the record is of somebody who left, as far as is known; changes nothing."""
        if not self._tombstones:
            return False
        known = self._tombstones.get(DataSubject(VISITOR, record.visitor_id))
        if known is not None and (known.is_for_good or record.at <= known.at):
            return True
        return record.at <= self._erased_at(DataSubject(SESSION, record.key)) or self._names_an_erased_user(record)

    def _names_an_erased_user(self, record: Record) -> bool:
        return any(
            entry.tag is not None
            and entry.tag.user_id is not None
            and record.at <= self._erased_at(DataSubject(USER, entry.tag.user_id))
            for entry in record.entries
        )

    def _erased_at(self, person: DataSubject) -> int:
        tombstone = self._tombstones.get(person)
        return _NEVER if tombstone is None else tombstone.at


def _anew(record: Record, since: int) -> Record:
    """The record of a session that was erased and goes on: as if it had begun right after."""
    return msgspec.structs.replace(
        record, started_at=since + 1, previous_key=None, previous_seen_at=0, previous_reason=None
    )
