"""Aliases of sessions, in any database: keys of successors that were folded into the session before.

See P33 in docs/internals.md.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from .dialect import Dialect


def aliases(d: Dialect) -> str:
    """Read the sessions that these keys stand for."""
    alias = d.array("key", "target")
    return d.sql(f"SELECT {d.rows.format(alias)} FROM sojourn_aliases WHERE {d.among.format('key', ':keys')}")


def add_aliases(d: Dialect) -> str:
    """Add aliases; one that is there holds."""
    return d.sql(f"""
INSERT INTO sojourn_aliases (key, target, at)
SELECT {d.item.format(0)}, {d.item.format(1)}, {d.integer.format(2)} FROM {d.items.format(":aliases")} AS each WHERE true
ON CONFLICT (key) DO NOTHING
""")


def in_progress(d: Dialect) -> str:
    """Return the statement that reads which open sessions these visitors have, the one that started last at the end."""
    return d.sql(f"""
SELECT {d.rows.format(d.array("visitor_id", "key"))} FROM (
    SELECT visitor_id, key FROM sojourn_sessions
    WHERE {d.among.format("visitor_id", ":visitors")} AND end_reason IS NULL ORDER BY started_at, key) AS open
""")
