"""The store in a PostgreSQL database, for a fleet. The statements are in `_postgres_sql` and beside it; here is their use.

One object serves several threads and survives a fork: each thread of each process has its own connection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from sojourn.core.events import Event
from sojourn.errors import StoreError
from sojourn.stores import wire
from sojourn.stores.outbox_wire import figures, held
from sojourn.stores.protocol import BackendState, Batch, Claim, Lease, LeaseLost, Mark, Recording, Settled, StoreStats
from sojourn.stores.queries import DeadLetter
from sojourn.stores.rows import SessionRow

from . import log_sql as sql
from . import statements as _postgres_sql
from .address import address
from .connections import Connections, Work
from .opening import exists, lock_number
from .recording import PostgreSQLRecording
from .reporting import PostgreSQLReporting

IN_USE_FOR: Final = 7 * 24 * 3_600_000
"""How long (ms) a backend that no process has named any more still holds back the retention."""

_QUERY_LIMIT: Final = 10_000
_LATEST: Final = 2**63 - 1


class PostgreSQLStore(PostgreSQLReporting):
    """`Database`. Raises `StoreError` for a URL that cannot be read; opened when first used."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._address = address(url)
        self.name = self._address.name
        """Where it is, without user and password."""
        super().__init__(Connections(self._address), lock_number(self._address.schema, "log"))

    def __repr__(self) -> str:
        return f"PostgreSQLStore({self.name!r})"

    # --- its life

    def open(self) -> None:
        self._connections.read("SELECT 1")

    def anew(self) -> PostgreSQLStore:
        """Another store object at the same place, with connections of its own."""
        return PostgreSQLStore(self._url)

    def exists(self) -> bool:
        """Whether it has been made; unlike every other use this makes none."""
        return exists(self._address)

    def close(self) -> None:
        self._connections.close()

    def checkpoint(self) -> bool:
        """True: the server puts its log and its tables in order by itself."""
        return True

    def time(self) -> int | None:
        now: int = self._connections.read(sql.TIME)[0]
        return now

    def store_key(self) -> bytes:
        """The store's own random key."""
        return self._connections.write(lambda work: work.key.value)

    # --- the recorder

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        with self._connections.writing() as work:
            recording = PostgreSQLRecording(work, self._log_lock)
            yield recording
            recording.end()

    def marks(self) -> dict[str, Mark]:
        return wire.decode_marks(self._value(sql.MARKS))

    def forget_journals(self, journals: Collection[str]) -> None:
        if not journals:
            return
        ids = wire.encode(list(journals))
        self._connections.write(lambda work: work.execute(self._lock_log, sql.FORGET_JOURNALS, ids=ids))

    def recorded_until(self, *, now: int, silent_after: int) -> int | None:
        least: int | None = self._connections.read(sql.RECORDED_UNTIL, heard_since=now - silent_after)[0]
        return least

    # --- the event log

    def register(self, backends: Collection[str], *, now: int) -> None:
        if not backends:
            return
        names = wire.encode(list(backends))
        # Nobody writes the log meanwhile: a cursor and the count that goes with it are of one moment.
        self._connections.write(lambda work: work.execute(self._lock_log, sql.REGISTER, names=names, now=now))

    def backend(self, name: str) -> BackendState:
        found = wire.decode_states(self._value(sql.BACKEND, name=name))
        if not found:
            raise _unregistered(name)
        return found[0]

    def head(self) -> int:
        greatest: int = self._connections.read(sql.HEAD)[0]
        return greatest

    def claim(self, name: str, lease: Lease, *, until: int, limit: int, now: int) -> Claim:
        def attempt(work: Work) -> Claim:
            renewed, found, claimed = work.execute(
                sql.RENEW, sql.LOCK_BACKEND, sql.CLAIM, **held(lease), name=name, until=until, limit=limit
            )
            if not renewed.rows:
                raise LeaseLost(lease.name)
            if not found.rows:
                raise _unregistered(name)
            text, last, barred, starts = claimed.row
            work.at_end(sql.BEGIN_READING, name=name, seq=last, now=now)
            events, hidden = wire.decode_events(text)
            return Claim(
                events=tuple(events),
                no_forward=frozenset(hidden),
                barred=frozenset(wire.decode_names(barred)),
                started=wire.decode_starts(starts),
            )

        return self._connections.write(attempt)

    def settle(self, name: str, lease: Lease, settled: Settled, *, now: int) -> None:
        def attempt(work: Work) -> None:
            _, moved = work.execute(sql.LOCK_BACKEND, sql.SETTLE, **held(lease), **figures(settled), name=name, now=now)
            if not moved.rows:
                raise LeaseLost(lease.name)
            if settled.dead:
                work.at_end(sql.BURY, name=name, now=now, letters=wire.encode_dead(settled.dead))
            if settled.withheld:
                work.at_end(sql.WITHHOLD, name=name, keys=wire.encode(list(settled.withheld)))

        self._connections.write(attempt)

    # --- leases

    def acquire(self, name: str, holder: str, *, now: int, until: int, dead: Collection[str] = ()) -> Lease | None:
        wanted = {"name": name, "holder": holder, "now": now, "until": until, "dead": wire.encode(list(dead))}
        return _lease(self._connections.write(lambda work: work.execute(sql.ACQUIRE, **wanted)[0].row))

    def holder(self, name: str) -> Lease | None:
        return _lease(self._connections.read(sql.LEASE, name=name))

    def release(self, holder: str) -> None:
        self._connections.write(lambda work: work.execute(sql.RELEASE, holder=holder))

    # --- figures and retention

    def stats(self) -> StoreStats:
        counters, sessions, open_sessions, events, states = self._connections.read(sql.STATS)
        return StoreStats(
            counters=wire.decode_totals(counters),
            sessions=sessions,
            open_sessions=open_sessions,
            events=events,
            backends=tuple(wire.decode_states(states)),
        )

    def expire(self, *, older_than: int, limit: int, now: int) -> int:
        def attempt(work: Work) -> int:
            sessions = work.execute(sql.EXPIRE_SESSIONS, older_than=older_than, limit=limit)[0].rows
            seqs: list[int] = work.execute(
                self._lock_log,
                _postgres_sql.LOCK_BACKENDS,
                sql.OLD_EVENTS,
                older_than=older_than,
                limit=limit - sessions,
                in_use_since=now - IN_USE_FOR,
            )[-1].row[0]
            letters = work.execute(
                sql.DROP_UNREAD,
                sql.DELETE_EVENTS,
                sql.EXPIRE_JOURNALS,
                sql.EXPIRE_TOMBSTONES,
                sql.EXPIRE_WITHHELD,
                sql.EXPIRE_LETTERS,
                older_than=older_than,
                seqs=seqs,
                limit=limit - sessions - len(seqs),
            )[-1].rows
            counts = {"sessions.expired": sessions, "events.expired": len(seqs), "dead_letters.expired": letters}
            PostgreSQLRecording(work, self._log_lock).save(Batch(counts=counts))
            return sessions + len(seqs) + letters

        return self._connections.write(attempt)

    # --- queries

    def sessions(self, *, limit: int, started_before: int | None = None) -> list[SessionRow]:
        before = _LATEST if started_before is None else started_before
        return wire.decode_rows(self._value(sql.LATEST_SESSIONS, limit=limit, started_before=before))

    def events_of(self, session_key: str, *, limit: int = _QUERY_LIMIT, after: int = 0) -> list[Event]:
        return wire.decode_events(self._value(sql.EVENTS_OF_SESSION, key=session_key, limit=limit, after=after))[0]

    def events_after(self, seq: int, *, limit: int) -> list[Event]:
        return wire.decode_events(self._value(sql.EVENTS_AFTER, seq=seq, limit=limit))[0]

    def dead_letters(self, backend: str, *, limit: int) -> list[DeadLetter]:
        return wire.decode_letters(self._value(sql.DEAD_LETTERS, name=backend, limit=limit))


def _lease(row: tuple[object, ...]) -> Lease | None:
    match row:
        case (str(name), str(holder), int(token), int(until)):
            return Lease(name=name, holder=holder, token=token, until=until)
        case _:
            return None


def _unregistered(name: str) -> StoreError:
    return StoreError(f"the store knows no backend {name!r}; register it before its events are claimed")
