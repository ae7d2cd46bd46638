"""What the report costs the recorder: CPU for recording alone, with the report's indices and triggers, and for rollups.

The same visits of a shop go through a journal, the recorder and its sweeps into two SQLite stores: one without what only the
report reads, one with it, whose finished hours and days are rolled up afterwards as the sweeper does it. Rounds alternate.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.drain import recorder_of
from benchmarks.timing import Spread
from sojourn.core.records import Record
from sojourn.demo.synthetic import SyntheticVisits
from sojourn.pipeline import payloads
from sojourn.pipeline.journal import JournalDirectory, open_journal
from sojourn.pipeline.record.recorder import Recorder
from sojourn.stores import SQLiteStore
from sojourn.stores.reporting.model import DAY_MS

_UNTIL: Final = 1_769_817_600_000  # 2026-01-31T00:00:00Z
_SWEPT_EVERY_MS: Final = 15 * 60_000
_REACH: Final = 0.10


@dataclass
class Costs:
    """Microseconds of CPU for each session, by round."""

    bare: list[float] = field(default_factory=list)
    recording: list[float] = field(default_factory=list)
    rollups: list[float] = field(default_factory=list)

    @property
    def share(self) -> Spread:
        """What the report adds, as a share of recording without it."""
        rounds = zip(self.bare, self.recording, self.rollups, strict=True)
        return Spread.of([(recording + rollups) / bare - 1 for bare, recording, rollups in rounds])


def main(sessions: int = 3_000, rounds: int = 3) -> None:
    """Print what the report costs for each session."""
    costs = Costs()
    records = list(SyntheticVisits(sessions, since=_UNTIL - DAY_MS, until=_UNTIL).records())
    for _ in range(rounds):
        bare, _ = _record(records, with_report=False)
        recording, rollups = _record(records, with_report=True)
        for costs_of, spent in ((costs.bare, bare), (costs.recording, recording), (costs.rollups, rollups)):
            costs_of.append(spent / sessions * 1e6)
    bare, recording, rollups = (Spread.of(each).median for each in (costs.bare, costs.recording, costs.rollups))
    share = costs.share
    print(f"Recorder, {sessions:,} sessions with {len(records):,} requests in a day, CPU for each session:")
    print(
        f"  without the report {bare:.0f} us; its indices and triggers {recording - bare:+.0f} us; rollups {rollups:+.0f} us"
    )
    print(
        f"  the report adds {share.median:.0%} ({share.low:.0%} to {share.high:.0%})   (reach: {_REACH:.0%})\n",
        flush=True,
    )


def _record(records: list[Record], *, with_report: bool) -> tuple[float, float]:
    """Return the seconds of CPU for recording, and for rollups."""
    with _store() as (store, folder):
        if not with_report:
            _drop_what_the_report_reads(folder / "bench.db")
        directory = folder / "bench.db.d"
        with (
            closing(open_journal(directory, limit=256 * 1024**2)) as journal,
            closing(JournalDirectory(directory)) as reader,
        ):
            recorder = recorder_of(store, reader)
            spent, swept_at = 0.0, records[0].at
            for record in records:
                journal.prepare()
                journal.append(payloads.encode(record), kind="page_view", essential=True, wall=record.at)
                if record.at - swept_at >= _SWEPT_EVERY_MS:
                    swept_at = record.at
                    spent += _recorded(recorder, swept_at)
            spent += _recorded(recorder, records[-1].at + DAY_MS)
        began = time.thread_time()
        if with_report:
            while store.maintenance.roll_up(finished_before=_UNTIL, limit=48):
                pass
        return spent, time.thread_time() - began


def _recorded(recorder: Recorder, now: int) -> float:
    began, more = time.thread_time(), True
    while more:
        _, more = recorder.step(now)
    recorder.sweep(now)
    return time.thread_time() - began


@contextmanager
def _store() -> Iterator[tuple[SQLiteStore, Path]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(SQLiteStore(folder / "bench.db")) as store:
            store.open()
            yield store, folder


def _drop_what_the_report_reads(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        names = db.execute(
            "SELECT type, name FROM sqlite_master"
            " WHERE name LIKE 'sojourn_rollups_of_%' OR name LIKE 'sojourn_ix_sessions_closed_%'"
        ).fetchall()
        for kind, name in names:
            db.execute(f"DROP {kind} {name}")


if __name__ == "__main__":
    main()
