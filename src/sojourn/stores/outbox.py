"""The operator's side of delivery, in any database."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from sojourn.core.events import SESSION_END, SESSION_START, Position
from sojourn.errors import StoreError

from . import counting, wire
from .database import Database, Transaction
from .dialect import Dialect
from .model import DeadLetter, OutboxState, dispatcher_lease
from .outbox_wire import decode_outboxes, some_ids


class SQLOutbox:
    """The port `Outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = _Statements(database.dialect)

    def register(
        self, backends: Collection[str], *, now: int, oldest_accepted: Mapping[str, int] | None = None
    ) -> None:
        if not backends:
            return
        oldest = oldest_accepted or {}
        names = wire.encode([(name, oldest.get(name)) for name in backends])
        # With the log locked: a cursor and the count that goes with it are of one moment.
        self._database.write(
            lambda work: work.execute(self._database.lock_log, self._sql.register, names=names, now=now)
        )

    def states(self) -> tuple[OutboxState, ...]:
        return decode_outboxes(self._database.read(self._sql.states)[0])

    def letters(self, name: str | None, *, after: int, limit: int) -> list[DeadLetter]:
        return wire.decode_letters(self._database.read(self._sql.letters, name=name, after=after, limit=limit)[0])

    def requeue(self, name: str, *, event_ids: Collection[str] | None, limit: int, now: int) -> int:
        values = {"name": name, "ids": some_ids(event_ids), "limit": limit, "now": now}

        def attempt(work: Transaction) -> int:
            backend, requeued = work.execute(self._sql.try_now, self._sql.requeue, **values)
            if not backend.rows:
                raise StoreError(f"the store has no backend {name!r}; `sojourn status` lists those it has")
            return requeued.rows

        return self._database.write(attempt)

    def skip_waiting(self, name: str, *, upto: Position, limit: int) -> int:
        sql, values = self._sql, {"name": name, "lease": dispatcher_lease(name)}

        def attempt(work: Transaction) -> int:
            *_, waiting = work.execute(
                sql.lock_lease, sql.lock_backend, sql.waiting, **values, upto=upto.stored, limit=limit
            )
            count, last = waiting.row
            if count:
                work.execute(sql.withhold_starts, sql.skip, sql.revoke_lease, **values, upto=last, skipped=count)
            return int(count)

        return self._database.write(attempt)

    def skip_letters(self, name: str, *, event_ids: Collection[str] | None, limit: int) -> int:
        sql, values = self._sql, {"name": name, "lease": dispatcher_lease(name)}
        ids = some_ids(event_ids)

        def attempt(work: Transaction) -> int:
            *_, deleted = work.execute(
                sql.lock_lease, sql.lock_backend, sql.skip_letters, **values, ids=ids, limit=limit
            )
            if deleted.rows:
                work.execute(sql.count_skipped_letters, sql.revoke_lease, **values, skipped=deleted.rows)
            return deleted.rows

        return self._database.write(attempt)


class _Statements:
    """In one database's dialect."""

    def __init__(self, d: Dialect) -> None:
        # Before the backend's own lock, as a claim does.
        locked = d.locked.format("sojourn_leases")
        self.lock_lease: Final = d.sql(f"SELECT 1 FROM sojourn_leases WHERE name = :lease {locked}") if locked else ""
        self.lock_backend: Final = counting.lock_backend(d)
        head = counting.HEAD
        self.register: Final = d.sql(f"""
INSERT INTO sojourn_backends (
    name, cursor, read_seq, first_seq, recorded_before, in_use_at,
    delivered, dead, skipped, dropped, expired, retried, failures, oldest_accepted)
SELECT {d.item.format(0)}, {head}, {head}, {head}, {counting.RECORDED_SO_FAR}, :now, 0, 0, 0, 0, 0, 0, 0, {d.integer.format(1)}
FROM {d.items.format(":names")} AS each WHERE true ORDER BY {d.item.format(0)}
ON CONFLICT (name) DO UPDATE SET
    in_use_at = {d.greatest}(sojourn_backends.in_use_at, excluded.in_use_at), oldest_accepted = excluded.oldest_accepted
""")

        # Ends are dated back to the last activity, so their age is not how long they have waited. Where many of them come
        # first only so many rows are read.
        oldest = f"""(
    SELECT time FROM (SELECT seq, name, time FROM sojourn_events WHERE seq > cursor ORDER BY seq LIMIT 1000) AS first
    WHERE first.name <> '{SESSION_END}' ORDER BY seq LIMIT 1)"""
        letters = "(SELECT COUNT(*) FROM sojourn_dead_letters WHERE backend = each.name"
        state = d.array("name", oldest, f"{letters})", f"{letters} AND requeued_at IS NOT NULL)", "in_use_at")
        self.states: Final = (
            f"SELECT {d.rows.format(state)} FROM (SELECT * FROM sojourn_backends ORDER BY name) AS each"
        )
        self.letters: Final = d.sql(f"""
SELECT {d.rows.format(d.letter)}
FROM (SELECT * FROM sojourn_dead_letters
      WHERE number > :after AND (:name IS NULL OR backend = :name) ORDER BY number LIMIT :limit) AS part
""")

        chosen = f"(:ids IS NULL OR {d.among.format('event_id', ':ids')})"
        locked = d.locked.format("sojourn_dead_letters")
        # Not those that were rejected since: slices that run beside a dispatcher would requeue the same letters for ever.
        self.requeue: Final = d.sql(f"""
UPDATE sojourn_dead_letters SET requeued_at = :now WHERE number IN (
    SELECT number FROM sojourn_dead_letters
    WHERE backend = :name AND requeued_at IS NULL AND at <= :now AND {chosen} ORDER BY number LIMIT :limit {locked})
""")
        self.try_now: Final = d.sql("""
UPDATE sojourn_backends SET retry_at = NULL, failures = 0, problem = NULL WHERE name = :name
""")

        cursor = "(SELECT cursor FROM sojourn_backends WHERE name = :name)"
        self.waiting: Final = d.sql(f"""
SELECT COUNT(*), MAX(seq) FROM (
    SELECT seq FROM sojourn_events WHERE seq > {cursor} AND seq <= :upto ORDER BY seq LIMIT :limit) AS part
""")
        # Of a session whose start was skipped, the backend is not sent the end either if its visitor leaves.
        self.withhold_starts: Final = d.sql(f"""
INSERT INTO sojourn_withheld (backend, session_key)
SELECT :name, session_key FROM sojourn_events WHERE seq > {cursor} AND seq <= :upto AND name = '{SESSION_START}'
ON CONFLICT (backend, session_key) DO NOTHING
""")
        # As if it had been read: an end behind the cursor that is withdrawn later would be counted twice.
        self.skip: Final = d.sql(f"""
UPDATE sojourn_backends SET
    cursor = :upto, read_seq = {d.greatest}(read_seq, :upto), skipped = skipped + :skipped
WHERE name = :name
""")
        self.skip_letters: Final = d.sql(f"""
DELETE FROM sojourn_dead_letters WHERE number IN (
    SELECT number FROM sojourn_dead_letters WHERE backend = :name AND {chosen} ORDER BY number LIMIT :limit {locked})
""")
        self.count_skipped_letters: Final = d.sql("""
UPDATE sojourn_backends SET dead = dead - :skipped, skipped = skipped + :skipped WHERE name = :name
""")
        self.revoke_lease: Final = d.sql("UPDATE sojourn_leases SET token = token + 1 WHERE name = :lease")
