"""The recorder's side of the agents' table, in any database."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from .dialect import Dialect
from .schema import AGENTS

_TEXTS = frozenset({"agent", "path", "kind"})


def agent_pages(d: Dialect) -> str:
    """Read the agents and paths of `:hours`."""
    pages = f"SELECT DISTINCT at, agent, path FROM sojourn_agents WHERE {d.among_numbers.format('at', ':hours')}"
    return d.sql(f"SELECT {d.rows.format(d.array('at', 'agent', 'path'))} FROM ({pages}) AS pages")


def add_agents(d: Dialect) -> str:
    """Add `:agents` to their rows; after the lock of the log."""
    values = ", ".join(
        (d.item if column.name in _TEXTS else d.integer).format(place) for place, column in enumerate(AGENTS.columns)
    )
    added = ", ".join(f"{name} = sojourn_agents.{name} + excluded.{name}" for name in ("hits", "verified", "refuted"))
    return d.sql(f"""
INSERT INTO sojourn_agents ({AGENTS.names})
SELECT {values} FROM {d.items.format(":agents")} AS each WHERE true
ON CONFLICT (at, agent, path, status) DO UPDATE SET {added},
    last_at = {d.greatest}(sojourn_agents.last_at, excluded.last_at)
""")
