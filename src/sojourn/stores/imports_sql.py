"""What is written of an import, in any database: events that no backend gets, and which lines they were made of.

See P42 in docs/internals.md.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from sojourn.core.events import START

from .dialect import Dialect
from .schema import EVENTS
from .tables import Kind


def insert_local(d: Dialect) -> str:
    """Insert `:events` before all recorded ones, behind those inserted so before; after the lock of the log."""
    forms = {Kind.INTEGER: d.integer, Kind.BOOLEAN: d.boolean}
    values = ", ".join(
        forms.get(column.kind, d.item).format(place) for place, column in enumerate(EVENTS.columns[1:], 1)
    )
    return d.sql(f"""
INSERT INTO sojourn_events ({EVENTS.names})
SELECT (SELECT COALESCE(MAX(seq), {START.stored}) FROM sojourn_events WHERE seq < 0) + {d.integer.format(0)}, {values}
FROM {d.items.format(":events")} AS each WHERE true
ON CONFLICT (id) DO NOTHING
""")


def add_imported(d: Dialect) -> str:
    """Add `:imported` lines."""
    return d.sql(f"""
INSERT INTO sojourn_imported (hour, part, lines)
SELECT {d.integer.format(0)}, {d.item.format(1)}, {d.item.format(2)} FROM {d.items.format(":imported")} AS each
""")
