"""One person in a PostgreSQL store: what there is of them, the tombstone, and how they go.

An erasure takes the lock of the log, so what it counts as skipped is counted once; where it needs sessions too, it has
locked those before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from sojourn.core.events import Event
from sojourn.stores import wire
from sojourn.stores.protocol import Batch
from sojourn.stores.queries import DeadLetter
from sojourn.stores.rows import SessionRow
from sojourn.stores.tombstones import SESSION, USER, DataSubject, Place, Slice

from . import data_subjects_sql as sql
from . import log_sql
from . import statements as _postgres_sql
from .connections import Connections, Work
from .recording import PostgreSQLRecording

_SESSIONS: Final = 0
_LOG: Final = 1
_LETTERS: Final = 2

_keys = msgspec.json.Decoder(list[tuple[str, bool]])


class PostgreSQLPeople:
    """`SuppressionList` and `PersonQueries` over a store's connections."""

    def __init__(self, connections: Connections, log_lock: int) -> None:
        self._connections = connections
        self._log_lock = log_lock
        self._lock_log = _postgres_sql.lock_log(log_lock)

    # --- who leaves

    def add_tombstone(self, person: DataSubject, *, at: int) -> int:
        def attempt(work: Work) -> int:
            head: int = work.execute(
                sql.LOCK_SESSIONS[person.kind],
                self._lock_log,
                _postgres_sql.SET_TOMBSTONES,
                sql.BAR[person.kind],
                log_sql.HEAD,
                id=wire.clean(person.id),
                tombstones=_tombstones(work, [person], at),
            )[-1].row[0]
            return head

        return self._connections.write(attempt)

    def erase(self, person: DataSubject, *, at: int, upto: int, after: Place, limit: int) -> Slice:
        if after.part == _SESSIONS:
            return self._erase_sessions(person, at, limit)
        if after.part == _LOG:
            return self._erase_from_log(person, upto, after, limit)
        return self._erase_letters(person, after, limit)

    def _erase_sessions(self, person: DataSubject, at: int, limit: int) -> Slice:
        """Events first, and a session when none of its own is left."""
        wanted = {"id": wire.clean(person.id), "limit": limit}

        def events_in_sessions(work: Work) -> Slice:
            found = work.execute(
                self._lock_log, _postgres_sql.LOCK_BACKENDS, sql.EVENTS_IN_SESSIONS[person.kind], **wanted
            )
            return self._erase_events(work, found[-1].row[0])

        def empty_sessions(work: Work) -> Slice:
            (locked,) = work.execute(sql.LOCK_EMPTY_SESSIONS[person.kind], **wanted)
            keys = locked.row[0]
            if keys == "[]":
                return Slice(after=Place(_LOG))
            answers = work.execute(self._lock_log, sql.ERASE_SESSIONS, sql.ERASE_WITHHELD, keys=keys)
            gone = _keys.decode(answers[1].row[0])
            if person.kind == USER:
                tombstones = _tombstones(work, [DataSubject(SESSION, key) for key, _ in gone], at)
                work.execute(_postgres_sql.SET_TOMBSTONES, tombstones=tombstones)
            is_open = sum(is_open for _, is_open in gone)
            self._count(work, {"sessions.erased": len(gone), "sessions.erased_open": is_open})
            return Slice(sessions=len(gone), after=Place(_SESSIONS))

        erased = self._connections.write(events_in_sessions)
        if erased.events:
            return replace(erased, after=Place(_SESSIONS))
        return self._connections.write(empty_sessions)

    def _erase_from_log(self, person: DataSubject, upto: int, after: Place, limit: int) -> Slice:
        wanted = {"id": wire.clean(person.id), "after": after.after, "upto": upto, "limit": limit}
        seqs, last = self._connections.read(sql.SEQS_NAMING[person.kind], **wanted)
        following = Place(_LETTERS) if last is None else Place(_LOG, last)
        if not seqs:
            return Slice(after=following)

        def attempt(work: Work) -> Slice:
            found = work.execute(self._lock_log, _postgres_sql.LOCK_BACKENDS, sql.STILL_THERE, seqs=seqs)
            return replace(self._erase_events(work, found[-1].row[0]), after=following)

        return self._connections.write(attempt)

    def _erase_letters(self, person: DataSubject, after: Place, limit: int) -> Slice:
        wanted = {"id": wire.clean(person.id), "after": after.after, "limit": limit}
        numbers, last = self._connections.read(sql.NUMBERS_NAMING[person.kind], **wanted)
        following = None if last is None else Place(_LETTERS, last)
        if not numbers:
            return Slice(after=following)

        def attempt(work: Work) -> Slice:
            letters = work.execute(sql.ERASE_LETTERS, numbers=numbers)[0].rows
            self._count(work, {"dead_letters.erased": letters})
            return Slice(dead_letters=letters, after=following)

        return self._connections.write(attempt)

    def _erase_events(self, work: Work, seqs: list[int]) -> Slice:
        """Delete these events, which this transaction has to itself; what a backend had still to read is skipped."""
        if not seqs:
            return Slice()
        forwarded, _, letters, events = work.execute(
            sql.FORWARDED, log_sql.SKIP_UNREAD, sql.ERASE_LETTERS_OF_EVENTS, log_sql.DELETE_EVENTS, seqs=seqs
        )
        self._count(work, {"events.erased": events.rows, "dead_letters.erased": letters.rows})
        return Slice(events=events.rows, dead_letters=letters.rows, forwarded=wire.decode_totals(forwarded.row[0]))

    def _count(self, work: Work, counts: Mapping[str, int]) -> None:
        if any(counts.values()):
            PostgreSQLRecording(work, self._log_lock).save(Batch(counts=counts))

    # --- what there is of them

    def sessions_of(self, person: DataSubject, *, after: str, limit: int) -> list[SessionRow]:
        wanted = {"id": wire.clean(person.id), "after": after, "limit": limit}
        return wire.decode_rows(self._value(sql.SESSIONS_OF[person.kind], **wanted))

    def events_naming(self, person: DataSubject, *, after: int, limit: int) -> tuple[list[Event], int | None]:
        text, last = self._part(sql.EVENTS_NAMING[person.kind], person, after, limit)
        return wire.decode_events(text)[0], last

    def letters_naming(self, person: DataSubject, *, after: int, limit: int) -> tuple[list[DeadLetter], int | None]:
        text, last = self._part(sql.LETTERS_NAMING[person.kind], person, after, limit)
        return wire.decode_letters(text), last

    def _part(self, statement: str, person: DataSubject, after: int, limit: int) -> tuple[str, int | None]:
        text, last = self._connections.read(statement, id=wire.clean(person.id), after=after, limit=limit)
        return text, last

    # --- for the whole store

    def _value(self, statement: str, **wanted: object) -> str:
        value: str = self._connections.read(statement, **wanted)[0]
        return value


def _tombstones(work: Work, people: Iterable[DataSubject], at: int) -> str:
    return wire.encode([(wire.digest(work.key.value, person), at, False) for person in people])
