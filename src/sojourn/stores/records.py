"""The recorder's side of a store beside its transactions: how far each journal has been applied.

See P9 in docs/internals.md.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Final

from . import wire
from .database import Database
from .inbox import statements as inbox_sql
from .model import Mark, SessionNote
from .recording_protocol import Recording

_NOTE: Final = SessionNote.__struct_fields__
_ARMS: Final = (
    "end_reason IS NULL AND is_manual = false",
    "end_reason IS NULL AND is_manual = true",
    "end_reason > ''",
)


class SQLRecords:
    """The port `RecordStore`. How a batch is written is each database's own."""

    def __init__(self, database: Database, recording: Callable[[], AbstractContextManager[Recording]]) -> None:
        d = database.dialect
        self.recording = recording
        self._database = database
        mark = d.array("id", "position", "recorded_until", "heard_at", d.json.format("totals"))
        self._marks: Final = f"SELECT {d.rows.format(mark)} FROM sojourn_journals WHERE NOT is_gone"
        self._forget: Final = d.sql(
            f"UPDATE sojourn_journals SET is_gone = true, totals = '{{}}' WHERE {d.among.format('id', ':ids')}"
        )
        columns = ", ".join(_NOTE)
        is_there_another = (
            "EXISTS (SELECT 1 FROM sojourn_journals WHERE NOT is_gone AND heard_at >= :heard_since"
            f" AND id NOT IN {d.keys.format(':besides')})"
        )
        # Each arm reads one partial index from its end; where there is no other host, none does.
        arms = " UNION ALL ".join(
            f"SELECT * FROM (SELECT {columns} FROM sojourn_sessions"
            f" WHERE {which} AND last_seen_at > :seen_after AND {is_there_another}"
            f" ORDER BY last_seen_at DESC LIMIT :limit) AS s{number}"
            for number, which in enumerate(_ARMS)
        )
        self._notes: Final = d.sql(f"SELECT {d.rows.format(d.array(*_NOTE))}, {is_there_another} FROM ({arms}) AS s")
        self._recorded_until: Final = d.sql(
            "SELECT MIN(recorded_until) FROM sojourn_journals WHERE NOT is_gone AND heard_at >= :heard_since"
        )

    def marks(self) -> dict[str, Mark]:
        return wire.decode_marks(self._database.read(self._marks)[0])

    def notes(
        self, *, seen_after: int, heard_since: int, besides: Collection[str], limit: int
    ) -> list[SessionNote] | None:
        notes, is_there_another = self._database.read(
            self._notes,
            seen_after=seen_after,
            heard_since=heard_since,
            besides=wire.encode(list(besides)),
            limit=limit,
        )
        return wire.decode_notes(notes) if is_there_another else None

    def has_inbox(self) -> bool:
        return bool(self._database.read(inbox_sql.HAS_ROWS)[0])

    def forget_journals(self, journals: Collection[str]) -> None:
        if not journals:
            return
        ids = wire.encode(list(journals))
        self._database.write(lambda work: work.execute(self._database.lock_log, self._forget, ids=ids))

    def recorded_until(self, *, now: int, silent_after: int) -> int | None:
        least: int | None = self._database.read(self._recorded_until, heard_since=now - silent_after)[0]
        return least
