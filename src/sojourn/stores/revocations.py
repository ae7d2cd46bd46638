"""Revoked log-ins to the report, in any database.

See P27 in docs/internals.md.
"""

from __future__ import annotations

from typing import Final

from .database import Database

_SKEW_MS: Final = 3_600_000
"""For how long an expired one is kept: the clock of another host may be behind."""


class SQLRevocations:
    """The port `Revocations`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        self._add: Final = d.sql(
            "INSERT INTO sojourn_revocations (hash, until) VALUES (:hash, :until) ON CONFLICT (hash) DO NOTHING"
        )
        self._forget: Final = d.sql("DELETE FROM sojourn_revocations WHERE until < :expired")
        self._has: Final = d.sql("SELECT 1 FROM sojourn_revocations WHERE hash = :hash")

    def add(self, hashed: str, *, until: int, now: int) -> None:
        values = {"hash": hashed, "until": until, "expired": now - _SKEW_MS}
        self._database.write(lambda work: work.execute(self._add, self._forget, **values))

    def has(self, hashed: str) -> bool:
        return bool(self._database.read(self._has, hash=hashed))
