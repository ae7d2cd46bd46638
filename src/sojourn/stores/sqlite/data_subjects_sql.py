"""SQLite's statements about one person: where a visitor or a user is, and how they go. Made like those of `sqlite_sql`.

Sessions are found by an index. Events carry ids only inside their JSON, so what lies beyond a person's sessions is found
by looking through the log and the dead letters, a part at a time.
"""

# ruff: noqa: S608 - every part is written here or comes from the tables; values are always parameters
from __future__ import annotations

from typing import Final

from sojourn.stores.tombstones import USER, VISITOR

from .statements import EVENT_JSON, SESSION_JSON, SET_TOMBSTONES

_COLUMNS: Final = {VISITOR: "visitor_id", USER: "user_id"}
_ATTRIBUTES: Final = {VISITOR: "visitor.id", USER: "user.id"}


def _of(kind: str, table: str = "sojourn_sessions") -> str:
    return f"{table}.{_COLUMNS[kind]} = :id"


def _names(kind: str) -> str:
    return f"json_extract(data, '$.\"{_ATTRIBUTES[kind]}\"') = :id"


def _letter_names(kind: str) -> str:
    return f"json_extract(event, '$.{_COLUMNS[kind]}') = :id"


KINDS: Final = (VISITOR, USER)

SET_TOMBSTONE: Final = SET_TOMBSTONES.format(tombstones=":tombstones")

BAR: Final = {kind: f"UPDATE sojourn_sessions SET is_suppressed = 1 WHERE {_of(kind)}" for kind in KINDS}

# --- what there is

SESSIONS_OF: Final = {
    kind: f"""
SELECT json_group_array({SESSION_JSON}) FROM (
    SELECT * FROM sojourn_sessions WHERE {_of(kind)} AND key > :after ORDER BY key LIMIT :limit) AS s
"""
    for kind in KINDS
}

EVENTS_NAMING: Final = {
    kind: f"""
SELECT json_group_array({EVENT_JSON}) FILTER (WHERE {_names(kind)} AND NOT EXISTS (
           SELECT 1 FROM sojourn_sessions AS s WHERE s.key = session_key AND {_of(kind, "s")})),
       MAX(seq)
FROM (SELECT * FROM sojourn_events WHERE seq > :after ORDER BY seq LIMIT :limit)
"""
    for kind in KINDS
}

LETTERS_NAMING: Final = {
    kind: f"""
SELECT json_group_array(json_array(backend, reason, status, at, json(event))) FILTER (WHERE {_letter_names(kind)}),
       MAX(number)
FROM (SELECT * FROM sojourn_dead_letters WHERE number > :after ORDER BY number LIMIT :limit)
"""
    for kind in KINDS
}

# --- what is to go

EVENTS_IN_SESSIONS: Final = {
    kind: f"""
SELECT json_group_array(seq) FROM (
    SELECT e.seq FROM sojourn_sessions AS s JOIN sojourn_events AS e ON e.session_key = s.key
    WHERE {_of(kind, "s")} LIMIT :limit)
"""
    for kind in KINDS
}

EMPTY_SESSIONS: Final = {
    kind: f"""
SELECT json_group_array(json_array(key, end_reason IS NULL)) FROM (
    SELECT key, end_reason FROM sojourn_sessions
    WHERE {_of(kind)} AND NOT EXISTS (SELECT 1 FROM sojourn_events AS e WHERE e.session_key = sojourn_sessions.key)
    LIMIT :limit)
"""
    for kind in KINDS
}

SEQS_NAMING: Final = {
    kind: f"""
SELECT json_group_array(seq) FILTER (WHERE {_names(kind)}), MAX(seq)
FROM (SELECT seq, data FROM sojourn_events WHERE seq > :after AND seq <= :upto ORDER BY seq LIMIT :limit)
"""
    for kind in KINDS
}

NUMBERS_NAMING: Final = {
    kind: f"""
SELECT json_group_array(number) FILTER (WHERE {_letter_names(kind)}), MAX(number)
FROM (SELECT number, event FROM sojourn_dead_letters WHERE number > :after ORDER BY number LIMIT :limit)
"""
    for kind in KINDS
}

# --- how it goes

_SEQS: Final = "(SELECT value FROM json_each(:seqs))"

# A backend was given what lies before where it has begun to read, but for what it refused for good.
FORWARDED: Final = f"""
SELECT json_group_object(name,
    (SELECT COUNT(*) FROM json_each(:seqs) WHERE value > first_seq AND value <= read_seq)
    - (SELECT COUNT(*) FROM sojourn_events AS e JOIN sojourn_dead_letters AS d ON d.event_id = e.id
       WHERE e.seq IN {_SEQS} AND d.backend = sojourn_backends.name))
FROM sojourn_backends
"""

SKIP_UNREAD: Final = """
UPDATE sojourn_backends SET skipped = skipped + (SELECT COUNT(*) FROM json_each(:seqs) WHERE value > cursor)
WHERE cursor < (SELECT MAX(value) FROM json_each(:seqs))
"""

ERASE_LETTERS_OF_EVENTS: Final = f"""
DELETE FROM sojourn_dead_letters WHERE event_id IN (SELECT id FROM sojourn_events WHERE seq IN {_SEQS})
"""

ERASE_EVENTS: Final = f"DELETE FROM sojourn_events WHERE seq IN {_SEQS}"

ERASE_SESSIONS: Final = "DELETE FROM sojourn_sessions WHERE key IN (SELECT value FROM json_each(:keys))"

ERASE_WITHHELD: Final = "DELETE FROM sojourn_withheld WHERE session_key IN (SELECT value FROM json_each(:keys))"

ERASE_LETTERS: Final = "DELETE FROM sojourn_dead_letters WHERE number IN (SELECT value FROM json_each(:numbers))"
