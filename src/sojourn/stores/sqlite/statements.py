"""SQLite's driver-level statements, made once from the tables: the seam where another database has its own.

Each is set-based. Rows come in as one JSON parameter and leave as one JSON value, because `sqlite3` gives up the
interpreter lock at every step: beside a busy thread, a statement per row is a hundred times slower. Written for SQLite
3.33, which Python 3.11 still meets on supported systems: so no `->>`, no RETURNING.
"""

# ruff: noqa: S608 - every part is written here or comes from the tables; values are always parameters
from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from sojourn.core.events import SESSION_END, SESSION_START
from sojourn.stores.schema import BACKENDS, EVENTS, JSON_COLUMNS, LIVELY, METADATA, SESSIONS

_DIALECT: Final = sqlite.dialect()


def _names(table: Table) -> str:
    return ", ".join(column.name for column in table.c)


def _out(column: Column[object], table: str) -> str:
    return f"json({table}.{column.name})" if column in JSON_COLUMNS else f"{table}.{column.name}"


def _in(count: int) -> str:
    return ", ".join(f"json_extract(value, '$[{index}]')" for index in range(count))


def _ddl() -> tuple[str, ...]:
    tables = METADATA.sorted_tables
    made: list[CreateTable | CreateIndex] = [CreateTable(table) for table in tables]
    made += [
        CreateIndex(index) for table in tables for index in sorted(table.indexes, key=lambda each: each.name or "")
    ]
    return tuple(str(element.compile(dialect=_DIALECT)).strip() for element in made)


CREATE: Final = _ddl()

RECORDED: Final = "events.recorded"
"""The log's own count of what it took, less what was withdrawn: what each backend's figures must add up to."""

# --- sessions

SESSION_JSON: Final = f"json_array({', '.join(_out(column, 's') for column in SESSIONS.c)})"
"""A row of sessions AS s as one value."""
_SESSION_SETS: Final = ", ".join(f"{c.name} = excluded.{c.name}" for c in SESSIONS.c if not c.primary_key)

# With the rows, the ids of their ends that lie beyond what any backend has begun to read, and the tombstones of people.
_LOADED: Final = f"""
SELECT json_group_array({SESSION_JSON}),
       json_group_array(e.id) FILTER (WHERE e.seq > (SELECT COALESCE(MAX(read_seq), 0) FROM sojourn_backends)),
       (SELECT json_group_array(json_array(hash, at, is_for_good)) FROM sojourn_tombstones
        WHERE hash IN (SELECT value FROM json_each(:people))),
       EXISTS (SELECT 1 FROM sojourn_tombstones)
FROM sojourn_sessions AS s LEFT JOIN sojourn_events AS e ON e.id = s.end_event_id
"""

LOAD: Final = f"{_LOADED} WHERE s.key IN (SELECT value FROM json_each(:keys))"

LOAD_WITH_SUCCESSORS: Final = f"""
WITH RECURSIVE after(key) AS (
    SELECT s.key FROM sojourn_sessions AS s WHERE s.previous_key IN (SELECT value FROM json_each(:after))
    UNION
    SELECT s.key FROM sojourn_sessions AS s JOIN after ON s.previous_key = after.key
)
{_LOADED} WHERE s.key IN (SELECT value FROM json_each(:keys) UNION SELECT key FROM after)
"""

# Each arm reads one partial index and stops at the limit; what two arms find is one row.
SILENT: Final = f"""
{_LOADED} WHERE s.key IN (
    SELECT key FROM (
        SELECT key, last_seen_at FROM (
            SELECT key, last_seen_at FROM sojourn_sessions
            WHERE end_reason IS NULL AND is_manual = 0 AND last_seen_at <= :seen_before
            ORDER BY last_seen_at LIMIT :limit)
        UNION
        SELECT key, last_seen_at FROM (
            SELECT key, last_seen_at FROM sojourn_sessions
            WHERE end_reason IS NULL AND is_manual = 1 AND last_seen_at <= :manual_seen_before
            ORDER BY last_seen_at LIMIT :limit)
        UNION
        SELECT key, last_seen_at FROM (
            SELECT key, last_seen_at FROM sojourn_sessions
            WHERE end_reason IS NULL AND is_manual <= :manual_too AND started_at <= :started_before
            ORDER BY +last_seen_at LIMIT :limit)
    ) ORDER BY last_seen_at LIMIT :limit
)
"""

TOMBSTONES: Final = """
SELECT json_group_array(json_array(hash, at, is_for_good)) FROM sojourn_tombstones
WHERE hash IN (SELECT value FROM json_each(:people))
"""

# --- what a batch writes

_COUNTED: Final = "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"

_WITHDRAW: Final = "DELETE FROM sojourn_events WHERE id IN (SELECT value FROM json_each(NEW.withdrawn))"

