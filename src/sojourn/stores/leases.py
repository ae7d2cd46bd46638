"""Leases in any database.

See P8 and P20 in docs/internals.md.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from collections.abc import Collection
from typing import Final

from . import wire
from .database import Database, Transaction
from .model import Lease
from .outbox_wire import decode_leases

HOLDS: Final = "EXISTS (SELECT 1 FROM sojourn_leases WHERE name = :lease AND holder = :holder AND token = :token)"
RENEW: Final = "UPDATE sojourn_leases SET until = :until WHERE name = :lease AND holder = :holder AND token = :token"


class SQLLeases:
    """The port `Leases`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        self._acquire: Final = d.sql(f"""
INSERT INTO sojourn_leases (name, holder, token, until) VALUES (:name, :holder, 1, :until)
ON CONFLICT (name) DO UPDATE SET
    token = sojourn_leases.token + CASE WHEN sojourn_leases.holder = excluded.holder THEN 0 ELSE 1 END,
    holder = excluded.holder, until = excluded.until
WHERE sojourn_leases.holder IS NULL OR sojourn_leases.holder = excluded.holder OR sojourn_leases.until <= :now
   OR {d.among.format("sojourn_leases.holder", ":dead")}
""")
        self._lease: Final = d.sql(
            "SELECT name, holder, token, until FROM sojourn_leases WHERE name = :name AND holder IS NOT NULL"
        )
        self._held: Final = d.sql(f"""
SELECT {d.rows.format(d.array("name", "holder", "token", "until"))}
FROM (SELECT * FROM sojourn_leases WHERE holder IS NOT NULL ORDER BY name) AS held
""")
        # By name, as everything that locks several leases does.
        self._release: Final = d.sql(f"""
UPDATE sojourn_leases SET holder = NULL, until = 0
WHERE name IN (SELECT name FROM sojourn_leases WHERE holder = :holder ORDER BY name {d.locked.format("sojourn_leases")})
""")

    def acquire(self, name: str, holder: str, *, now: int, until: int, dead: Collection[str] = ()) -> Lease | None:
        values = {"name": name, "holder": holder, "now": now, "until": until, "dead": wire.encode(list(dead))}

        def attempt(work: Transaction) -> Lease | None:
            acquired, lease = work.execute(self._acquire, self._lease, **values)
            return _lease(lease.row) if acquired.rows else None

        return self._database.write(attempt)

    def holder(self, name: str) -> Lease | None:
        return _lease(self._database.read(self._lease, name=name))

    def held(self) -> tuple[Lease, ...]:
        return decode_leases(self._database.read(self._held)[0])

    def release(self, holder: str) -> None:
        self._database.write(lambda work: work.execute(self._release, holder=holder))


def _lease(row: tuple[object, ...]) -> Lease | None:
    match row:
        case (str(name), str(holder), int(token), int(until)):
            return Lease(name=name, holder=holder, token=token, until=until)
        case _:
            return None
