"""The figures that must add up: the log's own count of events, each backend's, and the counters."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from typing import Final

from .dialect import Dialect

RECORDED: Final = "events.recorded"
"""The log's own count of what it took, less what was withdrawn: what each backend's figures must add up to."""

LOCAL: Final = "events.local"
"""Likewise of what was imported or recomputed, which no backend counts (P42)."""

HEAD: Final = "(SELECT COALESCE(MAX(seq), 0) FROM sojourn_events WHERE seq > 0)"
"""The last recorded event. What was imported has numbers below 0, which no cursor of a backend comes to (P42)."""
RECORDED_SO_FAR: Final = f"COALESCE((SELECT value FROM sojourn_counters WHERE name = '{RECORDED}'), 0)"

STORED: Final = """(
    SELECT COALESCE(SUM(CASE WHEN name IN ('events.recorded', 'events.local') THEN value ELSE -value END), 0)
    FROM sojourn_counters WHERE name IN ('events.recorded', 'events.local', 'events.expired', 'events.erased'))"""
"""How many events the log has. Counted as they come and go: to count ten million rows takes a quarter of a second."""

BACKLOG: Final = "(SELECT COUNT(*) FROM sojourn_events WHERE seq > cursor)"
"""How many events a backend has still to read."""

_SETTLED: Final = "delivered + dead + skipped + dropped + expired"


def quick_backlog(d: Dialect) -> str:
    """`BACKLOG`, counted up to 10,000 and computed beyond.

    A dispatcher asks before each batch: a long backlog would be counted again for each few hundred events.
    """
    return f"""(
    SELECT CASE WHEN few < 10000 THEN few
                ELSE {d.greatest}(few, {RECORDED_SO_FAR} - recorded_before - ({_SETTLED})) END
    FROM (SELECT COUNT(*) AS few FROM (SELECT 1 FROM sojourn_events WHERE seq > cursor LIMIT 10000) AS first) AS counted)"""


def state(d: Dialect, backlog: str) -> str:
    """A `BackendState` as one value."""
    return d.array(
        "name",
        "cursor",
        f"{RECORDED_SO_FAR} - recorded_before",
        "delivered",
        "dead",
        "skipped",
        "dropped",
        "retried",
        backlog,
        "retry_at",
        "failures",
        "problem",
        "expired",
        "oldest_accepted",
    )


def add_counts(d: Dialect) -> str:
    """Add `:counts` to the counters; after `lock_log`."""
    return d.sql(f"""
INSERT INTO sojourn_counters (name, value)
SELECT key, value FROM {d.entries.format(":counts")} AS each WHERE value <> 0 ORDER BY key
ON CONFLICT (name) DO UPDATE SET value = sojourn_counters.value + excluded.value
""")


def count_unread(d: Dialect, figure: str) -> str:
    """Count those of `:seqs`, which are about to be deleted, that a backend has still to read."""
    seqs = d.numbers.format(":seqs")
    return d.sql(f"""
UPDATE sojourn_backends SET {figure} = {figure} + (SELECT COUNT(*) FROM {seqs} AS gone WHERE gone.value > cursor)
WHERE cursor < (SELECT MAX(value) FROM {seqs} AS gone)
""")


def lock_backends(d: Dialect) -> str:
    """Lock the rows of all backends, by name."""
    locked = d.locked.format("sojourn_backends")
    return f"SELECT COUNT(*) FROM (SELECT 1 FROM sojourn_backends ORDER BY name {locked}) AS locked" if locked else ""


def lock_backend(d: Dialect) -> str:
    """Lock the row of `:name`: what is withdrawn or erased meanwhile is counted by what comes after."""
    locked = d.locked.format("sojourn_backends")
    return d.sql(f"SELECT 1 FROM sojourn_backends WHERE name = :name {locked}") if locked else ""
