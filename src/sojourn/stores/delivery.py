"""What dispatchers take from the log and from requeued dead letters, and what became of it, in any database.

See P21 in docs/internals.md.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sojourn.core.events import APART, CONTEXT, SESSION_END, SESSION_START, Event, Position, Scalar
from sojourn.core.ids import start_id
from sojourn.core.in_flight import InFlight
from sojourn.errors import StoreError

from . import counting, wire
from .database import Database, Transaction
from .dialect import Dialect
from .leases import HOLDS, RENEW
from .model import BackendState, Claim, Lease, LeaseLost, Resettled, Settled
from .outbox_wire import decode_in_flight, decode_whole_events, encode_in_flight, figures, held, refigures, some_ids

_NO_END: Final = (1 << 63) - 1
_NO_LIMIT: Final = 1 << 31
_CURSOR: Final = "(SELECT cursor FROM sojourn_backends WHERE name = :name)"


class SQLDelivery:
    """The port `DeliveryQueue`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = _Statements(database.dialect)

    def state(self, name: str) -> BackendState:
        states = wire.decode_states(self._database.read(self._sql.state, name=name)[0])
        if not states:
            raise _unregistered(name)
        return states[0]

    def claim(
        self,
        name: str,
        lease: Lease,
        *,
        until: int,
        limit: int,
        now: int,
        with_contexts: bool = False,
        with_batches: bool = False,
        with_previous: bool = False,
    ) -> Claim:
        sql = self._sql

        def attempt(work: Transaction) -> Claim:
            values = {**held(lease), "name": name, "until": until}
            sent: str | None = None
            if with_batches:
                renewed, _, noted = work.execute(sql.renew, sql.lock_backend, sql.sent, **values)
                sent, upto = noted.row
                within = {"limit": limit, "upto": _NO_END} if sent is None else {"limit": _NO_LIMIT, "upto": upto}
                (claimed,) = work.execute(sql.claim, name=name, **within)
            else:
                renewed, _, claimed = work.execute(
                    sql.renew, sql.lock_backend, sql.claim, **values, limit=limit, upto=_NO_END
                )
            if not renewed.rows:
                raise LeaseLost(lease.name)
            is_registered, text, last, barred, starts, withheld = claimed.row
            if not is_registered:
                raise _unregistered(name)
            work.at_end(sql.begin_reading, name=name, seq=last, now=now)
            events, hidden = wire.decode_events(text)
            barred_ids = frozenset(wire.decode_names(barred))
            return Claim(
                events=tuple(events),
                no_forward=frozenset(hidden),
                barred=barred_ids,
                started=wire.decode_starts(starts),
                withheld=frozenset(wire.decode_names(withheld)),
                in_flight=InFlight() if sent is None else decode_in_flight(sent),
                upto=None if sent is None else Position(upto),
                contexts=self._contexts(work, events, barred_ids) if with_contexts else {},
                previous=self._previous(work, name, events) if with_previous else {},
            )

        return self._database.write(attempt)

    def note_batches(self, name: str, lease: Lease, in_flight: InFlight, *, upto: Position) -> None:
        values = {**held(lease), "name": name, "sent": encode_in_flight(in_flight), "upto": upto.stored}

        def attempt(work: Transaction) -> None:
            _, noted = work.execute(self._sql.lock_backend, self._sql.note, **values)
            if not noted.rows:
                raise LeaseLost(lease.name)

        self._database.write(attempt)

    def settle(self, name: str, lease: Lease, settled: Settled, *, now: int) -> None:
        sql = self._sql

        def attempt(work: Transaction) -> None:
            values = {**held(lease), **figures(settled), "name": name, "now": now}
            _, moved = work.execute(sql.lock_backend, sql.settle, **values)
            if not moved.rows:
                raise LeaseLost(lease.name)
            if settled.dead:
                work.at_end(sql.bury, name=name, now=now, letters=wire.encode_dead(settled.dead))
            if settled.withheld:
                work.at_end(sql.withhold, name=name, keys=wire.encode(list(settled.withheld)))

        self._database.write(attempt)

    def has_requeued(self, name: str) -> bool:
        return bool(self._database.read(self._sql.has_requeued, name=name)[0])

    def claim_requeued(
        self, name: str, lease: Lease, *, until: int, limit: int, now: int, with_contexts: bool = False
    ) -> Claim:
        sql = self._sql

        def attempt(work: Transaction) -> Claim:
            renewed, _, claimed = work.execute(
                sql.renew, sql.lock_backend, sql.claim_requeued, **held(lease), name=name, until=until, limit=limit
            )
            if not renewed.rows:
                raise LeaseLost(lease.name)
            work.at_end(sql.begin_reading, name=name, seq=0, now=now)
            text, barred, hidden = claimed.row
            events, barred_ids = decode_whole_events(text), frozenset(wire.decode_names(barred))
            return Claim(
                events=events,
                no_forward=frozenset(wire.decode_names(hidden)),
                barred=barred_ids,
                contexts=self._contexts(work, events, barred_ids) if with_contexts else {},
            )

        return self._database.write(attempt)

    def settle_requeued(self, name: str, lease: Lease, settled: Resettled, *, now: int) -> None:
        sql = self._sql
        letters = wire.encode([(event.id, reason, status) for event, reason, status in settled.dead])

        def attempt(work: Transaction) -> None:
            _, is_held = work.execute(sql.lock_backend, sql.is_held, **held(lease), name=name)
            if not is_held.row[0]:
                raise LeaseLost(lease.name)
            (delivered,) = work.execute(sql.let_go, name=name, ids=some_ids(settled.delivered))
            (skipped,) = work.execute(sql.let_go, name=name, ids=some_ids(settled.skipped))
            (expired,) = work.execute(sql.let_go, name=name, ids=some_ids(settled.expired))
            work.execute(
                sql.reject_again if settled.dead else "",
                sql.resettle,
                name=name,
                now=now,
                letters=letters,
                **refigures(settled, delivered=delivered.rows, skipped=skipped.rows, expired=expired.rows),
            )

        self._database.write(attempt)

    def _contexts(
        self, work: Transaction, events: Sequence[Event], barred: Collection[str]
    ) -> dict[str, dict[str, Scalar]]:
        """Return the contexts of these events' sessions: one read, of the starts by their ids."""
        starts = {start_id(event.session_key): None for event in events if event.id not in barred}
        if not starts:
            return {}
        (contexts,) = work.execute(self._sql.contexts, ids=wire.encode(list(starts)))
        return wire.decode_contexts(contexts.row[0])

    def _previous(self, work: Transaction, name: str, events: Sequence[Event]) -> dict[str, int]:
        """Return when these events' sessions were active last before them: one read, by the keys."""
        keys = list(dict.fromkeys(event.session_key for event in events))
        if not keys:
            return {}
        (times,) = work.execute(self._sql.previous, name=name, keys=wire.encode(keys))
        return wire.decode_times(times.row[0])


