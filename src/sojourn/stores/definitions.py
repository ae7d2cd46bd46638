"""Goals and funnels that were defined on the report's pages, in any database."""

from __future__ import annotations

from typing import Final

import msgspec

from . import wire
from .database import Database
from .model import Definition

_definitions: Final = msgspec.json.Decoder(list[Definition])


class SQLDefinitions:
    """The port `Definitions`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        self._all: Final = d.sql(f"""
SELECT {d.rows.format(d.array("name", "text"))} FROM (
    SELECT name, text FROM sojourn_definitions WHERE kind = :kind ORDER BY name) AS ordered
""")  # noqa: S608 - every part is written here
        self._set: Final = d.sql("""
INSERT INTO sojourn_definitions (kind, name, text) VALUES (:kind, :name, :text)
ON CONFLICT (kind, name) DO UPDATE SET text = excluded.text
""")
        self._remove: Final = d.sql("DELETE FROM sojourn_definitions WHERE kind = :kind AND name = :name")

    def of(self, kind: str) -> list[Definition]:
        return _definitions.decode(self._database.read(self._all, kind=kind)[0])

    def set(self, kind: str, name: str, text: str) -> None:
        values = {"kind": kind, "name": wire.clean(name), "text": wire.clean(text)}
        self._database.write(lambda work: work.execute(self._set, **values))

    def remove(self, kind: str, name: str) -> bool:
        values = {"kind": kind, "name": wire.clean(name)}
        (removed,) = self._database.write(lambda work: work.execute(self._remove, **values))
        return bool(removed.rows)