_COUNT_WITHDRAWN: Final = f"""
INSERT INTO sojourn_counters (name, value) SELECT '{RECORDED}', -changes() WHERE changes() > 0 {_COUNTED}
"""

# An index is written anew when a column of it is set, even to what it was: so mere activity sets as few as it can.
_TOUCH_SESSIONS: Final = f"""
UPDATE sojourn_sessions SET {", ".join(f"{name} = json_extract(value, '$[{n}]')" for n, name in enumerate(LIVELY, 1))}
FROM json_each(NEW.touched) WHERE sojourn_sessions.key = json_extract(value, '$[0]')
"""

_UPSERT_SESSIONS: Final = f"""
INSERT INTO sojourn_sessions ({_names(SESSIONS)})
SELECT {_in(len(SESSIONS.c))} FROM json_each(NEW.sessions) WHERE true
ON CONFLICT (key) DO UPDATE SET {_SESSION_SETS}
"""

# What is for the own store only is so by its session, which was written before.
_INSERT_EVENTS: Final = f"""
INSERT INTO sojourn_events (id, name, time, session_key, session_started_at, is_manual, data, no_forward)
SELECT {_in(7)}, COALESCE((SELECT s.no_forward FROM sojourn_sessions AS s WHERE s.key = json_extract(value, '$[3]')), 0)
FROM json_each(NEW.events) WHERE true
ON CONFLICT (id) DO NOTHING
"""

_COUNT_INSERTED: Final = f"""
INSERT INTO sojourn_counters (name, value) SELECT '{RECORDED}', changes() WHERE changes() > 0 {_COUNTED}
"""

_ADD_COUNTS: Final = f"""
INSERT INTO sojourn_counters (name, value) SELECT key, value FROM json_each(NEW.counts) WHERE value <> 0 {_COUNTED}
"""

# What is said twice is joined: the latest time, and for good stays for good.
SET_TOMBSTONES: Final = """
INSERT INTO sojourn_tombstones (hash, at, is_for_good)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
FROM json_each({tombstones}) WHERE true
ON CONFLICT (hash) DO UPDATE SET at = MAX(at, excluded.at), is_for_good = MAX(is_for_good, excluded.is_for_good)
"""

# After the sessions of this batch: those that it made are barred too.
_BAR: Final = """
UPDATE sojourn_sessions SET is_suppressed = 1 WHERE visitor_id IN (SELECT value FROM json_each(NEW.opted_out))
"""

# Touches a row only where it stands at the position that this batch was read from; the count of rows tells.
_MOVE_MARKS: Final = f"""
INSERT INTO sojourn_journals (id, position, position_before, recorded_until, heard_at, totals, is_gone)
SELECT {_in(6)}, 0 FROM json_each(NEW.marks)
WHERE json_extract(value, '$[2]') = 0 OR EXISTS (SELECT 1 FROM sojourn_journals WHERE id = json_extract(value, '$[0]'))
ON CONFLICT (id) DO UPDATE SET
    position = excluded.position, position_before = excluded.position_before,
    recorded_until = excluded.recorded_until, heard_at = excluded.heard_at, totals = excluded.totals
WHERE position = excluded.position_before AND NOT is_gone
"""

_REFUSE_MOVED: Final = "SELECT RAISE(ABORT, 'position moved') WHERE changes() <> json_array_length(NEW.marks)"

_STEPS: Final = (
    _WITHDRAW,  # first: an end that was taken back and made again in one batch has the same id
    _COUNT_WITHDRAWN,
    _TOUCH_SESSIONS,
    _UPSERT_SESSIONS,
    _INSERT_EVENTS,
    _COUNT_INSERTED,
    _ADD_COUNTS,
    SET_TOMBSTONES.format(tombstones="NEW.tombstones"),
    _BAR,
    _MOVE_MARKS,
    _REFUSE_MOVED,
)

# All of a batch is one statement, by a trigger on a view of this connection alone: beside a busy thread every call that
# gives up the interpreter lock waits 5 ms for it, and these are eleven.
PREPARE: Final = (
    """CREATE TEMP VIEW IF NOT EXISTS batch
    (withdrawn, touched, sessions, events, counts, marks, tombstones, opted_out) AS
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL""",
    f"CREATE TEMP TRIGGER IF NOT EXISTS save_batch INSTEAD OF INSERT ON batch BEGIN {';'.join(_STEPS)}; END",
)

SAVE: Final = (
    "INSERT INTO batch VALUES (:withdrawn, :touched, :sessions, :events, :counts, :marks, :tombstones, :opted_out)"
)

# --- the event log

EVENT_JSON: Final = f"json_array({', '.join('json(data)' if c is EVENTS.c.data else c.name for c in EVENTS.c)})"
"""A row of the log as one value."""

