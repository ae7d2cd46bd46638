"""Statements of breakdowns, once for both databases."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from sojourn.core.events import EXCEPTION, PAGE_VIEW, RESERVED_NAMES
from sojourn.stores.dialect import Dialect
from sojourn.stores.dimensions import NAMES

from .breakdowns import ATTRIBUTES

_COUNTED: Final = RESERVED_NAMES - {PAGE_VIEW, EXCEPTION}
"""Events that no breakdown counts."""


@dataclass(frozen=True)
class BreakdownStatements:
    """In one database's dialect."""

    d: Dialect

    @property
    def _started(self) -> str:
        return f"s.started_at >= {self.d['since']} AND s.started_at < {self.d['until']}"

    @cached_property
    def sessions(self) -> str:
        """The facts of a span's sessions."""
        return self.facts(f"sojourn_sessions AS s WHERE {self._started}")

    def facts(self, tables: str) -> str:
        """The facts of the sessions AS s of these tables."""
        d = self.d
        row = d.array(
            "s.key",
            "s.user_id",
            "s.user_name",
            "s.last_seen_at",
            "CASE WHEN s.last_seen_at > s.started_at THEN s.last_seen_at - s.started_at ELSE 0 END",
            "CASE WHEN s.end_reason IS NULL THEN 1 ELSE 0 END",
            "s.page_views",
            "s.tracked_events",
            "s.errors",
            "s.exit_ms",
            d.array(*(f"s.{name}" for name in NAMES)),
        )
        return f"SELECT {d.rows.format(row)} FROM {tables}"

    @cached_property
    def events(self) -> str:
        """The facts of the events of a span's sessions."""
        return self._events(
            f"sojourn_sessions AS s {self.d.join} sojourn_events AS e ON e.session_key = s.key", self._started
        )

    @cached_property
    def events_of(self) -> str:
        """The facts of the events of these sessions."""
        return self._events("sojourn_events AS e", self.d.among.format("e.session_key", self.d["keys"]))

    def _events(self, tables: str, where: str) -> str:
        d = self.d
        row = d.array("e.session_key", "e.name", "e.time", *(d.attribute.format("e.data", name) for name in ATTRIBUTES))
        left_out = ", ".join(f"'{name}'" for name in sorted(_COUNTED))
        return f"SELECT {d.rows.format(row)} FROM {tables} WHERE {where} AND e.name NOT IN ({left_out})"

    @cached_property
    def forget(self) -> str:
        """Delete the breakdowns of an hour or a day whose rollup was just finished by this claim."""
        return f"DELETE FROM sojourn_breakdowns WHERE id = {self.d['id']} AND {self._is_finished}"

    @cached_property
    def keep(self) -> str:
        """Store them, likewise."""
        d = self.d
        return f"""
INSERT INTO sojourn_breakdowns (name, id, token, content)
SELECT {d.item.format(0)}, {d["id"]}, {d["token"]}, {d.item.format(1)} FROM {d.items.format(d["breakdowns"])} AS each
WHERE {self._is_finished}
"""

    @property
    def _is_finished(self) -> str:
        d = self.d
        mine = f"id = {d['id']} AND token = {d['token']}"
        return f"EXISTS (SELECT 1 FROM sojourn_rollups WHERE {mine} AND sessions IS NOT NULL)"

    @cached_property
    def stored(self) -> str:
        """The stored tables of some breakdowns beside some rollups, each looked up by its key."""
        d = self.d
        # Put together as texts: to parse what is JSON already, and to write it again, takes longer than all else.
        row = """',["' || b.name || '",' || b.id || ',' || b.content || ']'"""
        return f"""
SELECT '[' || COALESCE(substr({d.joined.format(row)}, 2), '') || ']'
FROM {d.numbers.format(d["ids"])} AS i {d.join} sojourn_rollups AS r ON r.id = i.value AND r.sessions IS NOT NULL
{d.join} {d.texts.format(d["names"])} AS n ON true
{d.join} sojourn_breakdowns AS b ON b.name = n.value AND b.id = r.id AND b.token = r.token
"""
