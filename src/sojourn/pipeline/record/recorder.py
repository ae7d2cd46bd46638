"""The recorder: reads journals and writes each batch in one store transaction. One per journal directory, by lease.

A record takes effect exactly once: the journals' positions move in the same transaction, and only from where they were when
the batch was read. The recorder also sweeps, on the same thread, so that rows have one writer.

See P8, P9, P10, P11 and P19 in docs/internals.md.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from sojourn.core.agent_hits import AgentHit
from sojourn.core.clock import SYSTEM_CLOCK
from sojourn.core.records import Origin, Record
from sojourn.core.session import Rules
from sojourn.core.threads import RLock
from sojourn.pipeline import payloads
from sojourn.pipeline.journal import ERASED, Frame, JournalReader, Reading
from sojourn.pipeline.pacing import FULL_SPEED, Pace
from sojourn.stores.model import (
    HEARD_OF_MS,
    IGNORED,
    LAST_IGNORED,
    AgentCount,
    Batch,
    Mark,
    PositionMoved,
    TryAgain,
    WaitingRow,
)
from sojourn.stores.recording_protocol import RecordStore
from sojourn.stores.rows import SessionRow

from .agent_counts import count_hits
from .batch_rows import BatchRows
from .early import to_wait
from .fold import Folded, Numbered, fold, needs_session, set_exit_pages, sweep
from .inbox import InboxFolder
from .scrubbing import Scrub, Scrubber
from .suppression import Suppression

log = logging.getLogger("sojourn")

BATCH: Final = 1000
_SLICE: Final = 32
_JUST_NOW_MS: Final = 60_000
_DISCARD_EVERY: Final = 10_000
PATIENCE_NS: Final = 2_000_000_000
"""How long a record waits for the one that started its session, which another host may still hold."""
_NEVER: Final = -1


@dataclass(slots=True)
class _Decoded:
    """Decoded frames: the records and the places of their frames, hits, and each journal's new position and totals."""

    frames: Sequence[Frame]
    records: list[Numbered] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    hits: list[AgentHit] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    totals: dict[str, dict[str, int]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def _lacks_previous(record: Record, started: Container[str]) -> bool:
    """Whether the session before is still in the journal of another host. One from long ago was erased or has expired."""
    return (
        record.previous_reason is not None
        and record.previous_key is not None
        and record.previous_key not in started
        and record.at - record.previous_seen_at < _JUST_NOW_MS
    )


class Recorder:
    """Applies the records of journals. Blocks; a lock admits one thread at a time. Raises `StoreError`."""

    def __init__(
        self,
        store: RecordStore,
        reader: JournalReader,
        *,
        rules: Rules,
        service: Origin,
        sweep_interval: int,
        sweep_grace: int,
        max_age: int,
        scrub: Scrub | None = None,
        monotonic_ns: Callable[[], int] = SYSTEM_CLOCK.monotonic_ns,
    ) -> None:
        self._store = store
        self._reader = reader
        self._rules = rules
        self._service = service
        self._sweep_interval = sweep_interval
        self._sweep_grace = sweep_grace
        self._max_age = max_age
        self._scrubber = None if scrub is None else Scrubber(scrub)
        self.patience_ns = 0
        """How long records wait for the start of their session: `PATIENCE_NS` if several hosts share the store, else 0."""
        self.has_others = False
        """Whether another host writes to the store: its activity may contradict a successor of ours."""
        self._monotonic_ns = monotonic_ns
        self._inbox = InboxFolder(store, rules=rules, service=service, max_age=max_age, batch=self._batch)
        self._marks: dict[str, Mark] | None = None
        self._marked_at = 0
        self._undiscarded = 0
        self._pace = FULL_SPEED
        self._lock = RLock()

    def step(self, now: int, *, must_mark: bool = False, pace: Pace = FULL_SPEED) -> tuple[int, bool]:
        """Apply one batch of what was appended before this moment, and of the inbox: (records applied, whether there is more).

        With nothing to apply, the marks are written every `sweep_interval`, or now if `must_mark`. If there is more but
        nothing was applied, the next record has to wait: for another host's record, or for another recorder.
        """
        with self._lock:
            marks = self._current_marks()
            positions = {journal: mark.position for journal, mark in marks.items()}
            reading = self._reader.read(positions, before=self._monotonic_ns(), limit=BATCH)
            self._pace = pace
            pace.begin(now - reading.frames[0].wall if reading.frames else 0)
            if reading.damaged:
                self._reader.set_aside()
            applied, more = 0, reading.more
            if reading.frames or must_mark or now - self._marked_at >= self._sweep_interval:
                try:
                    applied = self._apply(reading, marks, now)
                except PositionMoved:
                    self._marks = None
                    return 0, True
                except TryAgain:
                    return 0, True
            more = more or applied < len(reading.frames)
            self._undiscarded += applied
            if self._undiscarded >= _DISCARD_EVERY or (must_mark and not more):
                self._undiscarded = 0
                self._discard()
            # After the journals: they have the starts of its sessions.
            taken, is_full = self._inbox.step(now, has_others=self.has_others)
            return applied + taken, more or is_full

    def has_unapplied(self) -> bool:
        """Say whether a journal has records that no recorder has applied yet."""
        with self._lock:
            positions = {journal: mark.position for journal, mark in self._store.marks().items()}
            unread = self._reader.read(positions, before=self._monotonic_ns(), limit=1)
            return bool(unread.frames) or self._store.has_inbox()

    def sweep(self, now: int) -> int:
        """End the sessions that are over, as of what is recorded, and return how many."""
        with self._lock:
            self.step(now, must_mark=True)
            until = self._store.recorded_until(now=now, silent_after=HEARD_OF_MS)
            as_of = min(now, now if until is None else until) - self._sweep_grace
            ended = 0
            while True:
                swept = self._swept(as_of)
                ended += swept
                if swept < BATCH:
                    return ended

    def _swept(self, as_of: int) -> int:
        """End at most a batch of sessions, in one transaction, and return how many."""
        while True:
            try:
                with self._store.recording() as transaction:
                    silent = transaction.silent(
                        seen_before=as_of - self._rules.idle_timeout,
                        started_before=_before(as_of, self._rules.max_duration),
                        manual_seen_before=_before(as_of, self._rules.manual_max_silence) or _NEVER,
                        limit=BATCH,
                    )
                    out = sweep(silent.rows.values(), self._rules, as_of=as_of)
                    if out.changed:
                        transaction.save(self._batch(out))
                return len(out.changed)
            except TryAgain:
                continue

    def expire(self, older_than: int) -> None:
        """Delete damaged segments that were set aside and last written before this time (ms)."""
        with self._lock:
            self._reader.expire(older_than)

    def forget(self) -> None:
        """Read the positions anew at the next step: another process may have recorded since."""
        with self._lock:
            self._marks = None

    def _current_marks(self) -> dict[str, Mark]:
        if self._marks is None:
            self._marks = self._store.marks()
        return self._marks

    def _apply(self, reading: Reading, marks: dict[str, Mark], now: int) -> int:
        """Apply the frames, or those before the first that has to wait, and return how many."""
        frames = reading.frames
        batch = self._decoded(frames, now)
        late: list[Frame] = []
        with self._store.recording() as transaction:
            out, waiting = Folded({}), list[WaitingRow]()
            stored = BatchRows(transaction, self._rules, has_others=self.has_others, waits=self.patience_ns > 0)
            if batch.records:
                batch.records = stored.load(batch.records)
                place = self._waiting(batch, stored.rows, stored.suppression)
                if place == 0:
                    return 0
                if place is not None:
                    frames = frames[:place]
                    batch = self._decoded(frames, now)
                    batch.records = stored.counted(batch.records)
                stored.complete(batch.records)
                out = self._folded(batch.records, stored)
                if out.early:
                    until = self._store.recorded_until(now=now, silent_after=HEARD_OF_MS)
                    waiting = to_wait(out.early, now if until is None else until, out.counts)
                if stored.has_tombstones:
                    late = [
                        frames[place]
                        for place, numbered in zip(batch.places, batch.records, strict=True)
                        if stored.suppression.is_suppressed(numbered.record)
                    ]
            out.counts.update(batch.counts)
            out.counts["records.recorded"] += len(frames)
            # With more to come only journals that moved are marked; the last batch marks the others.
            is_behind = reading.more or len(frames) < len(reading.frames)
            until = min(now, reading.frames[min(len(frames), len(reading.frames) - 1)].wall) if is_behind else now
            journals = batch.positions.keys() if is_behind else self._reader.journals() | batch.positions.keys()
            changed = self._moved(journals, marks, batch, out.counts, until=until, now=now)
            # A process numbers its records, so a number that is missing is a record in damaged bytes.
            if lost := out.counts["records.accepted"] - len(frames):
                out.counts["records.lost"] = lost
            if stored.new_aliases:
                out.counts["sessions.folded_in"] = len(stored.new_aliases)
            agents: list[AgentCount] = []
            if batch.hits:
                agents = count_hits(batch.hits, transaction.agent_pages({hit.hour for hit in batch.hits}))
            transaction.save(replace(self._batch(out, changed, stored.new_aliases, agents), waiting=waiting))
        for mark, _ in changed:
            marks[mark.journal] = mark
        self._marked_at = now
        if late:  # the segment may stay for hours
            self._reader.erase(late)
        return len(frames)

    def _waiting(self, batch: _Decoded, rows: Mapping[str, SessionRow], suppression: Suppression) -> int | None:
        """Return the place of the first record that has to wait for another host's, or `None`.

        A session's events come after its start, and its start after the end of the session before.
        """
        if not self.patience_ns:
            return None
        started = set(rows)
        now = self._monotonic_ns()
        for place, numbered in zip(batch.places, batch.records, strict=True):
            record = numbered.record
            if record.key in started:
                continue
            is_young = 0 <= now - batch.frames[place].mono < self.patience_ns
            is_first = record.origin is not None and not _lacks_previous(record, started)
            is_waiting = is_young and not is_first and not needs_session(record)  # those wait in the inbox
            if is_waiting and not suppression.is_suppressed(record):
                return place
            if record.origin is not None:
                started.add(record.key)
        return None

    def _decoded(self, frames: Sequence[Frame], now: int) -> _Decoded:
        batch = _Decoded(frames)
        for start in range(0, len(frames), _SLICE):
            self._pace.breathe()
            self._decode(batch, start, now)
        return batch

    def _decode(self, batch: _Decoded, start: int, now: int) -> None:
        counts = batch.counts
        frames = batch.frames[start : start + _SLICE]
        for journal, last in {frame.journal: frame for frame in frames}.items():
            batch.positions[journal] = last.end
            totals = batch.totals.setdefault(journal, {})
            totals["records.accepted"], totals["records.refused"] = last.accepted, last.refused
        for place, frame in enumerate(frames, start):
            if now - frame.wall >= self._max_age:
                counts["records.too_old"] += 1
                continue
            try:
                record = payloads.decode(frame.payload)
            except msgspec.MsgspecError:
                counts["records.undecodable"] += 1
                continue
            if record is None:
                counts["records.erased" if frame.payload == ERASED else "records.unknown_kind"] += 1
                continue
            if isinstance(record, AgentHit):
                batch.hits.append(record if record.at <= now else msgspec.structs.replace(record, at=now))
                continue
            if record.counters:
                batch.totals[frame.journal].update(
                    {f"{IGNORED}{reason}": total for reason, total in record.counters.items()}
                )
            if not record.key:
                continue
            if record.at - now > self._rules.max_clock_lead:
                record = msgspec.structs.replace(record, at=now, started_at=min(record.started_at, now))
            batch.places.append(place)
            batch.records.append(Numbered(f"{frame.journal}:{frame.end:016x}", record))

    def _folded(
        self,
        records: Sequence[Numbered],
        stored: BatchRows,
    ) -> Folded:
        whole: Folded | None = None
        for start in range(0, len(records), _SLICE):
            self._pace.breathe()
            whole = fold(
                records[start : start + _SLICE],
                stored.rows,
                self._rules,
                defaults=self._service,
                unread=stored.unread,
                suppression=stored.suppression,
                before=whole,
            )
        return whole if whole is not None else Folded({})

    def _moved(
        self,
        journals: Iterable[str],
        marks: Mapping[str, Mark],
        batch: _Decoded,
        counts: Counter[str],
        *,
        until: int,
        now: int,
    ) -> list[tuple[Mark, int]]:
        """Return the new marks with the positions that they start from; count by how much the processes' totals grew."""
        moved: list[tuple[Mark, int]] = []
        for journal in journals:
            old = marks.get(journal) or Mark(journal=journal, position=0, recorded_until=0)
            totals = batch.totals.get(journal, {})
            for name, total in totals.items():
                if not name.startswith(LAST_IGNORED):  # a moment, which the mark keeps as it is
                    counts[name] += total - old.totals.get(name, 0)
            position = batch.positions.get(journal, old.position)
            mark = Mark(
                journal=journal,
                position=position,
                recorded_until=until,
                heard_at=now,
                totals={**old.totals, **totals},
            )
            moved.append((mark, old.position))
        return moved

    def _batch(
        self,
        out: Folded,
        marks: Sequence[tuple[Mark, int]] = (),
        aliases: Sequence[tuple[str, str, int]] = (),
        agents: Sequence[AgentCount] = (),
    ) -> Batch:
        events = out.events
        if self._scrubber is not None:
            events = self._scrubber.scrubbed(events, out.counts)
        set_exit_pages(out.rows, events)
        return Batch(
            rows=[out.rows[key] for key in out.changed],
            events=events,
            withdrawn=out.withdrawn,
            counts=out.counts,
            opted_out=out.opted_out,
            aliases=aliases,
            marks=marks,
            agents=agents,
        )

    def _discard(self) -> None:
        marks, here = self._current_marks(), self._reader.journals()
        # The store also has marks of other hosts' journals, which have no file here and are not gone.
        gone = self._reader.discard({journal: mark.position for journal, mark in marks.items() if journal in here})
        if gone:
            self._store.forget_journals(gone)
            for journal in gone:
                marks.pop(journal, None)


def _before(as_of: int, limit: int | None) -> int | None:
    return None if limit is None else as_of - limit
