"""SQLite's hot statements: those that load and save a batch of the recorder. The tables' DDL is made here too.

Each is set-based. Rows come in as one JSON parameter and leave as one JSON value, because `sqlite3` gives up the
interpreter lock at every step: beside a busy thread, a statement per row is a hundred times slower. Written for SQLite
3.33, which Python 3.11 still meets on supported systems: so no `->>`, no RETURNING.

See P11 in docs/internals.md.
"""

# ruff: noqa: S608 - every part is written here or comes from the tables; values are always parameters
from __future__ import annotations

from typing import Final

from sojourn.stores import imports_sql
from sojourn.stores.agents_sql import add_agents, agent_pages
from sojourn.stores.aliases_sql import add_aliases, aliases, in_progress
from sojourn.stores.data_subjects_sql import set_tombstones
from sojourn.stores.ddl import create_statements
from sojourn.stores.inbox import statements as inbox
from sojourn.stores.recomputing import remove_sessions
from sojourn.stores.schema import LIVELY, SESSIONS

from .bound import BoundRows
from .dialect import SQLITE


def _in(count: int) -> str:
    return ", ".join(f"json_extract(value, '$[{index}]')" for index in range(count))


CREATE: Final = create_statements(SQLITE)

# --- sessions

# The rows, the ids of their end events that no backend has begun to read, and the tombstones of people.
_LOADED: Final = f"""
SELECT json_group_array({SQLITE.session}),
       json_group_array(e.id) FILTER (
           WHERE e.seq < 0 OR e.seq > (SELECT COALESCE(MAX(read_seq), 0) FROM sojourn_backends)),
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

# Each arm reads one partial index and stops at the limit. UNION removes rows that two arms return.
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

ALIASES: Final = aliases(SQLITE)

ADD_ALIASES: Final = add_aliases(SQLITE)

IN_PROGRESS: Final = in_progress(SQLITE)

AGENT_PAGES: Final = agent_pages(SQLITE)

ADD_AGENTS: Final = add_agents(SQLITE)

TOMBSTONES: Final = """
SELECT json_group_array(json_array(hash, at, is_for_good)) FROM sojourn_tombstones
WHERE hash IN (SELECT value FROM json_each(:people))
"""

INBOX: Final = inbox.take(SQLITE)

# --- what a batch writes

_COUNTED: Final = "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"

WITHDRAW: Final = "DELETE FROM sojourn_events WHERE id IN (SELECT value FROM json_each(:withdrawn))"

INSERT_LOCAL: Final = imports_sql.insert_local(SQLITE)

REMOVE_SESSIONS: Final = remove_sessions(SQLITE)

ADD_IMPORTED: Final = imports_sql.add_imported(SQLITE)

DELETE_TAKEN: Final = inbox.delete(SQLITE)

ADD_WAITING: Final = "INSERT INTO sojourn_inbox (id, visitor_id, session_key, data) VALUES (?, ?, ?, ?)"

# An event whose last value, `no_forward`, is NULL gets that of its session in the store.
INSERT_EVENTS: Final = BoundRows(
    """
INSERT INTO sojourn_events (id, name, time, session_key, session_started_at, is_manual, data, no_forward)
SELECT column1, column2, column3, column4, column5, column6, column7,
       COALESCE(column8, (SELECT s.no_forward FROM sojourn_sessions AS s WHERE s.key = column4), 0)
FROM {rows} WHERE column1 IS NOT NULL
ON CONFLICT (id) DO NOTHING
""",
    width=8,
)

# Setting a column rewrites its indices even if the value stays the same, so activity sets as few columns as it can.
TOUCH_SESSIONS: Final = BoundRows(
    f"""
UPDATE sojourn_sessions SET {", ".join(f"{name} = touched.column{n}" for n, name in enumerate(LIVELY, 2))}
FROM {{rows}} AS touched WHERE sojourn_sessions.key = touched.column1
""",
    width=1 + len(LIVELY),
)

# Few rows of a batch begin or change otherwise, and they have too many columns to be bound.
UPSERT_SESSIONS: Final = f"""
INSERT INTO sojourn_sessions ({SESSIONS.names})
SELECT {_in(len(SESSIONS.columns))} FROM json_each(:sessions) WHERE true
ON CONFLICT (key) DO UPDATE SET {SESSIONS.replaced}
"""

_ADD_COUNTS: Final = f"""
INSERT INTO sojourn_counters (name, value) SELECT key, value FROM json_each(NEW.counts) WHERE value <> 0 {_COUNTED}
"""

# After the sessions of this batch, so that new ones are suppressed too.
_BAR: Final = """
UPDATE sojourn_sessions SET is_suppressed = 1 WHERE visitor_id IN (SELECT value FROM json_each(NEW.opted_out))
"""

# Changes a row only if it is at the position that this batch was read from. The number of changed rows shows it.
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
    _ADD_COUNTS,
    set_tombstones(SQLITE, "NEW.tombstones"),
    _BAR,
    _MOVE_MARKS,
    _REFUSE_MOVED,
)

# What is left of a batch is one statement, by a trigger on a temporary view. Beside a busy thread, each call that gives up the
# interpreter lock waits 5 ms to get it back, and these would be six calls.
PREPARE: Final = (
    """CREATE TEMP VIEW IF NOT EXISTS batch
    (counts, marks, tombstones, opted_out) AS SELECT NULL, NULL, NULL, NULL""",
    f"CREATE TEMP TRIGGER IF NOT EXISTS save_batch INSTEAD OF INSERT ON batch BEGIN {';'.join(_STEPS)}; END",
)

SAVE: Final = "INSERT INTO batch VALUES (:counts, :marks, :tombstones, :opted_out)"
