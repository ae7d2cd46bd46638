"""PostgreSQL's hot statements: those that load and save a batch of the recorder.

Each is set-based: rows come in as one JSON parameter and leave as one JSON value. Tables are named without a schema, which
every transaction sets. Rows that are read before they are changed are locked first, by a statement of its own, because a
statement sees what was committed before it began. Locks are taken in this order, so that two transactions seldom wait for
each other: sessions by key, the log, a lease, backends by name.

See P11 and P13 in docs/internals.md.
"""

# ruff: noqa: S608 - every part is written here or comes from the tables; values are always parameters
from __future__ import annotations

from typing import Final

from sojourn.stores import imports_sql
from sojourn.stores.agents_sql import add_agents, agent_pages
from sojourn.stores.aliases_sql import add_aliases, aliases, in_progress
from sojourn.stores.counting import LOCAL, RECORDED, add_counts, lock_backends
from sojourn.stores.data_subjects_sql import set_tombstones
from sojourn.stores.inbox import statements as inbox
from sojourn.stores.recomputing import remove_sessions
from sojourn.stores.schema import JSON_COLUMNS, SESSIONS
from sojourn.stores.tables import Column, Kind

from .dialect import POSTGRESQL

_NOTHING: Final = "'[]'"


def array(value: str) -> str:
    """All of one column's values as one JSON text."""
    return f"COALESCE(json_agg({value}), {_NOTHING})::text"


def array_where(value: str, condition: str) -> str:
    return f"COALESCE(json_agg({value}) FILTER (WHERE {condition}), {_NOTHING})::text"


def texts(name: str) -> str:
    """A JSON parameter as an array of texts."""
    return f"ARRAY(SELECT json_array_elements_text(%({name})s::json))"


def require(condition: str, reason: str) -> str:
    """Let a transaction fail with this reason unless the condition holds, without a round trip to ask.

    The error is that the reason, a word, is no integer.
    """
    return f"SELECT (CASE WHEN {condition} THEN '0' ELSE '{reason}' END)::int"


def lock_log(number: int) -> str:
    """Lock the log for writing, until the transaction is visible to all others.

    So each number of the log becomes visible before any greater one: no cursor skips one that commits late. A recorder
    locks, writes and commits in one message, and so holds the lock for no round trip.
    """
    return f"SELECT pg_advisory_xact_lock({number})"


# --- sessions


# A row that only reserves its key: no other transaction ever sees it, and no index of open sessions contains it.
_PLACEHOLDER: Final = "end_reason = ''"


def _blank(column: Column) -> str:
    if column.name in SESSIONS.key:
        return "places.key"
    if column in JSON_COLUMNS:
        return _NOTHING
    if column.kind is Kind.BOOLEAN:
        return "false"
    return "''" if column.kind is Kind.TEXT else "0"


_HELD: Final = [column for column in SESSIONS.columns if not column.is_nullable or column.name == "end_reason"]

# Of two transactions that fold the same new session, the second waits here, and then reads the row of the first.
HOLD_PLACES: Final = f"""
INSERT INTO sojourn_sessions ({", ".join(column.name for column in _HELD)})
SELECT {", ".join(map(_blank, _HELD))} FROM unnest({texts("keys")}) AS places(key)
WHERE NOT EXISTS (SELECT 1 FROM sojourn_sessions AS s WHERE s.key = places.key)
ORDER BY places.key COLLATE "C"
ON CONFLICT (key) DO NOTHING
"""

DROP_PLACES: Final = f"DELETE FROM sojourn_sessions WHERE {_PLACEHOLDER} AND key = ANY({texts('unfilled')})"

LOCK: Final = f"""
SELECT {array("key")} FROM (
    SELECT key FROM sojourn_sessions WHERE key = ANY({texts("keys")}) ORDER BY key FOR UPDATE) AS locked
"""

# By index, session by session: with a guess at their number, the planner would read the whole table twice.
_AFTER: Final = f"""
WITH RECURSIVE after(key) AS (
    SELECT s.key FROM unnest({texts("after")}) AS named(key),
        LATERAL (SELECT key FROM sojourn_sessions WHERE previous_key = named.key OFFSET 0) AS s
    UNION
    SELECT s.key FROM after, LATERAL (SELECT key FROM sojourn_sessions WHERE previous_key = after.key OFFSET 0) AS s
)
"""
_KEYS_AND_AFTER: Final = f"ANY(ARRAY(SELECT unnest({texts('keys')}) UNION SELECT key FROM after))"

