"""The operator's side of a SQLite store. The statements are in `_operating_sql`."""

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

from . import operating_sql as sql
from . import statements as sqlite_sql
from .data_subjects import SQLitePeople


class SQLiteOperating(SQLitePeople):
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
        with self._connections.writing() as db:
            if not db.execute(sql.TRY_NOW, {"name": name}).rowcount:
                raise unknown(name)
            wanted = {"name": name, "ids": some_ids(event_ids), "limit": limit, "now": now}
            return db.execute(sql.REQUEUE, wanted).rowcount

    def has_requeued(self, name: str) -> bool:
        with self._connections.reading() as db:
            return bool(db.execute(sql.HAS_REQUEUED, {"name": name}).fetchone()[0])

    def claim_requeued(self, name: str, lease: Lease, *, until: int, limit: int, now: int) -> Claim:
        with self._connections.writing() as db:
            if not db.execute(sqlite_sql.RENEW, {**held(lease), "until": until}).rowcount:
                raise LeaseLost(lease.name)
            wanted = {"name": name, "limit": limit}
            events, barred, hidden = db.execute(sql.CLAIM_REQUEUED, wanted).fetchone()
            db.execute(sqlite_sql.BEGIN_READING, {"name": name, "seq": 0, "now": now})
        return Claim(
            events=decode_whole_events(events),
            no_forward=frozenset(wire.decode_names(hidden)),
            barred=frozenset(wire.decode_names(barred)),
        )

    def settle_requeued(self, name: str, lease: Lease, settled: Resettled, *, now: int) -> None:
        with self._connections.writing() as db:
            if not db.execute(sql.IS_HELD, held(lease)).fetchone()[0]:
                raise LeaseLost(lease.name)
            delivered = db.execute(sql.LET_GO, {"name": name, "ids": some_ids(settled.delivered)}).rowcount
            skipped = db.execute(sql.LET_GO, {"name": name, "ids": some_ids(settled.skipped)}).rowcount
            if settled.dead:
                letters = wire.encode([(event.id, reason, status) for event, reason, status in settled.dead])
                db.execute(sql.REFUSE_AGAIN, {"name": name, "letters": letters, "now": now})
            figures = refigures(settled, delivered=delivered, skipped=skipped)
            db.execute(sql.RESETTLE, {**figures, "name": name, "now": now})

    # --- what is not to be sent

    def skip_waiting(self, name: str, *, upto: int, limit: int) -> int:
        with self._connections.writing() as db:
            wanted = {"name": name, "upto": upto, "limit": limit}
            count, last = db.execute(sql.WAITING, wanted).fetchone()
            if count:
                db.execute(sql.WITHHOLD_STARTS, {"name": name, "upto": last})
                db.execute(sql.SKIP, {"name": name, "upto": last, "skipped": count})
                db.execute(sql.FENCE_OFF, {"lease": dispatcher_lease(name)})
        return int(count)

    def skip_letters(self, name: str, *, event_ids: Collection[str] | None, limit: int) -> int:
        with self._connections.writing() as db:
            skipped = db.execute(sql.SKIP_LETTERS, {"name": name, "ids": some_ids(event_ids), "limit": limit}).rowcount
            if skipped:
                db.execute(sql.COUNT_SKIPPED_LETTERS, {"name": name, "skipped": skipped})
                db.execute(sql.FENCE_OFF, {"lease": dispatcher_lease(name)})
        return skipped
