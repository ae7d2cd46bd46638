"""Retention in any database."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from . import counting, wire
from .database import Database, Transaction
from .dialect import Dialect
from .reporting.rollups import Rollups

IN_USE_FOR: Final = 7 * 24 * 3_600_000
"""How long (ms) a backend that no process has named any more still holds back the retention."""


class SQLMaintenance:
    """The port `Maintenance`."""

    def __init__(
        self,
        database: Database,
        rollups: Rollups,
        checkpoint: Callable[[], bool],
        replicas: Callable[[], Sequence[str]],
    ) -> None:
        self.checkpoint = checkpoint
        self.replicas = replicas
        self.roll_up = rollups.roll_up
        self._database = database
        self._sql = _Statements(database.dialect)

    def expire(self, *, older_than: int, limit: int, now: int) -> int:
        sql = self._sql

        def attempt(work: Transaction) -> int:
            sessions = work.execute(sql.sessions, older_than=older_than, limit=limit)[0].rows
            *_, oldest = work.execute(
                self._database.lock_log,
                sql.lock_backends,
                sql.old_events,
                older_than=older_than,
                limit=limit - sessions,
                in_use_since=now - IN_USE_FOR,
            )
            _, events, local, _, _, _, _, letters, agents, _ = work.execute(
                sql.drop_unread,
                sql.events,
                sql.local_events,
                sql.aliases,
                sql.journals,
                sql.tombstones,
                sql.withheld,
                sql.letters,
                sql.agents,
                sql.imported,
                older_than=older_than,
                seqs=oldest.row[0],
                limit=limit - sessions - oldest.row[1],
            )
            counts = {
                "sessions.expired": sessions,
                "events.expired": events.rows + local.rows,
                "dead_letters.expired": letters.rows,
            }
            work.execute(sql.add_counts, counts=wire.encode(counts))
            return sessions + events.rows + local.rows + letters.rows + agents.rows

        return self._database.write(attempt)


class _Statements:
    """In one database's dialect."""

    def __init__(self, d: Dialect) -> None:
        self.lock_backends: Final = counting.lock_backends(d)
        # Of those that another transaction has locked, the next call takes care.
        locked = d.locked.format("sojourn_sessions")
        skipping = f"{locked} SKIP LOCKED" if locked else ""
        self.sessions: Final = d.sql(f"""
DELETE FROM sojourn_sessions WHERE key IN (
    SELECT key FROM sojourn_sessions
    WHERE started_at < :older_than AND last_seen_at < :older_than AND end_reason IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM sojourn_events WHERE session_key = key AND (is_suppressed OR seq < 0))
    ORDER BY started_at LIMIT :limit {skipping})
""")
        # Time runs with `seq` but for clocks that differ, so only the oldest few are read, not the whole log.
        self.old_events: Final = d.sql(f"""
SELECT {d.rows.format("seq")}, COUNT(*) FROM (
    SELECT seq, time FROM sojourn_events
    WHERE seq > 0 AND seq <= COALESCE(
        (SELECT MIN(cursor) FROM sojourn_backends WHERE in_use_at >= :in_use_since), 9223372036854775807)
    ORDER BY seq LIMIT :limit) AS oldest
WHERE time < :older_than
""")
        # A backend that is in no use any more does not hold the log; what it loses is counted as dropped.
        self.drop_unread: Final = counting.count_unread(d, "dropped")
        self.events: Final = d.sql(f"DELETE FROM sojourn_events WHERE {d.among_numbers.format('seq', ':seqs')}")
        # Imported in any order of time, so they go with their session: the events first, then its row.
        self.local_events: Final = d.sql("""
DELETE FROM sojourn_events WHERE seq IN (
    SELECT e.seq FROM sojourn_sessions AS s JOIN sojourn_events AS e ON e.session_key = s.key
    WHERE s.started_at < :older_than AND s.last_seen_at < :older_than AND s.end_reason IS NOT NULL AND e.seq < 0
    ORDER BY s.started_at LIMIT :limit)
""")
        self.imported: Final = d.sql("DELETE FROM sojourn_imported WHERE hour < :older_than")
        self.letters: Final = d.sql("""
DELETE FROM sojourn_dead_letters WHERE number IN (
    SELECT number FROM sojourn_dead_letters WHERE at < :older_than ORDER BY number LIMIT :limit)
""")
        # Older records are not applied any more, so they cannot bring a person back.
        self.tombstones: Final = d.sql("DELETE FROM sojourn_tombstones WHERE NOT is_for_good AND at < :older_than")
        self.withheld: Final = """
DELETE FROM sojourn_withheld
WHERE NOT EXISTS (SELECT 1 FROM sojourn_events AS e WHERE e.session_key = sojourn_withheld.session_key)
"""
        self.aliases: Final = d.sql("DELETE FROM sojourn_aliases WHERE at < :older_than")
        # By its primary key, and in slices. They are figures, not rows that anything else is counted by.
        self.agents: Final = d.sql("""
DELETE FROM sojourn_agents WHERE (at, agent, path, status) IN (
    SELECT at, agent, path, status FROM sojourn_agents WHERE at < :older_than ORDER BY at LIMIT :limit)
""")
        self.journals: Final = d.sql("DELETE FROM sojourn_journals WHERE is_gone AND heard_at < :older_than")
        self.add_counts: Final = counting.add_counts(d)