LOCK_WITH_SUCCESSORS: Final = f"""
{_AFTER} SELECT {array("key")} FROM (
    SELECT key FROM sojourn_sessions WHERE key = {_KEYS_AND_AFTER} ORDER BY key FOR UPDATE OF sojourn_sessions) AS locked
"""

# With the rows, the ids of their end events that no backend has begun to read.
_LOADED: Final = f"""
SELECT {array(POSTGRESQL.session)},
       {array_where("e.id", "e.seq < 0 OR e.seq > (SELECT COALESCE(MAX(read_seq), 0) FROM sojourn_backends)")}
FROM sojourn_sessions AS s LEFT JOIN sojourn_events AS e ON e.id = s.end_event_id
WHERE s.end_reason IS DISTINCT FROM ''
"""

LOAD: Final = f"{_LOADED} AND s.key = ANY({texts('keys')})"

LOAD_WITH_SUCCESSORS: Final = f"{_AFTER} {_LOADED} AND s.key = {_KEYS_AND_AFTER}"

# Each arm reads one partial index and stops at the limit. A row that another transaction has locked is active, or being
# swept already; a row that it changed meanwhile is checked again.
LOCK_SILENT: Final = f"""
SELECT {array("key")} FROM (
    SELECT key FROM sojourn_sessions WHERE key IN (
        SELECT key FROM (
            (SELECT key, last_seen_at FROM sojourn_sessions
             WHERE end_reason IS NULL AND NOT is_manual AND last_seen_at <= %(seen_before)s
             ORDER BY last_seen_at LIMIT %(limit)s)
            UNION
            (SELECT key, last_seen_at FROM sojourn_sessions
             WHERE end_reason IS NULL AND is_manual AND last_seen_at <= %(manual_seen_before)s
             ORDER BY last_seen_at LIMIT %(limit)s)
            UNION
            (SELECT key, last_seen_at FROM sojourn_sessions
             WHERE end_reason IS NULL AND (NOT is_manual OR %(manual_too)s) AND started_at <= %(started_before)s
             ORDER BY last_seen_at + 0 LIMIT %(limit)s)
        ) AS found ORDER BY last_seen_at LIMIT %(limit)s)
    AND end_reason IS NULL AND (
        last_seen_at <= CASE WHEN is_manual THEN %(manual_seen_before)s ELSE %(seen_before)s END
        OR started_at <= %(started_before)s AND (NOT is_manual OR %(manual_too)s))
    ORDER BY key FOR UPDATE OF sojourn_sessions SKIP LOCKED) AS locked
"""

ALIASES: Final = aliases(POSTGRESQL)

ADD_ALIASES: Final = add_aliases(POSTGRESQL)

IN_PROGRESS: Final = in_progress(POSTGRESQL)

AGENT_PAGES: Final = agent_pages(POSTGRESQL)

ADD_AGENTS: Final = add_agents(POSTGRESQL)

TOMBSTONES: Final = f"""
SELECT {array("json_build_array(hash, at, is_for_good)")}, EXISTS (SELECT 1 FROM sojourn_tombstones)
FROM sojourn_tombstones WHERE hash = ANY({texts("people")})
"""

INBOX: Final = inbox.take(POSTGRESQL)

# --- what a batch writes

_COUNTED: Final = "ON CONFLICT (name) DO UPDATE SET value = c.value + excluded.value"

LOCK_OPTED_OUT: Final = f"""
SELECT COUNT(*) FROM (
    SELECT 1 FROM sojourn_sessions WHERE visitor_id = ANY({texts("opted_out")}) ORDER BY key FOR UPDATE) AS locked
"""

UPSERT_SESSIONS: Final = f"""
INSERT INTO sojourn_sessions ({SESSIONS.names})
SELECT {SESSIONS.names} FROM json_populate_recordset(NULL::sojourn_sessions, %(sessions)s::json)
ON CONFLICT (key) DO UPDATE SET {SESSIONS.replaced}
"""

LOCK_BACKENDS: Final = lock_backends(POSTGRESQL)

# Why the database refuses a batch.
READ_MEANWHILE: Final = "an_end_to_withdraw_was_read_meanwhile"
TOMBSTONE_ADDED: Final = "a_tombstone_was_added_meanwhile"
FIRST_TOMBSTONE_ADDED: Final = "the_first_tombstone_was_added_meanwhile"
POSITION_MOVED: Final = "a_position_moved"

STILL_UNREAD: Final = require(
    f"""NOT EXISTS (
    SELECT 1 FROM sojourn_events
    WHERE id = ANY({texts("unread")}) AND seq > 0 AND seq <= (SELECT COALESCE(MAX(read_seq), 0) FROM sojourn_backends))""",
    READ_MEANWHILE,
)

