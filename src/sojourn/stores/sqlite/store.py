"""The store in one SQLite file, or in memory for one process. The statements are in `sqlite_sql`; here is their use.

One object serves several threads and survives a fork: each thread of each process has its own connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from sojourn.core.events import Event
from sojourn.errors import StoreError
from sojourn.stores import wire
from sojourn.stores.outbox_wire import figures, held
from sojourn.stores.protocol import BackendState, Batch, Claim, Lease, LeaseLost, Mark, Recording, Settled, StoreStats
from sojourn.stores.queries import DeadLetter
from sojourn.stores.rows import SessionRow

from . import statements as sql
from .connections import Connections
from .opening import exists, open_file, open_memory
from .recording import SQLiteRecording
from .reporting import SQLiteReporting

IN_USE_FOR: Final = 7 * 24 * 3_600_000
"""How long (ms) a backend that no process has named any more still holds back the retention."""

_QUERY_LIMIT: Final = 10_000


class SQLiteStore(SQLiteReporting):
    """`Store`, `Queries`, `PersonQueries` and `Reporting`.

    `path=None`: in memory, shared by the threads of this process, gone with `close()`.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        super().__init__(
            Connections(
                open_memory if path is None else partial(open_file, path),
                name="memory:" if path is None else str(path),
                is_shared=path is None,
            )
        )

    def __repr__(self) -> str:
        return f"SQLiteStore({None if self.path is None else str(self.path)!r})"

    # --- its life

    def open(self) -> None:
        with self._connections.reading():
            pass

    def close(self) -> None:
        self._connections.close()
        self._forget_key()

    def exists(self) -> bool:
        """Whether it has been made; unlike every other use this makes none. False for a database in memory."""
        return self.path is not None and exists(self.path)

    def checkpoint(self) -> bool:
        """Move the WAL into the database and cut it. False: somebody reads it still; nothing waits."""
        with self._connections.reading() as db:
            db.execute("PRAGMA busy_timeout = 0")
            try:
                (is_busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                if (error.sqlite_errorcode & 0xFF) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise
                return False
            finally:
                db.execute("PRAGMA busy_timeout = 5000")
        return not is_busy

    def time(self) -> int | None:
        """None: one file is of one machine, and so is its clock."""
        return None

    def store_key(self) -> bytes:
        """The store's own random key."""
        with self._connections.reading() as db:
            return self._key(db).value

    # --- the recorder

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        with self._connections.writing() as db:
            yield SQLiteRecording(db, self._key(db))

    def marks(self) -> dict[str, Mark]:
        return wire.decode_marks(self._value(sql.MARKS))

    def forget_journals(self, journals: Collection[str]) -> None:
        if not journals:
            return
        with self._connections.writing() as db:
            db.execute(sql.FORGET_JOURNALS, {"ids": wire.encode(list(journals))})

    def recorded_until(self, *, now: int, silent_after: int) -> int | None:
        with self._connections.reading() as db:
            least: int | None = db.execute(sql.RECORDED_UNTIL, {"heard_since": now - silent_after}).fetchone()[0]
        return least

    # --- the event log

    def register(self, backends: Collection[str], *, now: int) -> None:
        if not backends:
            return
        with self._connections.writing() as db:
            db.execute(sql.REGISTER, {"names": wire.encode(list(backends)), "now": now})

    def backend(self, name: str) -> BackendState:
        found = wire.decode_states(self._value(sql.BACKEND, name=name))
        if not found:
            raise _unregistered(name)
        return found[0]

    def head(self) -> int:
        with self._connections.reading() as db:
            greatest: int = db.execute(sql.HEAD).fetchone()[0]
        return greatest

    def claim(self, name: str, lease: Lease, *, until: int, limit: int, now: int) -> Claim:
        with self._connections.writing() as db:
            if not db.execute(sql.RENEW, {**held(lease), "until": until}).rowcount:
                raise LeaseLost(lease.name)
            text, last, barred, starts = db.execute(sql.CLAIM, {"name": name, "limit": limit}).fetchone()
            if not db.execute(sql.BEGIN_READING, {"name": name, "seq": last or 0, "now": now}).rowcount:
                raise _unregistered(name)
        events, hidden = wire.decode_events(text)
        return Claim(
            events=tuple(events),
            no_forward=frozenset(hidden),
            barred=frozenset(wire.decode_names(barred)),
            started=wire.decode_starts(starts),
        )

    def settle(self, name: str, lease: Lease, settled: Settled, *, now: int) -> None:
        with self._connections.writing() as db:
            told = {**held(lease), **figures(settled), "name": name, "now": now}
            if not db.execute(sql.SETTLE, told).rowcount:
                raise LeaseLost(lease.name)
            if settled.dead:
                db.execute(sql.BURY, {"name": name, "now": now, "letters": wire.encode_dead(settled.dead)})
            if settled.withheld:
                db.execute(sql.WITHHOLD, {"name": name, "keys": wire.encode(list(settled.withheld))})

    # --- leases

    def acquire(self, name: str, holder: str, *, now: int, until: int, dead: Collection[str] = ()) -> Lease | None:
        wanted = {"name": name, "holder": holder, "now": now, "until": until, "dead": wire.encode(list(dead))}
        with self._connections.writing() as db:
            if not db.execute(sql.ACQUIRE, wanted).rowcount:
                return None
            return _lease(db, name)

    def holder(self, name: str) -> Lease | None:
        with self._connections.reading() as db:
            return _lease(db, name)

    def release(self, holder: str) -> None:
        with self._connections.writing() as db:
            db.execute(sql.RELEASE, {"holder": holder})

    # --- figures and retention

    def stats(self) -> StoreStats:
        with self._connections.reading() as db:
            counters, sessions, open_sessions, events, states = db.execute(sql.STATS).fetchone()
        return StoreStats(
            counters=wire.decode_totals(counters),
            sessions=sessions,
            open_sessions=open_sessions,
            events=events,
            backends=tuple(wire.decode_states(states)),
        )

    def expire(self, *, older_than: int, limit: int, now: int) -> int:
        with self._connections.writing() as db:
            bounds = {"older_than": older_than, "limit": limit}
            sessions = db.execute(sql.EXPIRE_SESSIONS, bounds).rowcount
            bounds["limit"] = rest = limit - sessions
            (seqs,) = db.execute(sql.OLD_EVENTS, {**bounds, "in_use_since": now - IN_USE_FOR}).fetchone()
            db.execute(sql.DROP_UNREAD, {"seqs": seqs})
            events = db.execute(sql.EXPIRE_EVENTS, {"seqs": seqs}).rowcount
            bounds["limit"] = rest - events
            letters = db.execute(sql.EXPIRE_LETTERS, bounds).rowcount
            db.execute(sql.EXPIRE_JOURNALS, {"older_than": older_than})
            db.execute(sql.EXPIRE_TOMBSTONES, {"older_than": older_than})
            db.execute(sql.EXPIRE_WITHHELD)
            counts = {"sessions.expired": sessions, "events.expired": events, "dead_letters.expired": letters}
            SQLiteRecording(db, self._key(db)).save(Batch(counts=counts))
        return sessions + events + letters

    # --- queries

    def sessions(self, *, limit: int, started_before: int | None = None) -> list[SessionRow]:
        before = 2**63 - 1 if started_before is None else started_before
        return wire.decode_rows(self._value(sql.LATEST_SESSIONS, limit=limit, started_before=before))

    def events_of(self, session_key: str, *, limit: int = _QUERY_LIMIT, after: int = 0) -> list[Event]:
        return wire.decode_events(self._value(sql.EVENTS_OF_SESSION, key=session_key, limit=limit, after=after))[0]

    def events_after(self, seq: int, *, limit: int) -> list[Event]:
        return wire.decode_events(self._value(sql.EVENTS_AFTER, seq=seq, limit=limit))[0]

    def dead_letters(self, backend: str, *, limit: int) -> list[DeadLetter]:
        return wire.decode_letters(self._value(sql.DEAD_LETTERS, name=backend, limit=limit))


def _lease(db: sqlite3.Connection, name: str) -> Lease | None:
    found = db.execute(sql.LEASE, {"name": name}).fetchone()
    return None if found is None else Lease(name=found[0], holder=found[1], token=found[2], until=found[3])


def _unregistered(name: str) -> StoreError:
    return StoreError(f"the store knows no backend {name!r}; register it before its events are claimed")
