"""The recorder's transaction on PostgreSQL: a round trip to load, one to save and commit.

Several hosts fold at once. A transaction that loads a session has it to itself until its end, even a session that does
not exist yet; and one transaction at a time writes the log. Under the log's lock, everything that was read without a lock
is checked again, by the database itself: tombstones, and which ends a backend has begun to read. If it has changed, the batch
is repeated. So the lock is never held while the network or this process is waited for.

See P13 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

import psycopg

from sojourn.stores import wire
from sojourn.stores.database import Result
from sojourn.stores.model import VISITOR, Batch, DataSubject, InboxRow, Loaded, PositionMoved, Tombstone, TryAgain
from sojourn.stores.rows import SessionRow

from . import statements as sql
from .connections import Work

_NEVER: Final = -(2**62)
"""Before every time."""


class PostgreSQLRecording:
    """`Recording` over an open transaction."""

    def __init__(self, work: Work, log_lock: int) -> None:
        self._work = work
        self._log_lock = sql.lock_log(log_lock)
        self._unfilled: set[str] = set()
        self._unread: set[str] = set()
        self._named: dict[str, DataSubject] = {}
        self._tombstones_read: dict[str, Tombstone] = {}
        self._has_unnamed = False
        self._has_saved = False

    def load(
        self,
        keys: Collection[str],
        *,
        successors_of: Collection[str] = (),
        people: Collection[DataSubject] = (),
        reads_aliases: bool = False,
    ) -> Loaded:
        statements: list[str] = []
        if successors_of:
            statements = [sql.LOCK_WITH_SUCCESSORS, sql.LOAD_WITH_SUCCESSORS]
        elif keys:
            statements = [sql.LOCK, sql.LOAD]
        if keys:
            statements.insert(0, sql.HOLD_PLACES)
        named = self._names_of(people) if self._work.key.has_tombstones else {}
        if people:
            statements.append(sql.TOMBSTONES)
        if reads_aliases:
            statements.append(sql.ALIASES)
        if not statements:
            return Loaded(rows={}, unread=frozenset())
        results = self._work.execute(
            *statements,
            keys=wire.encode(list(keys)),
            after=wire.encode(list(successors_of)),
            people=wire.encode(list(named)),
        )
        aliases = wire.decode_aliases(results.pop().row[0]) if reads_aliases else {}
        tombstones = self._tombstones(results.pop(), people, named) if people else {}
        if not results:
            return Loaded(rows={}, unread=frozenset(), tombstones=tombstones)
        loaded = replace(self._loaded(results.pop(), tombstones), aliases=aliases)
        locked = wire.decode_names(results.pop().row[0])
        if not {*map(wire.clean, keys), *loaded.rows} <= set(locked):
            raise TryAgain("a session was added or deleted while it was being locked")
        self._unfilled.update(key for key in locked if key not in loaded.rows)
        return loaded

    def in_progress(self, visitors: Collection[str]) -> dict[str, str]:
        (result,) = self._work.execute(sql.IN_PROGRESS, visitors=wire.encode(list(visitors)))
        return wire.decode_aliases(result.row[0])

    def agent_pages(self, hours: Collection[int]) -> dict[int, set[tuple[str, str]]]:
        (result,) = self._work.execute(sql.AGENT_PAGES, hours=wire.encode(list(hours)))
        return wire.decode_agent_pages(result.row[0])

    def silent(
        self, *, seen_before: int, started_before: int | None, limit: int, manual_seen_before: int | None = None
    ) -> Loaded:
        (locked,) = self._work.execute(
            sql.LOCK_SILENT,
            seen_before=seen_before,
            manual_seen_before=seen_before if manual_seen_before is None else manual_seen_before,
            started_before=_NEVER if started_before is None else started_before,
            manual_too=manual_seen_before is None,
            limit=limit,
        )
        loaded = self._loaded(self._work.execute(sql.LOAD, keys=locked.row[0])[0], {})
        ordered = sorted(loaded.rows.values(), key=lambda row: (row.last_seen_at, row.key))
        return Loaded(rows={row.key: row for row in ordered}, unread=loaded.unread)

    def inbox(self, *, after: str, limit: int) -> list[InboxRow]:
        return wire.decode_inbox(self._work.execute(sql.INBOX, after=after, limit=limit)[0].row[0])

    def save(self, batch: Batch) -> None:
        rows = {row.key: row for row in sorted(batch.rows, key=lambda row: row.key)}
        unfilled = sorted(self._unfilled - rows.keys())
        unread = self._unread.intersection(batch.withdrawn)
        statements = {
            sql.LOCK_OPTED_OUT: batch.opted_out,
            sql.UPSERT_SESSIONS: rows,
            sql.REMOVE_SESSIONS: batch.removed,
            sql.ADD_ALIASES: batch.aliases,
            sql.DROP_PLACES: unfilled,
            self._log_lock: True,
            # From here on no other transaction adds a tombstone.
            sql.STILL_NO_TOMBSTONE: self._has_unnamed,
            sql.SAME_TOMBSTONES: self._named,
            sql.LOCK_BACKENDS: batch.withdrawn,
            sql.STILL_UNREAD: unread,
            # Before the events: an end that is withdrawn and made again in one batch has the same id.
            sql.WITHDRAW_LOCAL if batch.is_local else sql.WITHDRAW: batch.withdrawn,
            sql.INSERT_LOCAL if batch.is_local else sql.INSERT_EVENTS: batch.events,
            sql.ADD_IMPORTED: batch.imported,
            sql.ADD_COUNTS: batch.counts,
            sql.ADD_AGENTS: batch.agents,
            sql.SET_TOMBSTONES: batch.opted_out,
            sql.BAR: batch.opted_out,
            sql.MOVE_MARKS: batch.marks,
            sql.DELETE_TAKEN: batch.taken,
            sql.ADD_WAITING: batch.waiting,
        }
        try:
            self._work.commit(
                *(statement for statement, something in statements.items() if something),
                sessions=wire.encode_rows_by_name(rows.values()),
                unfilled=wire.encode(unfilled),
                people=wire.encode(list(self._named)),
                seen=wire.encode([(name, seen.at, seen.is_for_good) for name, seen in self._tombstones_read.items()]),
                unread=wire.encode(sorted(unread)),
                withdrawn=wire.encode(list(batch.withdrawn)),
                events=wire.encode_local(batch.events) if batch.is_local else wire.encode_events_by_name(batch.events),
                imported=wire.encode(list(batch.imported)),
                removed=wire.encode(list(batch.removed)),
                counts=wire.encode(dict(batch.counts)),
                aliases=wire.encode(list(batch.aliases)),
                agents=wire.encode(list(batch.agents)),
                opted_out=wire.encode(list(batch.opted_out)),
                tombstones=wire.encode(
                    [
                        (wire.digest(self._work.key.value, DataSubject(VISITOR, visitor)), at, True)
                        for visitor, at in batch.opted_out.items()
                    ]
                ),
                marks=wire.encode_marks(batch.marks),
                taken=wire.encode(list(batch.taken)),
                waiting=wire.encode_waiting(batch.waiting),
            )
        except psycopg.errors.InvalidTextRepresentation as error:
            raise self._refusal(str(error), batch) or error from None
        self._has_saved = True

    def _refusal(self, reason: str, batch: Batch) -> Exception | None:
        if sql.POSITION_MOVED in reason:
            return PositionMoved(", ".join(sorted(mark.journal for mark, _ in batch.marks)))
        if sql.FIRST_TOMBSTONE_ADDED in reason:
            self._work.key.has_tombstones = True
        for why in (sql.FIRST_TOMBSTONE_ADDED, sql.TOMBSTONE_ADDED, sql.READ_MEANWHILE):
            if why in reason:
                return TryAgain(why.replace("_", " "))
        return None

    def end(self) -> None:
        """Roll back if nothing was saved."""
        if not self._has_saved:
            self._work.roll_back()

    def _tombstones(
        self, result: Result, people: Collection[DataSubject], named: dict[str, DataSubject]
    ) -> dict[DataSubject, Tombstone]:
        """Return the tombstones of these people. No id is hashed until the store has a first tombstone."""
        key = self._work.key
        if result.row[1] and not key.has_tombstones:
            key.has_tombstones = True
            named = self._names_of(people)
            (result,) = self._work.execute(sql.TOMBSTONES, people=wire.encode(list(named)))
        self._has_unnamed = self._has_unnamed or not key.has_tombstones
        found = _tombstones(result)
        self._named |= named
        self._tombstones_read |= found
        return {named[name]: tombstone for name, tombstone in found.items()}

    def _loaded(self, result: Result, tombstones: Mapping[DataSubject, Tombstone]) -> Loaded:
        rows, unread = result.row
        found: dict[str, SessionRow] = {row.key: row for row in wire.decode_rows(rows)}
        ids = frozenset(wire.decode_names(unread))
        self._unread |= ids
        return Loaded(rows=found, unread=ids, tombstones=tombstones)

    def _names_of(self, people: Collection[DataSubject]) -> dict[str, DataSubject]:
        return {wire.digest(self._work.key.value, person): person for person in people}


def _tombstones(result: Result) -> dict[str, Tombstone]:
    return {
        name: Tombstone(at=at, is_for_good=is_for_good)
        for name, at, is_for_good in wire.decode_tombstones(result.row[0])
    }