STILL_NO_TOMBSTONE: Final = require("NOT EXISTS (SELECT 1 FROM sojourn_tombstones)", FIRST_TOMBSTONE_ADDED)

_OF_PEOPLE: Final = f"FROM sojourn_tombstones WHERE hash = ANY({texts('people')})"

SAME_TOMBSTONES: Final = require(
    f"""(SELECT COUNT(*) {_OF_PEOPLE}) = json_array_length(%(seen)s::json) AND NOT EXISTS (
    SELECT hash, at, is_for_good {_OF_PEOPLE}
    EXCEPT SELECT value->>0, (value->>1)::bigint, (value->>2)::boolean FROM json_array_elements(%(seen)s::json))""",
    TOMBSTONE_ADDED,
)

WITHDRAW: Final = f"""
WITH gone AS (DELETE FROM sojourn_events WHERE id = ANY({texts("withdrawn")}) RETURNING 1)
INSERT INTO sojourn_counters AS c (name, value) SELECT '{RECORDED}', -COUNT(*) FROM gone HAVING COUNT(*) > 0 {_COUNTED}
"""

# What was imported or recomputed has a count of its own.
WITHDRAW_LOCAL: Final = WITHDRAW.replace(RECORDED, LOCAL)

INSERT_LOCAL: Final = f"""
WITH taken AS ({imports_sql.insert_local(POSTGRESQL)} RETURNING 1)
INSERT INTO sojourn_counters AS c (name, value) SELECT '{LOCAL}', COUNT(*) FROM taken HAVING COUNT(*) > 0 {_COUNTED}
"""

REMOVE_SESSIONS: Final = remove_sessions(POSTGRESQL)

ADD_IMPORTED: Final = imports_sql.add_imported(POSTGRESQL)

# Whether an event is for the own store only depends on its session, which was written before.
INSERT_EVENTS: Final = f"""
WITH taken AS (
    INSERT INTO sojourn_events (id, name, time, session_key, session_started_at, is_manual, data, no_forward)
    SELECT each.*, COALESCE((SELECT s.no_forward FROM sojourn_sessions AS s WHERE s.key = each.session_key), false)
    FROM json_to_recordset(%(events)s::json) AS each(
        id text, name text, time bigint, session_key text, session_started_at bigint, is_manual boolean, data text)
    ON CONFLICT (id) DO NOTHING
    RETURNING 1
)
INSERT INTO sojourn_counters AS c (name, value) SELECT '{RECORDED}', COUNT(*) FROM taken HAVING COUNT(*) > 0 {_COUNTED}
"""

DELETE_TAKEN: Final = inbox.delete(POSTGRESQL)

ADD_WAITING: Final = f"""
INSERT INTO sojourn_inbox (id, visitor_id, session_key, data)
SELECT value ->> 0, value ->> 1, value ->> 2, decode(value ->> 3, 'hex')
FROM {POSTGRESQL.items.format(POSTGRESQL["waiting"])} AS each
"""

ADD_COUNTS: Final = add_counts(POSTGRESQL)

SET_TOMBSTONES: Final = set_tombstones(POSTGRESQL)

# After the sessions of this batch: those that it made are barred too.
BAR: Final = f"""
UPDATE sojourn_sessions SET is_suppressed = true WHERE visitor_id = ANY({texts("opted_out")}) AND NOT is_suppressed
"""

# Touches a row only where it stands at the position that this batch was read from; the count of rows shows it.
MOVE_MARKS: Final = f"""
WITH moved AS (
INSERT INTO sojourn_journals AS j (id, position, position_before, recorded_until, heard_at, totals, is_gone)
SELECT value->>0, (value->>1)::bigint, (value->>2)::bigint, (value->>3)::bigint, (value->>4)::bigint, value->>5, false
FROM json_array_elements(%(marks)s::json)
WHERE (value->>2)::bigint = 0 OR EXISTS (SELECT 1 FROM sojourn_journals WHERE id = value->>0)
ON CONFLICT (id) DO UPDATE SET
    position = excluded.position, position_before = excluded.position_before,
    recorded_until = excluded.recorded_until, heard_at = excluded.heard_at, totals = excluded.totals
WHERE j.position = excluded.position_before AND NOT j.is_gone
RETURNING 1)
{require("(SELECT COUNT(*) FROM moved) = json_array_length(%(marks)s::json)", POSITION_MOVED)}
"""
