"""The recorder's transaction in SQLite: a few statements for a batch of any size."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter

from sojourn.errors import StoreError
from sojourn.stores import wire
from sojourn.stores.counting import LOCAL, RECORDED
from sojourn.stores.model import VISITOR, Batch, DataSubject, InboxRow, Loaded, PositionMoved, Tombstone
from sojourn.stores.rows import SessionRow
from sojourn.stores.schema import LIVELY
from sojourn.stores.tombstones import StoreKey

from . import statements as sql
from .bound import chunks

_NEVER = -(2**63)
"""Earlier than any time."""

_seldom_fields = attrgetter(*(n for n in SessionRow.__struct_fields__ if n not in LIVELY and n != "user_traits"))

_lively_fields = attrgetter("key", *LIVELY)


class SQLiteRecording:
    """`Recording` over an open transaction."""

    def __init__(self, connection: sqlite3.Connection, store_key: StoreKey) -> None:
        self._connection = connection
        self._store_key = store_key
        self._stored: dict[str, object] = {}
        self._is_over = False

    def load(
        self,
        keys: Collection[str],
        *,
        successors_of: Collection[str] = (),
        people: Collection[DataSubject] = (),
        reads_aliases: bool = False,
    ) -> Loaded:
        if successors_of:
            values = {"keys": wire.encode(list(keys)), "after": wire.encode(list(successors_of))}
            return self._loaded(sql.LOAD_WITH_SUCCESSORS, values, people)
        first, *others = list(chunks(list(keys))) or [()]
        loaded = self._loaded(sql.LOAD, {"keys": wire.encode(first)}, people)
        rows, unread = dict(loaded.rows), set(loaded.unread)
        for part in others:
            more = self._loaded(sql.LOAD, {"keys": wire.encode(part)})
            rows |= more.rows
            unread |= more.unread
        aliases = self._aliases(keys) if reads_aliases else {}
        return Loaded(rows=rows, unread=frozenset(unread), tombstones=loaded.tombstones, aliases=aliases)

    def _aliases(self, keys: Collection[str]) -> dict[str, str]:
        row = self._connection.execute(sql.ALIASES, {"keys": wire.encode(list(keys))}).fetchone()
        return wire.decode_aliases(row[0])

    def in_progress(self, visitors: Collection[str]) -> dict[str, str]:
        self._check()
        row = self._connection.execute(sql.IN_PROGRESS, {"visitors": wire.encode(list(visitors))}).fetchone()
        return wire.decode_aliases(row[0])

    def agent_pages(self, hours: Collection[int]) -> dict[int, set[tuple[str, str]]]:
        self._check()
        row = self._connection.execute(sql.AGENT_PAGES, {"hours": wire.encode(list(hours))}).fetchone()
        return wire.decode_agent_pages(row[0])

    def silent(
        self, *, seen_before: int, started_before: int | None, limit: int, manual_seen_before: int | None = None
    ) -> Loaded:
        loaded = self._loaded(
            sql.SILENT,
            {
                "seen_before": seen_before,
                "manual_seen_before": seen_before if manual_seen_before is None else manual_seen_before,
                "started_before": _NEVER if started_before is None else started_before,
                "manual_too": manual_seen_before is None,
                "limit": limit,
            },
        )
        ordered = sorted(loaded.rows.values(), key=lambda row: (row.last_seen_at, row.key))
        return Loaded(rows={row.key: row for row in ordered}, unread=loaded.unread)

    def inbox(self, *, after: str, limit: int) -> list[InboxRow]:
        self._check()
        return wire.decode_inbox(self._connection.execute(sql.INBOX, {"after": after, "limit": limit}).fetchone()[0])

    def save(self, batch: Batch) -> None:
        self._check()
        counts = dict(batch.counts)
        counter = LOCAL if batch.is_local else RECORDED
        counts[counter] = counts.get(counter, 0) + self._log(batch)
        touched, others = self._parted(batch.rows)
        for part in chunks(touched):
            sql.TOUCH_SESSIONS.execute(self._connection, [_lively(row) for row in part])
        for part in chunks(others):
            self._connection.execute(sql.UPSERT_SESSIONS, {"sessions": wire.encode(part)})
        written = {
            "counts": wire.encode(counts),
            "marks": wire.encode_marks(batch.marks),
            "tombstones": wire.encode(
                [
                    (wire.digest(self._store_key.value, DataSubject(VISITOR, visitor)), at, 1)
                    for visitor, at in batch.opted_out.items()
                ]
            ),
            "opted_out": wire.encode(list(batch.opted_out)),
        }
        if batch.aliases:
            self._connection.execute(sql.ADD_ALIASES, {"aliases": wire.encode(list(batch.aliases))})
        for agents in chunks(batch.agents):
            self._connection.execute(sql.ADD_AGENTS, {"agents": wire.encode(agents)})
        if batch.removed:
            self._connection.execute(sql.REMOVE_SESSIONS, {"removed": wire.encode(list(batch.removed))})
        if batch.imported:
            self._connection.execute(sql.ADD_IMPORTED, {"imported": wire.encode(list(batch.imported))})
        if batch.taken:
            self._connection.execute(sql.DELETE_TAKEN, {"taken": wire.encode(list(batch.taken))})
        try:
            self._connection.execute(sql.SAVE, written)
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_TRIGGER:
                raise
            raise PositionMoved(", ".join(sorted(mark.journal for mark, _ in batch.marks))) from None
        if batch.waiting:  # last: another recorder that was quicker has the same rows
            self._connection.executemany(sql.ADD_WAITING, [tuple(map(_bound, row)) for row in batch.waiting])
        self._connection.execute("COMMIT")
        self._is_over = True

    def _check(self) -> None:
        if self._is_over:
            raise StoreError("this transaction has ended; begin another")

    def _log(self, batch: Batch) -> int:
        """Withdraw and insert events, and return by how many the log has grown."""
        grown = 0
        if batch.withdrawn:  # first: an end that is withdrawn and emitted again in one batch has the same id
            grown -= self._connection.execute(sql.WITHDRAW, {"withdrawn": wire.encode(list(batch.withdrawn))}).rowcount
        if batch.is_local:
            for part in chunks(batch.events):
                grown += self._connection.execute(sql.INSERT_LOCAL, {"events": wire.encode_local(part)}).rowcount
            return grown
        no_forward = {row.key: row.no_forward for row in batch.rows}
        for part in chunks(batch.events):
            values = [
                (
                    wire.clean(e.id),
                    wire.clean(e.name),
                    e.time,
                    wire.clean(e.session_key),
                    e.session_started_at,
                    e.is_manual,
                    wire.encode(e.attributes),
                    no_forward.get(e.session_key),
                )
                for e in part
            ]
            grown += sql.INSERT_EVENTS.execute(self._connection, values)
        return grown

    def _parted(self, rows: Sequence[SessionRow]) -> tuple[list[SessionRow], list[SessionRow]]:
        """Split into rows that only had activity since this transaction loaded them, and the others."""
        touched: list[SessionRow] = []
        others: list[SessionRow] = []
        for row in rows:
            (touched if self._stored.get(row.key) == _seldom(row) else others).append(row)
        return touched, others

    def _loaded(self, statement: str, values: Mapping[str, object], people: Collection[DataSubject] = ()) -> Loaded:
        self._check()
        key = self._store_key
        people_by_hash = self._by_hash(people) if key.has_tombstones else {}
        parameters = {**values, "people": wire.encode(list(people_by_hash))}
        rows, unread, tombstones, has_tombstones = self._connection.execute(statement, parameters).fetchone()
        if has_tombstones and not key.has_tombstones:  # the first one ever costs one more statement
            key.has_tombstones = True
            people_by_hash = self._by_hash(people)
            (tombstones,) = self._connection.execute(
                sql.TOMBSTONES, {"people": wire.encode(list(people_by_hash))}
            ).fetchone()
        rows_by_key = {row.key: row for row in wire.decode_rows(rows)}
        self._stored.update((key, _seldom(row)) for key, row in rows_by_key.items())
        return Loaded(
            rows=rows_by_key,
            unread=frozenset(wire.decode_names(unread)),
            tombstones={
                people_by_hash[name]: Tombstone(at=at, is_for_good=is_for_good)
                for name, at, is_for_good in wire.decode_tombstones(tombstones)
            },
        )

    def _by_hash(self, people: Collection[DataSubject]) -> dict[str, DataSubject]:
        return {wire.digest(self._store_key.value, person): person for person in people}


def _lively(row: SessionRow) -> list[object]:
    return [_bound(value) for value in _lively_fields(row)]


def _bound(value: object) -> object:
    """Return a field as its column holds it."""
    if isinstance(value, str):
        return wire.clean(value)
    return wire.encode(value) if isinstance(value, list) else value


def _seldom(row: SessionRow) -> object:
    traits = row.user_traits
    copied = None if traits is None else dict(traits)  # the row may be changed in place
    return _seldom_fields(row), copied
