"""Statements about trails, once for both databases."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from sojourn.stores.dialect import Dialect

from .statements import is_finished

# The first letter of a row's name says what it holds.
PATH: Final = "p"
EVENT: Final = "e"
PROPERTIES: Final = "q"
KEYS: Final = "k"
VISITORS: Final = "v"


@dataclass(frozen=True)
class TrailStatements:
    """In one database's dialect."""

    d: Dialect

    @property
    def _started(self) -> str:
        return f"s.started_at >= {self.d['since']} AND s.started_at < {self.d['until']}"

    @property
    def _among(self) -> str:
        return self.d.among.format("s.key", self.d["keys"])

    @cached_property
    def sessions(self) -> str:
        """The sessions of a span."""
        return self._sessions(self._started)

    @cached_property
    def sessions_of(self) -> str:
        """These sessions."""
        return self._sessions(self._among)

    def _sessions(self, where: str) -> str:
        d = self.d
        row = d.array("s.key", "s.visitor_id", "s.started_at")
        return f"SELECT {d.rows.format(row)} FROM sojourn_sessions AS s WHERE {where}"

    @cached_property
    def forget(self) -> str:
        """Delete an hour's trail, if its rollup was just finished by this claim."""
        return f"DELETE FROM sojourn_trails WHERE hour = {self.d['id']} AND {is_finished(self.d)}"

    @cached_property
    def keep(self) -> str:
        """Store it, likewise."""
        d = self.d
        return f"""
INSERT INTO sojourn_trails (hour, name, token, content)
SELECT {d["id"]}, {d.item.format(0)}, {d["token"]}, {d.item.format(1)} FROM {d.items.format(d["trail"])} AS each
WHERE {is_finished(self.d)}
"""

    @property
    def _beside(self) -> str:
        """Some rollups with their trails, each looked up by its key."""
        d = self.d
        return f"""
    FROM {d.numbers.format(d["ids"])} AS i {d.join} sojourn_rollups AS r ON r.id = i.value AND r.sessions IS NOT NULL
    {d.join} sojourn_trails AS t ON t.hour = r.id AND t.token = r.token"""

    @property
    def _range(self) -> str:
        return f"AND t.name >= {self.d['low']} AND t.name <= {self.d['high']}"

    @cached_property
    def covered(self) -> str:
        """The rollups that have a trail, and how many sessions each has."""
        d = self.d
        return f"SELECT {d.rows.format(d.array('r.id', 'r.sessions'))} {self._beside} AND t.name = '{KEYS}'"

    @cached_property
    def parts(self) -> str:
        """How many of these rollups there are."""
        d = self.d
        return f"""
SELECT COUNT(*)
FROM {d.numbers.format(d["ids"])} AS i {d.join} sojourn_rollups AS r ON r.id = i.value AND r.sessions IS NOT NULL
"""

    @cached_property
    def joined(self) -> str:
        """The contents of a range of names, joined by rollup."""
        d = self.d
        return f"""
SELECT {d.rows.format(d.array("hour", "content"))} FROM (
    SELECT t.hour, {d.joined.format("t.content")} AS content {self._beside} {self._range} GROUP BY t.hour) AS rows
"""

    @cached_property
    def named(self) -> str:
        """The same with the names, not joined."""
        d = self.d
        row = d.array("t.hour", "t.name", "t.content")
        return f"SELECT {d.rows.format(row)} {self._beside} {self._range}"
