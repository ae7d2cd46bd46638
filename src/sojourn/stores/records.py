"""The recorder's side of a store beside its transactions: how far each journal has been applied.

See P9 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Final

from . import wire
from .database import Database
from .model import Mark
from .protocol import Recording


class SQLRecords:
    """The port `RecordStore`. How a batch is written is each database's own."""

    def __init__(self, database: Database, recording: Callable[[], AbstractContextManager[Recording]]) -> None:
        d = database.dialect
        self.recording = recording
        self._database = database
        mark = d.array("id", "position", "recorded_until", "heard_at", d.json.format("totals"))
        self._marks: Final = f"SELECT {d.rows.format(mark)} FROM sojourn_journals WHERE NOT is_gone"  # noqa: S608 - written here
        self._forget: Final = d.sql(
            f"UPDATE sojourn_journals SET is_gone = true, totals = '{{}}' WHERE {d.among.format('id', ':ids')}"  # noqa: S608 - written here
        )
        self._recorded_until: Final = d.sql(
            "SELECT MIN(recorded_until) FROM sojourn_journals WHERE NOT is_gone AND heard_at >= :heard_since"
        )

    def marks(self) -> dict[str, Mark]:
        return wire.decode_marks(self._database.read(self._marks)[0])

    def forget_journals(self, journals: Collection[str]) -> None:
        if not journals:
            return
        ids = wire.encode(list(journals))
        self._database.write(lambda work: work.execute(self._database.lock_log, self._forget, ids=ids))

    def recorded_until(self, *, now: int, silent_after: int) -> int | None:
        least: int | None = self._database.read(self._recorded_until, heard_since=now - silent_after)[0]
        return least