EVENTS_AFTER: Final = f"""
SELECT json_group_array({EVENT_JSON}) FROM (SELECT * FROM sojourn_events WHERE seq > :seq ORDER BY seq LIMIT :limit)
"""

EVENTS_OF_SESSION: Final = f"""
SELECT json_group_array({EVENT_JSON}) FROM (
    SELECT * FROM sojourn_events WHERE session_key = :key AND seq > :after ORDER BY seq LIMIT :limit)
"""

LATEST_SESSIONS: Final = f"""
SELECT json_group_array({SESSION_JSON}) FROM (
    SELECT * FROM sojourn_sessions WHERE started_at <= :started_before ORDER BY started_at DESC LIMIT :limit) AS s
"""

# --- journals, backends and leases

MARKS: Final = """
SELECT json_group_array(json_array(id, position, recorded_until, heard_at, json(totals)))
FROM sojourn_journals WHERE NOT is_gone
"""

FORGET_JOURNALS: Final = """
UPDATE sojourn_journals SET is_gone = 1, totals = '{}' WHERE id IN (SELECT value FROM json_each(:ids))
"""

RECORDED_UNTIL: Final = (
    "SELECT MIN(recorded_until) FROM sojourn_journals WHERE NOT is_gone AND heard_at >= :heard_since"
)

_HEAD: Final = "(SELECT COALESCE(MAX(seq), 0) FROM sojourn_events)"

HEAD: Final = f"SELECT {_HEAD}"

_RECORDED: Final = f"COALESCE((SELECT value FROM sojourn_counters WHERE name = '{RECORDED}'), 0)"
_HOLDS: Final = "EXISTS (SELECT 1 FROM sojourn_leases WHERE name = :lease AND holder = :holder AND token = :token)"

REGISTER: Final = f"""
INSERT INTO sojourn_backends ({_names(BACKENDS)})
SELECT value, {_HEAD}, {_HEAD}, {_RECORDED}, :now, 0, 0, 0, 0, 0, NULL, 0, NULL, {_HEAD} FROM json_each(:names) WHERE true
ON CONFLICT (name) DO UPDATE SET in_use_at = MAX(in_use_at, excluded.in_use_at)
"""

_SETTLED: Final = "delivered + dead + skipped + dropped"
_BACKLOG: Final = "(SELECT COUNT(*) FROM sojourn_events WHERE seq > cursor)"
# A dispatcher asks before each batch: beyond so many rows it is told the difference, or a long backlog would be counted
# again for each few hundred events.
_BACKLOG_SOON: Final = f"""(
    SELECT CASE WHEN found < 10000 THEN found ELSE MAX(found, {_RECORDED} - recorded_before - ({_SETTLED})) END
    FROM (SELECT COUNT(*) AS found FROM (SELECT 1 FROM sojourn_events WHERE seq > cursor LIMIT 10000)))"""


def _state(backlog: str) -> str:
    return f"""json_array(name, cursor, {_RECORDED} - recorded_before, delivered, dead, skipped, dropped, retried,
        {backlog}, retry_at, failures, problem)"""


BACKEND: Final = f"SELECT json_group_array({_state(_BACKLOG_SOON)}) FROM sojourn_backends WHERE name = :name"

STATS: Final = f"""
SELECT (SELECT json_group_object(name, value) FROM sojourn_counters),
       (SELECT COUNT(*) FROM sojourn_sessions),
       (SELECT COUNT(*) FROM sojourn_sessions WHERE end_reason IS NULL),
       (SELECT COUNT(*) FROM sojourn_events),
       (SELECT json_group_array({_state(_BACKLOG)}) FROM sojourn_backends)
"""

RENEW: Final = "UPDATE sojourn_leases SET until = :until WHERE name = :lease AND holder = :holder AND token = :token"

_CURSOR: Final = "(SELECT cursor FROM sojourn_backends WHERE name = :name)"

# A start went out if it is behind the cursor and was not withheld: what is barred is so from the claim that passes it.
_STARTED: Final = f"""
SELECT {EVENT_JSON} FROM sojourn_events AS first
WHERE first.session_key = next.session_key AND first.name = '{SESSION_START}' AND first.seq <= {_CURSOR}
  AND first.seq > (SELECT first_seq FROM sojourn_backends WHERE name = :name)
  AND NOT EXISTS (SELECT 1 FROM sojourn_withheld WHERE backend = :name AND session_key = next.session_key)
"""

# Sessions are looked at only in a store that somebody has left.
CLAIM: Final = f"""
SELECT json_group_array({EVENT_JSON}), MAX(seq),
       json_group_array(id) FILTER (WHERE is_suppressed),
       json_group_array(json(({_STARTED}))) FILTER (WHERE is_suppressed AND name = '{SESSION_END}')
FROM (
    SELECT *, CASE WHEN EXISTS (SELECT 1 FROM sojourn_tombstones) THEN EXISTS (
        SELECT 1 FROM sojourn_sessions AS s WHERE s.key = session_key AND s.is_suppressed) ELSE 0 END AS is_suppressed
    FROM sojourn_events WHERE seq > {_CURSOR} ORDER BY seq LIMIT :limit) AS next
"""

