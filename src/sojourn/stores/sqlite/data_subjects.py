"""One person in a SQLite store: what there is of them, the tombstone, and how they go. The statements are in `_people_sql`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import msgspec

from sojourn.core.events import Event
from sojourn.stores import wire
from sojourn.stores.protocol import Batch
from sojourn.stores.queries import DeadLetter
from sojourn.stores.rows import SessionRow
from sojourn.stores.tombstones import SESSION, USER, DataSubject, Place, Slice, StoreKey

from . import data_subjects_sql as sql
from . import statements as sqlite_sql
from .connections import Connections
from .recording import SQLiteRecording

_SESSIONS: Final = 0
_LOG: Final = 1
_LETTERS: Final = 2

_keys = msgspec.json.Decoder(list[tuple[str, bool]], strict=False)


class SQLitePeople:
    """`SuppressionList` and `PersonQueries` over a store's connections."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._known_key: tuple[int, StoreKey] | None = None

    # --- who leaves

    def add_tombstone(self, person: DataSubject, *, at: int) -> int:
        with self._connections.writing() as db:
            self._set_tombstones(db, [person], at)
            db.execute(sql.BAR[person.kind], {"id": wire.clean(person.id)})
            head: int = db.execute(sqlite_sql.HEAD).fetchone()[0]
        return head

    def erase(self, person: DataSubject, *, at: int, upto: int, after: Place, limit: int) -> Slice:
        if after.part == _SESSIONS:
            return self._erase_sessions(person, at, limit)
        if after.part == _LOG:
            return self._erase_from_log(person, upto, after, limit)
        return self._erase_letters(person, after, limit)

    def _erase_sessions(self, person: DataSubject, at: int, limit: int) -> Slice:
        """Events first, and a session when none of its own is left."""
        wanted = {"id": wire.clean(person.id), "limit": limit}
        with self._erasing() as db:
            (seqs,) = db.execute(sql.EVENTS_IN_SESSIONS[person.kind], wanted).fetchone()
            erased = self._erase_events(db, seqs)
            if erased.events:
                return replace(erased, after=Place(_SESSIONS))
            found = _keys.decode(db.execute(sql.EMPTY_SESSIONS[person.kind], wanted).fetchone()[0])
            keys = wire.encode([key for key, _ in found])
            db.execute(sql.ERASE_SESSIONS, {"keys": keys})
            db.execute(sql.ERASE_WITHHELD, {"keys": keys})
            if person.kind == USER:
                self._set_tombstones(db, [DataSubject(SESSION, key) for key, _ in found], at)
            is_open = sum(is_open for _, is_open in found)
            self._count(db, {"sessions.erased": len(found), "sessions.erased_open": is_open})
        return Slice(sessions=len(found), after=Place(_SESSIONS if found else _LOG))

    def _erase_from_log(self, person: DataSubject, upto: int, after: Place, limit: int) -> Slice:
        wanted = {"id": wire.clean(person.id), "after": after.after, "upto": upto, "limit": limit}
        with self._connections.reading() as db:
            seqs, last = db.execute(sql.SEQS_NAMING[person.kind], wanted).fetchone()
        following = Place(_LETTERS) if last is None else Place(_LOG, last)
        if seqs == "[]":
            return Slice(after=following)
        with self._erasing() as db:
            return replace(self._erase_events(db, seqs), after=following)

    def _erase_letters(self, person: DataSubject, after: Place, limit: int) -> Slice:
        wanted = {"id": wire.clean(person.id), "after": after.after, "limit": limit}
        with self._connections.reading() as db:
            numbers, last = db.execute(sql.NUMBERS_NAMING[person.kind], wanted).fetchone()
        following = None if last is None else Place(_LETTERS, last)
        if numbers == "[]":
            return Slice(after=following)
        with self._erasing() as db:
            letters = db.execute(sql.ERASE_LETTERS, {"numbers": numbers}).rowcount
            self._count(db, {"dead_letters.erased": letters})
        return Slice(dead_letters=letters, after=following)

    @contextmanager
    def _erasing(self) -> Iterator[sqlite3.Connection]:
        """A transaction whose deleted rows are overwritten in the file: not every SQLite does so by itself."""
        with self._connections.writing() as db:
            db.execute("PRAGMA secure_delete = ON")
            yield db

    def _erase_events(self, db: sqlite3.Connection, seqs: str) -> Slice:
        forwarded = wire.decode_totals(db.execute(sql.FORWARDED, {"seqs": seqs}).fetchone()[0])
        db.execute(sql.SKIP_UNREAD, {"seqs": seqs})
        letters = db.execute(sql.ERASE_LETTERS_OF_EVENTS, {"seqs": seqs}).rowcount
        events = db.execute(sql.ERASE_EVENTS, {"seqs": seqs}).rowcount
        self._count(db, {"events.erased": events, "dead_letters.erased": letters})
        return Slice(events=events, dead_letters=letters, forwarded=forwarded)

    def _set_tombstones(self, db: sqlite3.Connection, people: Iterable[DataSubject], at: int) -> None:
        key = self._key(db).value
        db.execute(
            sql.SET_TOMBSTONE, {"tombstones": wire.encode([(wire.digest(key, person), at, 0) for person in people])}
        )

    def _count(self, db: sqlite3.Connection, counts: Mapping[str, int]) -> None:
        if any(counts.values()):
            SQLiteRecording(db, self._key(db)).save(Batch(counts=counts))

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
        with self._connections.reading() as db:
            text, last = db.execute(statement, {"id": wire.clean(person.id), "after": after, "limit": limit}).fetchone()
        return text, last

    # --- for the whole store

    def _value(self, statement: str, **wanted: object) -> str:
        with self._connections.reading() as db:
            value: str = db.execute(statement, wanted).fetchone()[0]
        return value

    def _key(self, db: sqlite3.Connection) -> StoreKey:
        """The store's own key, read once by each process: it never changes."""
        known, pid = self._known_key, os.getpid()
        if known is None or known[0] != pid:
            found = db.execute("SELECT value FROM sojourn_meta WHERE name = 'store_key'").fetchone()[0]
            self._known_key = known = (pid, StoreKey(found))
        return known[1]

    def _forget_key(self) -> None:
        self._known_key = None
