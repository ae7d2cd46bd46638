"""Fold what applications wrote into the inbox in transactions of their own.

A row is visible once its transaction is committed. It goes through the same fold as a record of a journal, and is deleted in
the transaction that writes its events, so it has its effect exactly once. Each row is complete: one of a session that begins
brings its start along. Otherwise the start is in a journal, and the row waits until it is applied. What the recorder moved here
from a journal waits in the same way (`early.py`).

See P35 in docs/internals.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from sojourn.core.records import Origin, Record
from sojourn.core.session import Rules
from sojourn.pipeline import payloads
from sojourn.stores.model import HEARD_OF_MS, Batch, InboxRow, TryAgain
from sojourn.stores.recording_protocol import Recording, RecordStore

from .batch_rows import BatchRows
from .early import WITHOUT_SESSION, may_begin
from .fold import Folded, Numbered, fold

BATCH: Final = 500


class InboxFolder:
    """The inbox of a store. Blocks; one thread at a time. Raises `StoreError`.

    `batch` makes of a folded batch what is to be saved.
    """

    def __init__(
        self,
        store: RecordStore,
        *,
        rules: Rules,
        service: Origin,
        max_age: int,
        batch: Callable[[Folded], Batch],
    ) -> None:
        self._store = store
        self._rules = rules
        self._service = service
        self._max_age = max_age
        self._batch = batch
        self._after = ""

    def step(self, now: int, *, has_others: bool) -> tuple[int, bool]:
        """Fold a page of the inbox: (rows that are done, whether to call again at once)."""
        if not self._store.has_inbox():
            return 0, False
        try:
            with self._store.recording() as transaction:
                rows = transaction.inbox(after=self._after, limit=BATCH)
                done = self._fold(transaction, rows, now, has_others=has_others) if rows else 0
        except TryAgain:
            return 0, True
        self._after = rows[-1].id if len(rows) == BATCH else ""
        return done, bool(self._after)

    def _fold(self, transaction: Recording, rows: Sequence[InboxRow], now: int, *, has_others: bool) -> int:
        counts: Counter[str] = Counter()
        taken: list[str] = []
        records: list[Numbered] = []
        for row in rows:
            record = self._decoded(row, now, counts)
            if record is None:
                taken.append(row.id)
            else:
                records.append(Numbered(row.id, record))
        stored = BatchRows(transaction, self._rules, has_others=has_others, waits=False)
        loaded = stored.load(records)
        waiting = self._waiting(loaded, stored, now)
        if waiting:
            records = [numbered for numbered in records if numbered.rid not in waiting]
            loaded = stored.counted(records)
        if not records and not taken:
            return 0
        stored.complete(loaded)
        out = fold(
            loaded,
            stored.rows,
            self._rules,
            defaults=self._service,
            unread=stored.unread,
            suppression=stored.suppression,
        )
        taken += [numbered.rid for numbered in records]
        if out.early:
            counts[WITHOUT_SESSION] = len(out.early)
        out.counts.update(counts)
        out.counts["inbox.recorded"] += len(taken)
        if stored.new_aliases:
            out.counts["sessions.folded_in"] = len(stored.new_aliases)
        transaction.save(replace(self._batch(out), taken=taken, aliases=stored.new_aliases))
        return len(taken)

    def _decoded(self, row: InboxRow, now: int, counts: Counter[str]) -> Record | None:
        try:
            record = payloads.decode_from_inbox(row.data)
        except msgspec.MsgspecError:
            counts["records.undecodable"] += 1
            return None
        if record is None:
            counts["records.unknown_kind"] += 1
            return None
        if now - record.at >= self._max_age:
            counts["records.too_old"] += 1
            return None
        if record.at - now > self._rules.max_clock_lead:
            return msgspec.structs.replace(record, at=now, started_at=min(record.started_at, now))
        return record

    def _waiting(self, records: Sequence[Numbered], stored: BatchRows, now: int) -> set[str]:
        """Return the ids of rows whose session is not recorded yet: its start is still in a journal."""
        starting = {numbered.record.key for numbered in records if numbered.record.origin is not None}
        early = [
            numbered
            for numbered in records
            if numbered.record.key not in stored.rows
            and numbered.record.key not in starting
            and not stored.suppression.is_suppressed(numbered.record)
        ]
        if not early:
            return set()
        until = self._store.recorded_until(now=now, silent_after=HEARD_OF_MS)
        return {numbered.rid for numbered in early if may_begin(numbered.record, until)}