WITHHOLD: Final = """
INSERT INTO sojourn_withheld (backend, session_key) SELECT :name, value FROM json_each(:keys) WHERE true
ON CONFLICT (backend, session_key) DO NOTHING
"""

BEGIN_READING: Final = (
    "UPDATE sojourn_backends SET read_seq = MAX(read_seq, :seq), in_use_at = MAX(in_use_at, :now) WHERE name = :name"
)

# What was erased since it was claimed is no row any more, and was counted as skipped then: so the figures add up.
_ERASED_SINCE: Final = "(:total - (SELECT COUNT(*) FROM sojourn_events WHERE seq > cursor AND seq <= :upto))"

SETTLE: Final = f"""
UPDATE sojourn_backends SET
    cursor = :upto, read_seq = MAX(read_seq, :upto), in_use_at = MAX(in_use_at, :now),
    delivered = delivered + :delivered, skipped = skipped + :skipped - {_ERASED_SINCE}, dropped = dropped + :dropped,
    dead = dead + :dead, retried = retried + :retried,
    retry_at = :retry_at, failures = :failures, problem = :problem
WHERE name = :name AND cursor <= :upto AND {_HOLDS}
"""

BURY: Final = """
INSERT INTO sojourn_dead_letters (backend, event_id, reason, status, at, event)
SELECT :name, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), :now,
       json_extract(value, '$[3]')
FROM json_each(:letters)
"""

DEAD_LETTERS: Final = """
SELECT json_group_array(json_array(backend, reason, status, at, json(event)))
FROM (SELECT * FROM sojourn_dead_letters WHERE backend = :name ORDER BY number LIMIT :limit)
"""

ACQUIRE: Final = """
INSERT INTO sojourn_leases (name, holder, token, until) VALUES (:name, :holder, 1, :until)
ON CONFLICT (name) DO UPDATE SET
    token = token + (holder IS NOT excluded.holder), holder = excluded.holder, until = excluded.until
WHERE holder IS NULL OR holder = excluded.holder OR until <= :now OR holder IN (SELECT value FROM json_each(:dead))
"""

LEASE: Final = "SELECT name, holder, token, until FROM sojourn_leases WHERE name = :name AND holder IS NOT NULL"

RELEASE: Final = "UPDATE sojourn_leases SET holder = NULL, until = 0 WHERE holder = :holder"

# --- retention

EXPIRE_SESSIONS: Final = """
DELETE FROM sojourn_sessions WHERE key IN (
    SELECT key FROM sojourn_sessions
    WHERE started_at < :older_than AND last_seen_at < :older_than AND end_reason IS NOT NULL
      AND NOT (is_suppressed AND EXISTS (SELECT 1 FROM sojourn_events WHERE session_key = key))
    ORDER BY started_at LIMIT :limit)
"""

# Time runs with `seq` but for clocks that differ, so only the oldest few are looked at, not the whole log.
OLD_EVENTS: Final = """
SELECT json_group_array(seq) FROM (
    SELECT seq, time FROM sojourn_events
    WHERE seq <= COALESCE((SELECT MIN(cursor) FROM sojourn_backends WHERE in_use_at >= :in_use_since), 9223372036854775807)
    ORDER BY seq LIMIT :limit)
WHERE time < :older_than
"""

# A backend that nobody uses any more does not hold the log; what it loses is counted as dropped.
DROP_UNREAD: Final = """
UPDATE sojourn_backends SET dropped = dropped + (SELECT COUNT(*) FROM json_each(:seqs) WHERE value > cursor)
WHERE cursor < (SELECT MAX(value) FROM json_each(:seqs))
"""

EXPIRE_EVENTS: Final = "DELETE FROM sojourn_events WHERE seq IN (SELECT value FROM json_each(:seqs))"

EXPIRE_LETTERS: Final = """
DELETE FROM sojourn_dead_letters WHERE number IN (
    SELECT number FROM sojourn_dead_letters WHERE at < :older_than ORDER BY number LIMIT :limit)
"""

# Records as old as that are not applied any more: nobody can come back.
EXPIRE_TOMBSTONES: Final = "DELETE FROM sojourn_tombstones WHERE NOT is_for_good AND at < :older_than"

EXPIRE_WITHHELD: Final = """
DELETE FROM sojourn_withheld
WHERE NOT EXISTS (SELECT 1 FROM sojourn_events AS e WHERE e.session_key = sojourn_withheld.session_key)
"""

EXPIRE_JOURNALS: Final = "DELETE FROM sojourn_journals WHERE is_gone AND heard_at < :older_than"
