"""Statements of breakdowns, once for both databases."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sojourn.stores.dialect import Dialect

from .statements import is_finished


@dataclass(frozen=True)
class BreakdownStatements:
    """In one database's dialect."""

    d: Dialect

    @cached_property
    def forget(self) -> str:
        """Delete the breakdowns of an hour or a day whose rollup was just finished by this claim."""
        return f"DELETE FROM sojourn_breakdowns WHERE id = {self.d['id']} AND {is_finished(self.d)}"

    @cached_property
    def keep(self) -> str:
        """Store them, likewise."""
        d = self.d
        return f"""
INSERT INTO sojourn_breakdowns (name, id, token, content)
SELECT {d.item.format(0)}, {d["id"]}, {d["token"]}, {d.item.format(1)} FROM {d.items.format(d["breakdowns"])} AS each
WHERE {is_finished(self.d)}
"""

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
