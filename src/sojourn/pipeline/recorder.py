"""The recorder: journals in, one store transaction out, again and again. One per journal directory and store, by lease.

A record has its effect exactly once, because the journals' positions move in the transaction that carries the effect, and
only from where they were. It also sweeps, in the same thread, so that rows have one writer.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from threading import RLock
from typing import Final

import msgspec

from sojourn.core.records import Origin, Record
from sojourn.core.session import Rules
from sojourn.stores.protocol import Batch, Mark, PositionMoved, RecordStore
from sojourn.stores.rows import SessionRow

from .departures import Departures, people
from .fold import Folded, Numbered, also_needed, fold, own_keys, sweep
from .journal import Frame, JournalReader, Reading
from .scrubbing import Scrub, Scrubber

log = logging.getLogger("sojourn")

BATCH: Final = 500
_SLICE: Final = 32
_SLICE_S: Final = 0.0008
"""For how long Python runs here before a request's thread gets the interpreter: it would wait for 5 ms otherwise."""
_HEARD_OF_MS: Final = 120_000
_DISCARD_EVERY: Final = 10_000
_NEVER: Final = -1


class Recorder:
    """Applies what journals hold. Called by one thread at a time (a lock sees to it); blocks."""

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
    ) -> None:
        self._store = store
        self._reader = reader
        self._rules = rules
        self._service = service
        self._sweep_interval = sweep_interval
        self._sweep_grace = sweep_grace
        self._max_age = max_age
        self._scrubber = None if scrub is None else Scrubber(scrub)
        self._marks: dict[str, Mark] | None = None
        self._marked_at = 0
        self._undiscarded = 0
        self._breathed_at = 0.0
        self._lock = RLock()
        self._decoder = msgspec.msgpack.Decoder(Record)

    def step(self, now: int, *, must_mark: bool = False) -> tuple[int, bool]:
        """Apply one batch of what was appended before this moment: (records applied, whether there is more).

        With nothing to apply the store is told so every `sweep_interval`, or now if it `must_mark`.
        """
        with self._lock:
            marks = self._known_marks()
            positions = {journal: mark.position for journal, mark in marks.items()}
            reading = self._reader.read(positions, before=time.monotonic_ns(), limit=BATCH)
            until = reading.frames[-1].wall if reading.more and reading.frames else now
            if reading.frames or must_mark or now - self._marked_at >= self._sweep_interval:
                try:
                    self._apply(reading, marks, min(until, now), now)
                except PositionMoved:
                    self._marks = None
                    return 0, True
            self._undiscarded += len(reading.frames)
            if self._undiscarded >= _DISCARD_EVERY or (must_mark and not reading.more):
                self._undiscarded = 0
                self._discard()
            return len(reading.frames), reading.more

    def sweep(self, now: int) -> int:
        """End what is over, as of what is recorded: how many sessions."""
        with self._lock:
            self.step(now, must_mark=True)
            known = self._store.recorded_until(now=now, silent_after=_HEARD_OF_MS)
            as_of = min(now, now if known is None else known) - self._sweep_grace
            ended = 0
            while True:
                with self._store.recording() as transaction:
                    found = transaction.silent(
                        seen_before=as_of - self._rules.idle_timeout,
                        started_before=_before(as_of, self._rules.max_duration),
                        manual_seen_before=_before(as_of, self._rules.manual_max_silence) or _NEVER,
                        limit=BATCH,
                    )
                    out = sweep(found.rows.values(), self._rules, as_of=as_of)
                    if out.changed:
                        transaction.save(self._batch(out))
                ended += len(out.changed)
                if len(out.changed) < BATCH:
                    return ended

    def forget(self) -> None:
        """Somebody else has recorded since: read the positions anew."""
        with self._lock:
            self._marks = None

    def _known_marks(self) -> dict[str, Mark]:
        if self._marks is None:
            self._marks = self._store.marks()
        return self._marks

    def _apply(self, reading: Reading, marks: dict[str, Mark], until: int, now: int) -> None:
        frames = reading.frames
        totals: dict[str, dict[str, int]] = {}
        positions: dict[str, int] = {}
        counts: Counter[str] = Counter()
        records: list[Numbered] = []
        for start in range(0, len(frames), _SLICE):
            self._breathe()
            self._decode(frames[start : start + _SLICE], records, totals, positions, counts, now=now)
        spoken_of = people(numbered.record for numbered in records)
        with self._store.recording() as transaction:
            out = Folded({})
            if records:
                loaded = transaction.load(own_keys(records), people=spoken_of)
                needed = also_needed(records, loaded.rows)
                rows, unread = loaded.rows, loaded.unread
                if needed.keys or needed.successors_of:
                    more = transaction.load(needed.keys, successors_of=needed.successors_of)
                    rows = {**more.rows, **rows}
                    unread |= more.unread
                out = self._folded(records, rows, unread, Departures(loaded.tombstones))
            out.counts.update(counts)
            out.counts["records.recorded"] += len(frames)
            # With more to come only what moved is marked: the last batch tells of the others.
            known = positions.keys() if reading.more else self._reader.journals() | positions.keys()
            changed = self._moved(known, marks, positions, totals, out.counts, until=until, now=now)
            transaction.save(self._batch(out, changed))
        for mark, _ in changed:
            marks[mark.journal] = mark
        self._marked_at = now

    def _decode(
        self,
        frames: Sequence[Frame],
        records: list[Numbered],
        totals: dict[str, dict[str, int]],
        positions: dict[str, int],
        counts: Counter[str],
        *,
        now: int,
    ) -> None:
        for frame in frames:
            positions[frame.journal] = frame.end
            known = totals.setdefault(frame.journal, {})
            known["records.accepted"], known["records.refused"] = frame.accepted, frame.refused
            if now - frame.wall >= self._max_age:
                counts["records.too_old"] += 1
                continue
            try:
                record = self._decoder.decode(frame.payload)
            except msgspec.MsgspecError:
                counts["records.undecodable"] += 1
                continue
            if record.counters:
                known.update({f"ignored.{reason}": total for reason, total in record.counters.items()})
            if not record.key:
                continue
            if record.at - now > self._rules.max_clock_lead:
                record = msgspec.structs.replace(record, at=now, started_at=min(record.started_at, now))
            records.append(Numbered(f"{frame.journal}:{frame.end:016x}", record))

    def _folded(
        self,
        records: Sequence[Numbered],
        rows: dict[str, SessionRow],
        unread: frozenset[str],
        departures: Departures,
    ) -> Folded:
        whole: Folded | None = None
        self._breathed_at = time.thread_time()  # the database has just let the others run
        for start in range(0, len(records), _SLICE):
            self._breathe()
            part = fold(
                records[start : start + _SLICE],
                rows,
                self._rules,
                defaults=self._service,
                unread=unread,
                departures=departures,
            )
            if whole is None:
                whole = part
            else:
                whole.changed |= part.changed
                whole.events += part.events
                whole.withdrawn += part.withdrawn
                whole.counts.update(part.counts)
        return whole if whole is not None else Folded({})

    def _breathe(self) -> None:
        """Let other threads run, if they had to wait for a slice."""
        if time.thread_time() - self._breathed_at >= _SLICE_S:
            time.sleep(0)
            self._breathed_at = time.thread_time()

    def _moved(
        self,
        journals: Iterable[str],
        marks: Mapping[str, Mark],
        positions: Mapping[str, int],
        totals: Mapping[str, Mapping[str, int]],
        counts: Counter[str],
        *,
        until: int,
        now: int,
    ) -> list[tuple[Mark, int]]:
        """The new marks with the positions they start from; what the processes' totals grew by goes to the counters."""
        moved: list[tuple[Mark, int]] = []
        for journal in journals:
            old = marks.get(journal) or Mark(journal=journal, position=0, recorded_until=0)
            told = totals.get(journal, {})
            for name, total in told.items():
                counts[name] += total - old.totals.get(name, 0)
            position = positions.get(journal, old.position)
            mark = Mark(
                journal=journal,
                position=position,
                recorded_until=until,
                heard_at=now,
                totals={**old.totals, **told},
            )
            moved.append((mark, old.position))
        return moved

    def _batch(self, out: Folded, marks: Sequence[tuple[Mark, int]] = ()) -> Batch:
        events = out.events
        if self._scrubber is not None:
            events = self._scrubber.scrubbed(events, out.counts)
        return Batch(
            rows=[out.rows[key] for key in out.changed],
            events=events,
            withdrawn=out.withdrawn,
            counts=out.counts,
            opted_out=out.opted_out,
            marks=marks,
        )

    def _discard(self) -> None:
        marks = self._known_marks()
        gone = self._reader.discard({journal: mark.position for journal, mark in marks.items()})
        if gone:
            self._store.forget_journals(gone)
            for journal in gone:
                marks.pop(journal, None)


def _before(as_of: int, limit: int | None) -> int | None:
    return None if limit is None else as_of - limit
