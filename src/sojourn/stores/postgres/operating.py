"""The operator's side of a PostgreSQL store. The statements are in `_postgres_operating_sql`."""

from __future__ import annotations

from collections.abc import Collection

from sojourn.stores import wire
from sojourn.stores.operating import Letter, Outbox, Resettled, dispatcher_lease
from sojourn.stores.outbox_wire import (
    decode_leases,
    decode_letters,
    decode_outboxes,
    decode_whole_events,
    held,
    refigures,
    some_ids,
    unknown,
)
from sojourn.stores.protocol import Claim, Lease, LeaseLost

from . import log_sql
from . import operating_sql as sql
from .connections import Work
from .data_subjects import PostgreSQLPeople


class PostgreSQLOperating(PostgreSQLPeople):
    """`Requeues`, `Operating` and `OperatorQueries` over a store's connections."""

    # --- what there is

    def outboxes(self) -> tuple[Outbox, ...]:
        return decode_outboxes(self._value(sql.OUTBOXES))

    def leases(self) -> tuple[Lease, ...]:
        return decode_leases(self._value(sql.LEASES))

    def letters(self, name: str | None, *, after: int, limit: int) -> list[Letter]:
        return decode_letters(self._value(sql.LETTERS, name=name, after=after, limit=limit))

    # --- what goes once more

    def requeue(self, name: str, *, event_ids: Collection[str] | None, limit: int, now: int) -> int:
        def attempt(work: Work) -> int:
            known, requeued = work.execute(
                sql.TRY_NOW, sql.REQUEUE, name=name, ids=some_ids(event_ids), limit=limit, now=now
            )
            if not known.rows:
                raise unknown(name)
            return requeued.rows

        return self._connections.write(attempt)

    def has_requeued(self, name: str) -> bool:
        return bool(self._connections.read(sql.HAS_REQUEUED, name=name)[0])

    def claim_requeued(self, name: str, lease: Lease, *, until: int, limit: int, now: int) -> Claim:
        def attempt(work: Work) -> Claim:
            renewed, _, claimed = work.execute(
                log_sql.RENEW,
                log_sql.LOCK_BACKEND,
                sql.CLAIM_REQUEUED,
                **held(lease),
                name=name,
                until=until,
                limit=limit,
            )
            if not renewed.rows:
                raise LeaseLost(lease.name)
            work.at_end(log_sql.BEGIN_READING, name=name, seq=0, now=now)
            events, barred, hidden = claimed.row
            return Claim(
                events=decode_whole_events(events),
                no_forward=frozenset(wire.decode_names(hidden)),
                barred=frozenset(wire.decode_names(barred)),
            )

        return self._connections.write(attempt)

    def settle_requeued(self, name: str, lease: Lease, settled: Resettled, *, now: int) -> None:
        letters = wire.encode([(event.id, reason, status) for event, reason, status in settled.dead])

        def attempt(work: Work) -> None:
            _, is_held = work.execute(log_sql.LOCK_BACKEND, sql.IS_HELD, **held(lease), name=name)
            if not is_held.row[0]:
                raise LeaseLost(lease.name)
            (delivered,) = work.execute(sql.LET_GO, name=name, ids=some_ids(settled.delivered))
            (skipped,) = work.execute(sql.LET_GO, name=name, ids=some_ids(settled.skipped))
            work.execute(
                sql.REFUSE_AGAIN,
                sql.RESETTLE,
                name=name,
                now=now,
                letters=letters,
                **refigures(settled, delivered=delivered.rows, skipped=skipped.rows),
            )

        self._connections.write(attempt)

    # --- what is not to be sent

    def skip_waiting(self, name: str, *, upto: int, limit: int) -> int:
        wanted = {"name": name, "lease": dispatcher_lease(name)}

        def attempt(work: Work) -> int:
            count, last = work.execute(
                sql.LOCK_LEASE, log_sql.LOCK_BACKEND, sql.WAITING, **wanted, upto=upto, limit=limit
            )[-1].row
            if count:
                work.execute(sql.WITHHOLD_STARTS, sql.SKIP, sql.FENCE_OFF, **wanted, upto=last, skipped=count)
            return int(count)

        return self._connections.write(attempt)

    def skip_letters(self, name: str, *, event_ids: Collection[str] | None, limit: int) -> int:
        wanted = {"name": name, "lease": dispatcher_lease(name)}

        def attempt(work: Work) -> int:
            skipped = work.execute(
                sql.LOCK_LEASE, log_sql.LOCK_BACKEND, sql.SKIP_LETTERS, **wanted, ids=some_ids(event_ids), limit=limit
            )[-1].rows
            if skipped:
                work.execute(sql.COUNT_SKIPPED_LETTERS, sql.FENCE_OFF, **wanted, skipped=skipped)
            return skipped

        return self._connections.write(attempt)
