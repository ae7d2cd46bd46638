"""Erasure and export of one person, in any database.

An erasure locks the log, so what it counts as skipped is counted once; where it needs sessions too, it has locked those
before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from sojourn.core.events import START, Event, Position

from . import wire
from .data_subjects_sql import Statements
from .database import Database, Transaction
from .model import SESSION, USER, DataSubject, DeadLetter, Place, Slice
from .rows import SessionRow

_SESSIONS: Final = 0
_LOG: Final = 1
_LETTERS: Final = 2
_NONE: Final = "[]"

_keys = msgspec.json.Decoder(list[tuple[str, bool]], strict=False)


class SQLDataSubjects:
    """The port `DataSubjects`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = Statements(database.dialect)

    # --- erasure

    def add_tombstone(self, subject: DataSubject, *, at: int) -> Position:
        sql = self._sql

        def attempt(work: Transaction) -> Position:
            *_, head = work.execute(
                sql.of[subject.kind].lock_sessions,
                self._database.lock_log,
                sql.set_tombstones,
                sql.of[subject.kind].suppress,
                self._database.dialect.erasing,
                sql.of[subject.kind].erase_inbox,
                sql.head,
                id=wire.clean(subject.id),
                tombstones=_tombstones(work, [subject], at),
            )
            return Position(int(head.row[0]))

        return self._database.write(attempt)

    def add_session_tombstones(self, keys: Collection[str], *, at: int) -> None:
        def attempt(work: Transaction) -> None:
            sessions = [DataSubject(SESSION, key) for key in keys]
            work.execute(self._sql.set_tombstones, tombstones=_tombstones(work, sessions, at))

        self._database.write(attempt)

    def erase(self, subject: DataSubject, *, at: int, upto: Position, after: Place, limit: int) -> Slice:
        if after.part == _SESSIONS:
            return self._erase_sessions(subject, at, limit)
        if after.part == _LOG:
            return self._erase_from_log(subject, upto, after, limit)
        return self._erase_letters(subject, after, limit)

    def _erase_sessions(self, subject: DataSubject, at: int, limit: int) -> Slice:
        """Erase events first, and a session when it has no events left."""
        sql, database = self._sql, self._database
        values = {"id": wire.clean(subject.id), "limit": limit}

        def events(work: Transaction) -> Slice:
            *_, seqs = work.execute(
                database.lock_log, sql.lock_backends, sql.of[subject.kind].events_in_sessions, **values
            )
            return self._erase_events(work, seqs.row[0])

        def sessions(work: Transaction) -> Slice:
            (locked,) = work.execute(sql.of[subject.kind].empty_sessions, **values)
            if locked.row[0] == _NONE:
                return Slice(after=Place(_LOG, START.stored))
            _, empty = work.execute(database.lock_log, sql.still_empty, keys=locked.row[0])
            sessions = _keys.decode(empty.row[0])
            keys = wire.encode([key for key, _ in sessions])
            _, _, _, aliases, _ = work.execute(
                database.dialect.erasing,
                sql.erase_sessions,
                sql.erase_withheld,
                sql.aliases_of,
                sql.erase_aliases,
                keys=keys,
            )
            if subject.kind == USER:
                names = [*(key for key, _ in sessions), *wire.decode_names(aliases.row[0])]
                tombstones = _tombstones(work, [DataSubject(SESSION, name) for name in names], at)
                work.execute(sql.set_tombstones, tombstones=tombstones)
            still_open = sum(is_open for _, is_open in sessions)
            self._count(work, {"sessions.erased": len(sessions), "sessions.erased_open": still_open})
            return Slice(sessions=len(sessions), after=Place(_SESSIONS))

        erased = database.write(events)
        if erased.events:
            return replace(erased, after=Place(_SESSIONS))
        return database.write(sessions)

    def _erase_from_log(self, subject: DataSubject, upto: Position, after: Place, limit: int) -> Slice:
        sql, database = self._sql, self._database
        values = {"id": wire.clean(subject.id), "after": after.after, "upto": upto.stored, "limit": limit}
        seqs, last = database.read(sql.of[subject.kind].seqs_naming, **values)
        following = Place(_LETTERS) if last is None else Place(_LOG, last)
        if seqs == _NONE:
            return Slice(after=following)

        def attempt(work: Transaction) -> Slice:
            *_, there = work.execute(database.lock_log, sql.lock_backends, sql.still_there, seqs=seqs)
            return replace(self._erase_events(work, there.row[0]), after=following)

        return database.write(attempt)

    def _erase_letters(self, subject: DataSubject, after: Place, limit: int) -> Slice:
        sql, database = self._sql, self._database
        values = {"id": wire.clean(subject.id), "after": after.after, "limit": limit}
        numbers, last = database.read(sql.of[subject.kind].numbers_naming, **values)
        following = None if last is None else Place(_LETTERS, last)
        if numbers == _NONE:
            return Slice(after=following)

        def attempt(work: Transaction) -> Slice:
            _, erased = work.execute(database.dialect.erasing, sql.erase_letters, numbers=numbers)
            work.execute(database.lock_log)
            self._count(work, {"dead_letters.erased": erased.rows})
            return Slice(dead_letters=erased.rows, after=following)

        return database.write(attempt)

    def _erase_events(self, work: Transaction, seqs: str) -> Slice:
        """Erase events of the locked log; for a backend that has not read them yet they are skipped."""
        if seqs == _NONE:
            return Slice()
        sql = self._sql
        _, forwarded, _, letters, events = work.execute(
            self._database.dialect.erasing,
            sql.forwarded,
            sql.skip_unread,
            sql.erase_letters_of_events,
            sql.erase_events,
            seqs=seqs,
        )
        self._count(work, {"events.erased": events.rows, "dead_letters.erased": letters.rows})
        return Slice(events=events.rows, dead_letters=letters.rows, forwarded=wire.decode_totals(forwarded.row[0]))

    def _count(self, work: Transaction, counts: Mapping[str, int]) -> None:
        if any(counts.values()):
            work.execute(self._sql.add_counts, counts=wire.encode(counts))

    # --- export

    def sessions_of(self, subject: DataSubject, *, after: str, limit: int) -> list[SessionRow]:
        statement = self._sql.of[subject.kind].sessions
        return wire.decode_rows(self._database.read(statement, id=wire.clean(subject.id), after=after, limit=limit)[0])

    def events_naming(
        self, subject: DataSubject, *, after: Position, limit: int
    ) -> tuple[list[Event], Position | None]:
        text, last = self._part(self._sql.of[subject.kind].events_naming, subject, after.stored, limit)
        return wire.decode_events(text)[0], None if last is None else Position(last)

    def letters_naming(self, subject: DataSubject, *, after: int, limit: int) -> tuple[list[DeadLetter], int | None]:
        text, last = self._part(self._sql.of[subject.kind].letters_naming, subject, after, limit)
        return wire.decode_letters(text), last

    def _part(self, statement: str, subject: DataSubject, after: int, limit: int) -> tuple[str, int | None]:
        text, last = self._database.read(statement, id=wire.clean(subject.id), after=after, limit=limit)
        return text, last


def _tombstones(work: Transaction, subjects: Iterable[DataSubject], at: int) -> str:
    return wire.encode([(wire.digest(work.key.value, subject), at, False) for subject in subjects])
