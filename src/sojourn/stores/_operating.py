"""The operator's side of a SQLite store. The statements are in `_operating_sql`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from sojourn.core.events import Event
from sojourn.errors import StoreError

from . import _operating_sql as sql
from . import sqlite_sql, wire
from ._people import SQLitePeople
from .operating import Letter, Outbox, Resettled, courier_lease
from .protocol import Claim, Lease, LeaseLost

_outboxes: Final = msgspec.json.Decoder(tuple[Outbox, ...])
_leases: Final = msgspec.json.Decoder(list[tuple[str, str, int, int]])
_letters: Final = msgspec.json.Decoder(list[Letter])
_events: Final = msgspec.json.Decoder(tuple[Event, ...])


class SQLiteOperating(SQLitePeople):
    """`Requeues`, `Operating` and `OperatorQueries` over a store's connections."""

    # --- what there is

    def outboxes(self) -> tuple[Outbox, ...]:
        return _outboxes.decode(self._value(sql.OUTBOXES))

    def leases(self) -> tuple[Lease, ...]:
        return tuple(
            Lease(name=name, holder=holder, token=token, until=until)
            for name, holder, token, until in _leases.decode(self._value(sql.LEASES))
        )

    def letters(self, name: str | None, *, after: int, limit: int) -> list[Letter]:
        return _letters.decode(self._value(sql.LETTERS, name=name, after=after, limit=limit))

    # --- what goes once more

    def requeue(self, name: str, *, event_ids: Collection[str] | None, limit: int, now: int) -> int:
        with self._connections.writing() as db:
            if not db.execute(sql.TRY_NOW, {"name": name}).rowcount:
                raise _unknown(name)
            wanted = {"name": name, "ids": _ids(event_ids), "limit": limit, "now": now}
            return db.execute(sql.REQUEUE, wanted).rowcount

    def has_requeued(self, name: str) -> bool:
        with self._connections.reading() as db:
            return bool(db.execute(sql.HAS_REQUEUED, {"name": name}).fetchone()[0])

    def claim_requeued(self, name: str, lease: Lease, *, until: int, limit: int, now: int) -> Claim:
        with self._connections.writing() as db:
            if not db.execute(sqlite_sql.RENEW, {**_held(lease), "until": until}).rowcount:
                raise LeaseLost(lease.name)
            wanted = {"name": name, "limit": limit}
            events, barred, hidden = db.execute(sql.CLAIM_REQUEUED, wanted).fetchone()
            db.execute(sqlite_sql.BEGIN_READING, {"name": name, "seq": 0, "now": now})
        return Claim(
            events=_events.decode(events),
            no_forward=frozenset(wire.decode_names(hidden)),
            barred=frozenset(wire.decode_names(barred)),
        )

    def settle_requeued(self, name: str, lease: Lease, settled: Resettled, *, now: int) -> None:
        with self._connections.writing() as db:
            if not db.execute(sql.IS_HELD, _held(lease)).fetchone()[0]:
                raise LeaseLost(lease.name)
            delivered = db.execute(sql.LET_GO, {"name": name, "ids": _ids(settled.delivered)}).rowcount
            skipped = db.execute(sql.LET_GO, {"name": name, "ids": _ids(settled.skipped)}).rowcount
            if settled.dead:
                letters = wire.encode([(event.id, reason, status) for event, reason, status in settled.dead])
                db.execute(sql.REFUSE_AGAIN, {"name": name, "letters": letters, "now": now})
            figures = {
                "name": name,
                "now": now,
                "delivered": delivered,
                "skipped": skipped,
                "retried": settled.retried,
                "retry_at": settled.retry_at,
                "failures": settled.failures,
                "problem": None if settled.problem is None else wire.clean(settled.problem),
            }
            db.execute(sql.RESETTLE, figures)

    # --- what is not to be sent

    def skip_waiting(self, name: str, *, upto: int, limit: int) -> int:
        with self._connections.writing() as db:
            wanted = {"name": name, "upto": upto, "limit": limit}
            count, last = db.execute(sql.WAITING, wanted).fetchone()
            if count:
                db.execute(sql.WITHHOLD_STARTS, {"name": name, "upto": last})
                db.execute(sql.SKIP, {"name": name, "upto": last, "skipped": count})
                db.execute(sql.FENCE_OFF, {"lease": courier_lease(name)})
        return int(count)

    def skip_letters(self, name: str, *, event_ids: Collection[str] | None, limit: int) -> int:
        with self._connections.writing() as db:
            skipped = db.execute(sql.SKIP_LETTERS, {"name": name, "ids": _ids(event_ids), "limit": limit}).rowcount
            if skipped:
                db.execute(sql.COUNT_SKIPPED_LETTERS, {"name": name, "skipped": skipped})
                db.execute(sql.FENCE_OFF, {"lease": courier_lease(name)})
        return skipped


def _held(lease: Lease) -> dict[str, object]:
    return {"lease": lease.name, "holder": lease.holder, "token": lease.token}


def _ids(event_ids: Collection[str] | None) -> str | None:
    return None if event_ids is None else wire.encode(list(event_ids))


def _unknown(name: str) -> StoreError:
    return StoreError(f"the store knows no backend {name!r}; `sojourn status` names those it knows")
