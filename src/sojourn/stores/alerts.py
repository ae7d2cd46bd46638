"""Alerts and their notices, in any database: which alerts are on, and what is still to be sent."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from . import wire
from .database import Database, Transaction
from .model import AlertState, Notice

_states: Final = msgspec.json.Decoder(list[AlertState], strict=False)
_notices: Final = msgspec.json.Decoder(list[Notice], strict=False)
_NOTICE: Final = ("number", "alert", "is_on", "at", "target", "text", "attempts", "retry_at", "problem")
_KEPT_MS: Final = 7 * 24 * 3_600_000
"""How long a notice that cannot be sent is tried."""


class SQLAlerts:
    """The port `Alerts`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        self._all: Final = d.sql(f"""
SELECT {d.rows.format(d.array("name", "is_on", "since", "text"))} FROM (
    SELECT * FROM sojourn_alerts ORDER BY name) AS ordered
""")  # noqa: S608 - every part is written here
        self._turn: Final = d.sql("""
INSERT INTO sojourn_alerts (name, is_on, since, text) VALUES (:name, :is_on, :at, :text)
ON CONFLICT (name) DO UPDATE SET is_on = excluded.is_on, since = excluded.since, text = excluded.text
WHERE sojourn_alerts.is_on <> excluded.is_on
""")
        self._note: Final = d.sql(f"""
INSERT INTO sojourn_notices (alert, is_on, at, target, text, attempts, retry_at)
SELECT :name, :is_on, :at, value, :text, 0, :at FROM {d.texts.format(":targets")} AS each
""")  # noqa: S608
        self._forget: Final = d.sql("DELETE FROM sojourn_notices WHERE at < :expired")
        self._due: Final = d.sql(f"""
SELECT {d.rows.format(d.array(*_NOTICE))} FROM (
    SELECT * FROM sojourn_notices WHERE retry_at <= :now ORDER BY number LIMIT 20) AS ordered
""")  # noqa: S608
        self._sent: Final = d.sql("DELETE FROM sojourn_notices WHERE number = :number")
        self._failed: Final = d.sql("""
UPDATE sojourn_notices SET attempts = attempts + 1, retry_at = :retry_at, problem = :problem WHERE number = :number
""")

    def states(self) -> list[AlertState]:
        return _states.decode(self._database.read(self._all)[0])

    def turn(self, name: str, *, is_on: bool, at: int, text: str, targets: Collection[str]) -> bool:
        values = {"name": name, "is_on": is_on, "at": at, "text": wire.clean(text)}

        def attempt(work: Transaction) -> bool:
            (turned,) = work.execute(self._turn, **values)
            if turned.rows:
                work.execute(
                    self._forget, self._note, **values, targets=wire.encode(list(targets)), expired=at - _KEPT_MS
                )
            return bool(turned.rows)

        return self._database.write(attempt)

    def due(self, now: int) -> list[Notice]:
        return _notices.decode(self._database.read(self._due, now=now)[0])

    def unsent(self) -> list[Notice]:
        return self.due(2**62)

    def sent(self, number: int) -> None:
        self._database.write(lambda work: work.execute(self._sent, number=number))

    def failed(self, number: int, *, retry_at: int, problem: str) -> None:
        values = {"number": number, "retry_at": retry_at, "problem": wire.clean(problem)}
        self._database.write(lambda work: work.execute(self._failed, **values))
