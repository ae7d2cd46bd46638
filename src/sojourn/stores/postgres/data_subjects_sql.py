"""PostgreSQL's statements about one person: where a visitor or a user is, and how they go. Made like `_postgres_sql`.

Sessions are found by an index. Events carry ids only inside their JSON, so what lies beyond a person's sessions is found
by looking through the log and the dead letters, a part at a time.
"""

# ruff: noqa: S608 - every part is written here or comes from the tables; values are always parameters
from __future__ import annotations

from typing import Final

from sojourn.stores.tombstones import USER, VISITOR

from .log_sql import EVENT_JSON, LETTER_JSON
from .statements import SESSION_JSON, array, array_where, texts

_COLUMNS: Final = {VISITOR: "visitor_id", USER: "user_id"}
_ATTRIBUTES: Final = {VISITOR: "visitor.id", USER: "user.id"}

KINDS: Final = (VISITOR, USER)


def _of(kind: str, table: str = "sojourn_sessions") -> str:
    return f"{table}.{_COLUMNS[kind]} = %(id)s"


def _names(kind: str) -> str:
    return f"data::json->>'{_ATTRIBUTES[kind]}' = %(id)s"


def _letter_names(kind: str) -> str:
    return f"event::json->>'{_COLUMNS[kind]}' = %(id)s"


# --- who leaves

LOCK_SESSIONS: Final = {
    kind: f"SELECT COUNT(*) FROM (SELECT 1 FROM sojourn_sessions WHERE {_of(kind)} ORDER BY key FOR UPDATE) AS locked"
    for kind in KINDS
}

BAR: Final = {
    kind: f"UPDATE sojourn_sessions SET is_suppressed = true WHERE {_of(kind)} AND NOT is_suppressed" for kind in KINDS
}

# --- what there is

SESSIONS_OF: Final = {
    kind: f"""
SELECT {array(SESSION_JSON)} FROM (
    SELECT * FROM sojourn_sessions WHERE {_of(kind)} AND key > %(after)s ORDER BY key LIMIT %(limit)s) AS s
"""
    for kind in KINDS
}

EVENTS_NAMING: Final = {
    kind: f"""
SELECT {
        array_where(
            EVENT_JSON,
            f"{_names(kind)} AND NOT EXISTS ("
            f"SELECT 1 FROM sojourn_sessions AS s WHERE s.key = session_key AND {_of(kind, 's')})",
        )
    }, MAX(seq)
FROM (SELECT * FROM sojourn_events WHERE seq > %(after)s ORDER BY seq LIMIT %(limit)s) AS part
"""
    for kind in KINDS
}

LETTERS_NAMING: Final = {
    kind: f"""
SELECT {array_where(LETTER_JSON, _letter_names(kind))}, MAX(number)
FROM (SELECT * FROM sojourn_dead_letters WHERE number > %(after)s ORDER BY number LIMIT %(limit)s) AS part
"""
    for kind in KINDS
}

# --- what is to go

EVENTS_IN_SESSIONS: Final = {
    kind: f"""
SELECT COALESCE(array_agg(seq), '{{}}') FROM (
    SELECT e.seq FROM sojourn_sessions AS s JOIN sojourn_events AS e ON e.session_key = s.key
    WHERE {_of(kind, "s")} LIMIT %(limit)s
) AS part
"""
    for kind in KINDS
}

LOCK_EMPTY_SESSIONS: Final = {
    kind: f"""
SELECT {array("key")} FROM (
    SELECT key FROM sojourn_sessions
    WHERE {_of(kind)} AND NOT EXISTS (SELECT 1 FROM sojourn_events AS e WHERE e.session_key = sojourn_sessions.key)
    ORDER BY key LIMIT %(limit)s FOR UPDATE OF sojourn_sessions) AS locked
"""
    for kind in KINDS
}

SEQS_NAMING: Final = {
    kind: f"""
SELECT COALESCE(array_agg(seq) FILTER (WHERE {_names(kind)}), '{{}}'), MAX(seq)
FROM (SELECT seq, data FROM sojourn_events WHERE seq > %(after)s AND seq <= %(upto)s ORDER BY seq LIMIT %(limit)s) AS part
"""
    for kind in KINDS
}

NUMBERS_NAMING: Final = {
    kind: f"""
SELECT COALESCE(array_agg(number) FILTER (WHERE {_letter_names(kind)}), '{{}}'), MAX(number)
FROM (SELECT number, event FROM sojourn_dead_letters WHERE number > %(after)s ORDER BY number LIMIT %(limit)s) AS part
"""
    for kind in KINDS
}

# --- how it goes

STILL_THERE: Final = "SELECT COALESCE(array_agg(seq), '{}') FROM sojourn_events WHERE seq = ANY(%(seqs)s::bigint[])"

# A backend was given what lies before where it has begun to read, but for what it refused for good.
FORWARDED: Final = """
SELECT COALESCE(json_object_agg(name,
    (SELECT COUNT(*) FROM unnest(%(seqs)s::bigint[]) AS s(seq) WHERE seq > first_seq AND seq <= read_seq)
    - (SELECT COUNT(*) FROM sojourn_events AS e JOIN sojourn_dead_letters AS d ON d.event_id = e.id
       WHERE e.seq = ANY(%(seqs)s::bigint[]) AND d.backend = sojourn_backends.name)), '{}')::text
FROM sojourn_backends
"""

ERASE_LETTERS_OF_EVENTS: Final = """
DELETE FROM sojourn_dead_letters WHERE event_id IN (SELECT id FROM sojourn_events WHERE seq = ANY(%(seqs)s::bigint[]))
"""

# Those that took an event while their lock was waited for stay for the next slice.
ERASE_SESSIONS: Final = f"""
WITH gone AS (
    DELETE FROM sojourn_sessions
    WHERE key = ANY({texts("keys")})
      AND NOT EXISTS (SELECT 1 FROM sojourn_events AS e WHERE e.session_key = sojourn_sessions.key)
    RETURNING key, end_reason IS NULL AS is_open
)
SELECT {array("json_build_array(key, is_open)")} FROM gone
"""

ERASE_WITHHELD: Final = f"DELETE FROM sojourn_withheld WHERE session_key = ANY({texts('keys')})"

ERASE_LETTERS: Final = "DELETE FROM sojourn_dead_letters WHERE number = ANY(%(numbers)s::bigint[])"
