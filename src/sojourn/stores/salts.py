"""The salts of days, in any database: the first one that is proposed for a day is that day's, for all hosts.

See S18 in docs/internals.md.
"""

from __future__ import annotations

from typing import Final

from .database import Database


class SQLSalts:
    """The port `Salts`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        self._of: Final = d.sql("SELECT salt FROM sojourn_salts WHERE starts_at = :starts_at")
        self._add: Final = d.sql(
            "INSERT INTO sojourn_salts (starts_at, until, salt) VALUES (:starts_at, :until, :salt) "
            "ON CONFLICT (starts_at) DO NOTHING"
        )
        self._has_expired: Final = d.sql("SELECT 1 FROM sojourn_salts WHERE until <= :now")
        self._forget: Final = d.sql("DELETE FROM sojourn_salts WHERE until <= :now")

    def of_day(self, starts_at: int, *, until: int, proposed: bytes) -> bytes:
        row = self._database.read(self._of, starts_at=starts_at)
        if not row:
            values = {"starts_at": starts_at, "until": until, "salt": proposed}
            row = self._database.write(lambda work: work.execute(self._add, self._of, **values)[-1].row)
        return bytes(row[0])

    def forget(self, *, now: int) -> None:
        if self._database.read(self._has_expired, now=now):
            erasing = self._database.dialect.erasing
            self._database.write(lambda work: work.execute(erasing, self._forget, now=now))