class _Statements:
    """In one database's dialect."""

    def __init__(self, d: Dialect) -> None:
        self.state: Final = d.sql(f"""
SELECT {d.rows.format(counting.state(d, counting.quick_backlog(d)))} FROM sojourn_backends WHERE name = :name
""")
        self.renew: Final = d.sql(RENEW)
        self.lock_backend: Final = counting.lock_backend(d)

        # A start was sent if it is behind the cursor and was not withheld: an event is barred from the claim that passes it.
        started = d.json.format(f"""(
SELECT {d.event} FROM sojourn_events AS first
WHERE first.session_key = next.session_key AND first.name = '{SESSION_START}' AND first.seq <= {_CURSOR}
  AND first.seq > (SELECT first_seq FROM sojourn_backends WHERE name = :name)
  AND NOT EXISTS (SELECT 1 FROM sojourn_withheld WHERE backend = :name AND session_key = next.session_key)
LIMIT 1)""")
        not_sent = (
            "EXISTS (SELECT 1 FROM sojourn_withheld AS w WHERE w.backend = :name AND w.session_key = next.session_key)"
        )
        # Sessions are read only in a store that has tombstones: CASE, because SQLite evaluates both sides of an AND. By key,
        # event by event: for an EXISTS, PostgreSQL would read the whole table of sessions for each claim.
        self.claim: Final = d.sql(f"""
SELECT EXISTS (SELECT 1 FROM sojourn_backends WHERE name = :name),
       {d.rows.format(d.event)}, COALESCE(MAX(seq), 0), {d.rows_where.format("id", "is_suppressed")},
       {d.rows_where.format(started, f"is_suppressed AND name = '{SESSION_END}'")},
       {d.rows_where.format("session_key", f"name = '{SESSION_END}' AND {not_sent}")}
FROM (
    SELECT *, CASE WHEN EXISTS (SELECT 1 FROM sojourn_tombstones) THEN COALESCE((
        SELECT s.is_suppressed FROM sojourn_sessions AS s WHERE s.key = session_key), false) ELSE false END AS is_suppressed
    FROM sojourn_events WHERE seq > {_CURSOR} AND seq <= :upto ORDER BY seq LIMIT :limit) AS next
""")
        # Not if an operator has skipped them all since.
        self.sent: Final = d.sql("""
SELECT MAX(sent), COALESCE(MAX(sent_upto), 0) FROM sojourn_backends
WHERE name = :name AND sent IS NOT NULL AND sent_upto > cursor
""")
        self.note: Final = d.sql(f"""
UPDATE sojourn_backends SET sent = :sent, sent_upto = :upto WHERE name = :name AND {HOLDS}
""")
        client = d.array("session_key", *(d.field.format("data", name) for name in CONTEXT))
        self.contexts: Final = d.sql(f"""
SELECT {d.rows.format(client)} FROM sojourn_events WHERE {d.among.format("id", ":ids")}
""")
        apart = ", ".join(f"'{each}'" for each in sorted(APART))
        self.previous: Final = d.sql(f"""
SELECT {d.rows.format(d.array("session_key", "at"))} FROM (
    SELECT session_key, MAX(time) AS at FROM sojourn_events
    WHERE {d.among.format("session_key", ":keys")} AND seq <= {_CURSOR} AND name NOT IN ({apart})
    GROUP BY session_key) AS latest
""")
        self.begin_reading: Final = d.sql(f"""
UPDATE sojourn_backends SET read_seq = {d.greatest}(read_seq, :seq), in_use_at = {d.greatest}(in_use_at, :now)
WHERE name = :name
""")
        # Rows that were erased since they were claimed were counted as skipped then: so the figures add up.
        erased_since = "(:total - (SELECT COUNT(*) FROM sojourn_events WHERE seq > cursor AND seq <= :upto))"
        upto = "COALESCE(:upto, cursor)"
        self.settle: Final = d.sql(f"""
UPDATE sojourn_backends SET
    cursor = {upto}, read_seq = {d.greatest}(read_seq, {upto}), in_use_at = {d.greatest}(in_use_at, :now),
    delivered = delivered + :delivered, skipped = skipped + :skipped - {erased_since}, dropped = dropped + :dropped,
    expired = expired + :expired,
    dead = dead + :dead, retried = retried + :retried,
    retry_at = :retry_at, failures = :failures, problem = :problem, sent = :sent
WHERE name = :name AND cursor <= {upto} AND {HOLDS}
""")
        self.bury: Final = d.sql(f"""
INSERT INTO sojourn_dead_letters (backend, event_id, reason, status, at, event)
SELECT :name, {d.item.format(0)}, {d.item.format(1)}, {d.integer.format(2)}, :now, {d.item.format(3)}
FROM {d.items.format(":letters")} AS each
""")
        self.withhold: Final = d.sql(f"""
INSERT INTO sojourn_withheld (backend, session_key)
SELECT :name, value FROM {d.texts.format(":keys")} AS each WHERE true
ON CONFLICT (backend, session_key) DO NOTHING
""")

        # --- dead letters, once more
        self.has_requeued: Final = d.sql("""
SELECT EXISTS (SELECT 1 FROM sojourn_dead_letters WHERE backend = :name AND requeued_at IS NOT NULL)
""")
        # Whether the visitor left, and what is for the own store only, may have changed since.
        self.claim_requeued: Final = d.sql(f"""
SELECT {d.rows.format(d.json.format("event"))}, {d.rows_where.format("event_id", "is_suppressed")},
       {d.rows_where.format("event_id", "is_hidden")}
FROM (
    SELECT event, event_id,
           COALESCE((SELECT s.is_suppressed FROM sojourn_sessions AS s
                     WHERE s.key = {d.field.format("event", "session_key")}), false) AS is_suppressed,
           EXISTS (SELECT 1 FROM sojourn_events AS e WHERE e.id = event_id AND e.no_forward) AS is_hidden
    FROM sojourn_dead_letters WHERE backend = :name AND requeued_at IS NOT NULL ORDER BY number LIMIT :limit) AS part
""")
        self.is_held: Final = d.sql(f"SELECT {HOLDS}")
        self.let_go: Final = d.sql(f"""
DELETE FROM sojourn_dead_letters
WHERE backend = :name AND requeued_at IS NOT NULL AND {d.among.format("event_id", ":ids")}
""")
        self.reject_again: Final = d.sql(f"""
UPDATE sojourn_dead_letters SET
    reason = {d.item.format(1)}, status = {d.integer.format(2)}, at = :now, requeued_at = NULL
FROM {d.items.format(":letters")} AS each
WHERE backend = :name AND requeued_at IS NOT NULL AND event_id = {d.item.format(0)}
""")
        # By rows, not by what was reported: a letter that was erased since it was claimed stays counted as dead.
        self.resettle: Final = d.sql(f"""
UPDATE sojourn_backends SET
    dead = dead - :delivered - :skipped - :expired,
    delivered = delivered + :delivered, skipped = skipped + :skipped, expired = expired + :expired,
    retried = retried + :retried, in_use_at = {d.greatest}(in_use_at, :now),
    retry_at = :retry_at, failures = :failures, problem = :problem
WHERE name = :name
""")


def _unregistered(name: str) -> StoreError:
    return StoreError(f"the store has no backend {name!r}; register it before its events are claimed")
