"""Suppress the records of visitors who opted out or were erased. Pure.

An opt-out is for good, whenever a record of the visitor was made and in whatever order it comes. An erasure covers what was
recorded until then: later records start a new session, without a link to what was before. Carried calls start none.

See P24 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

import msgspec

from sojourn.core.ids import uuid7
from sojourn.core.records import CARRIED, OPT_OUT, STARTS, Record
from sojourn.stores.model import SESSION, USER, VISITOR, DataSubject, Tombstone

_NONE: Final[Mapping[DataSubject, Tombstone]] = {}
_NEVER: Final = -(2**63)
_LAST: Final = b"\xff" * 10


class Suppressed(Enum):
    """Why a record is suppressed; the value is the name of its counter."""

    OPTED_OUT = "records.opted_out"
    ERASED = "records.erased"


def people(records: Iterable[Record]) -> set[DataSubject]:
    """Return the visitors, sessions and users that the records name."""
    visitors, sessions, users = set(), set(), set()
    for record in records:
        visitors.add(record.visitor_id)
        sessions.add(record.key)
        if record.flags & CARRIED and record.previous_key is not None:
            sessions.add(record.previous_key)
        for entry in record.entries:
            if entry.tag is not None and entry.tag.user_id is not None:
                users.add(entry.tag.user_id)
    return {
        *(DataSubject(VISITOR, name) for name in visitors),
        *(DataSubject(SESSION, name) for name in sessions),
        *(DataSubject(USER, name) for name in users),
    }


class Suppression:
    """The tombstones that the store has, and the opt-outs that this batch brings: one object for a whole batch."""

    __slots__ = ("_tombstones", "opted_out")

    def __init__(self, tombstones: Mapping[DataSubject, Tombstone] = _NONE) -> None:
        self._tombstones = tombstones
        self.opted_out: dict[str, int] = {}
        """Visitors who opt out in this batch, and when (ms)."""

    def judge(self, record: Record) -> Record | Suppressed:
        """Return the record as it counts, or why it is suppressed. An opt-out takes effect in either case."""
        opts_out = record.flags & OPT_OUT
        if not opts_out and not self._tombstones and not self.opted_out:
            return record
        visitor = record.visitor_id
        tombstone = self._tombstones.get(DataSubject(VISITOR, visitor))
        has_left = visitor in self.opted_out or (tombstone is not None and tombstone.is_for_good)
        if opts_out and not has_left:
            self.opted_out[visitor] = record.at
        if has_left:
            return Suppressed.OPTED_OUT
        since = max(
            _NEVER if tombstone is None else tombstone.at,
            self._erased_at(DataSubject(SESSION, record.key)),
        )
        if record.at <= since or self._names_an_erased_user(record):
            return Suppressed.ERASED
        if record.flags & CARRIED and self._is_of_erased(record, since):
            return Suppressed.ERASED
        return _restarted(record, since) if record.started_at <= since else record

    def is_suppressed(self, record: Record) -> bool:
        """Say whether the record is suppressed as far as the tombstones say. Changes nothing."""
        if not self._tombstones:
            return False
        tombstone = self._tombstones.get(DataSubject(VISITOR, record.visitor_id))
        if tombstone is not None and (tombstone.is_for_good or record.at <= tombstone.at):
            return True
        return record.at <= self._erased_at(DataSubject(SESSION, record.key)) or self._names_an_erased_user(record)

    def _is_of_erased(self, record: Record, since: int) -> bool:
        """Whether a carried call was made for a session that was erased, be it to start the one after it."""
        if record.flags & STARTS and record.previous_key is not None:
            since = max(since, self._erased_at(DataSubject(SESSION, record.previous_key)))
            return record.previous_key <= uuid7(since, _LAST)  # keys sort by the time of their start
        return record.started_at <= since

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


def _restarted(record: Record, since: int) -> Record:
    """Return the record of an erased session that goes on, as if the session had begun right after the erasure."""
    return msgspec.structs.replace(
        record, started_at=since + 1, previous_key=None, previous_seen_at=0, previous_reason=None
    )
